-- name: job_at
SELECT {job} FROM {schema}.jobs WHERE seq = %(seq)s

-- name: blocked_by
SELECT DISTINCT jobs.seq FROM {schema}.job_dependencies JOIN {schema}.jobs ON seq = job
WHERE parent = %(parent)s AND phase = 'blocked'
ORDER BY jobs.seq

-- name: lock_blocked
-- In one order, so that two parents that end at the same moment do not wait for each other.
SELECT seq FROM {schema}.jobs WHERE seq = ANY (%(seqs)s::bigint[]) AND phase = 'blocked'
ORDER BY seq
FOR NO KEY UPDATE

-- name: orphan
UPDATE {schema}.jobs
SET state = 'cancelled', phase = NULL, finished_at = {now}, error = %(error)s,
    blockers = blockers - 1,
    held_key = CASE WHEN key_until IS NULL THEN NULL ELSE held_key END, version = version + 1
WHERE seq = ANY (%(seqs)s::bigint[]) AND phase = 'blocked' AND on_parent_failure = 'cancel'
RETURNING seq, awaited

-- name: unblock
UPDATE {schema}.jobs
SET blockers = blockers - 1, version = version + 1,
    phase = CASE WHEN blockers > 1 THEN 'blocked' WHEN run_at <= {now} THEN 'ready' ELSE 'later' END
WHERE seq = ANY (%(seqs)s::bigint[]) AND phase = 'blocked'
RETURNING seq, blockers, inputs, payload

-- name: results
-- A parent without a result gives null.
SELECT coalesce(result, 'null'::bytea) FROM {schema}.job_dependencies
JOIN {schema}.jobs ON seq = parent
WHERE job = %(seq)s ORDER BY place

-- name: feed
UPDATE {schema}.jobs SET payload = %(payload)s::bytea WHERE seq = %(seq)s
