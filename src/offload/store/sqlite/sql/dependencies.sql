-- name: anybody_waits
-- Asked at the end of every batch: one seek, however many jobs it has.
SELECT EXISTS (SELECT 1 FROM job_dependencies WHERE NOT settled)

-- name: waited_for
SELECT value FROM json_each(?)
WHERE EXISTS (SELECT 1 FROM job_dependencies WHERE NOT settled AND parent = value)
ORDER BY key

-- name: outcome
SELECT state, result FROM jobs WHERE id = ?

-- name: settle
-- A result is kept only for a job that takes it: jobs that merely wait may be many.
UPDATE job_dependencies
SET settled = 1, result = (
    SELECT :result FROM jobs WHERE seq = job AND phase = 'blocked' AND (
        inputs = 'list' OR inputs = 'first' AND place = 0
    )
)
WHERE NOT settled AND parent = :parent
RETURNING job

-- name: cancel_dependents
UPDATE jobs
SET state = 'cancelled', phase = NULL, finished_at = ?, error = ?,
    held_key = iif(key_until IS NULL, NULL, held_key), version = version + 1
WHERE seq = ? AND phase = 'blocked' AND on_parent_failure = 'cancel'
RETURNING id

-- name: unblock
UPDATE jobs
SET blockers = blockers - :count, version = version + 1,
    phase = iif(blockers > :count, 'blocked', iif(run_at <= :now, 'ready', 'later'))
WHERE seq = :job AND phase = 'blocked'
RETURNING seq, blockers, inputs, payload

-- name: results
SELECT coalesce(result, x'6E756C6C') FROM job_dependencies WHERE job = ? ORDER BY place

-- name: feed
UPDATE jobs SET payload = ? WHERE seq = ?

-- name: forget_results
UPDATE job_dependencies SET result = NULL WHERE job = ? AND result IS NOT NULL
