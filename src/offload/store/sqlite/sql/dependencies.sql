-- name: anybody_waits
-- Asked at the end of every batch: one seek, however many jobs it has.
SELECT EXISTS (SELECT 1 FROM jobs WHERE phase <> 'ready' AND phase = 'blocked')

-- name: waited_for
SELECT value FROM json_each(?)
WHERE EXISTS (
    SELECT 1 FROM job_dependencies JOIN jobs ON seq = job
    WHERE parent = value AND phase = 'blocked'
)
ORDER BY key

-- name: job_at
SELECT {job} FROM jobs WHERE seq = ?

-- name: blocked_by
SELECT DISTINCT seq FROM job_dependencies JOIN jobs ON seq = job
WHERE parent = ? AND phase = 'blocked'
ORDER BY seq

-- name: orphan
UPDATE jobs
SET state = 'cancelled', phase = NULL, finished_at = ?, error = ?, blockers = blockers - 1,
    held_key = iif(key_until IS NULL, NULL, held_key), version = version + 1
WHERE seq = ? AND on_parent_failure = 'cancel'
RETURNING seq

-- name: unblock
UPDATE jobs
SET blockers = blockers - 1, version = version + 1,
    phase = iif(blockers > 1, 'blocked', iif(run_at <= ?, 'ready', 'later'))
WHERE seq = ? AND phase = 'blocked'
RETURNING seq, blockers, inputs, payload

-- name: results
-- A parent without a result gives null.
SELECT coalesce(result, x'6E756C6C') FROM job_dependencies JOIN jobs ON seq = parent
WHERE job = ? ORDER BY place

-- name: feed
UPDATE jobs SET payload = ? WHERE seq = ?
