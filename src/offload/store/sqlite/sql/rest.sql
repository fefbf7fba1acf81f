-- name: cancel_pending
UPDATE jobs
SET state = 'cancelled', phase = NULL, finished_at = :now, error = 'cancelled',
    version = version + 1
WHERE id = :id AND state = 'pending'

-- name: cancel_running
UPDATE jobs SET cancel_requested = 1, version = version + 1
WHERE id = :id AND state = 'running'

-- name: take_dead_letter
DELETE FROM dead_letters WHERE id = :id RETURNING {job}

-- name: prune_jobs
-- A job's own result_ttl comes before the age that was asked for.
DELETE FROM jobs WHERE seq IN (
    SELECT seq FROM (
        SELECT seq FROM jobs
        WHERE finished_at IS NOT NULL AND result_ttl IS NULL AND finished_at < :before
        ORDER BY finished_at LIMIT :limit
    )
    UNION
    SELECT seq FROM (
        SELECT seq FROM jobs
        WHERE finished_at IS NOT NULL AND result_ttl IS NOT NULL
            AND finished_at + result_ttl * 1000 < :now
        ORDER BY finished_at + result_ttl * 1000 LIMIT :limit
    )
    LIMIT :limit
)
RETURNING id

-- name: prune_errors_of
DELETE FROM job_errors WHERE job_id IN (SELECT value FROM json_each(:ids))

-- name: prune_errors
DELETE FROM job_errors WHERE id IN (
    SELECT id FROM job_errors WHERE failed_at < :before ORDER BY failed_at LIMIT :limit
)

-- name: prune_dead_letters
DELETE FROM dead_letters WHERE rowid IN (
    SELECT rowid FROM dead_letters WHERE finished_at < :before ORDER BY finished_at LIMIT :limit
)

-- name: prune_workers
DELETE FROM workers
WHERE (boot <> :boot OR :ticks - ticks > lease + :forget)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = workers.id)

-- name: retire
DELETE FROM workers WHERE id = :worker

-- name: lapsed
SELECT {jobs_job}, workers.boot, :ticks - workers.ticks
FROM jobs LEFT JOIN workers ON workers.id = jobs.worker
WHERE jobs.state = 'running' AND (
    workers.id IS NULL OR workers.boot <> :boot OR :ticks - workers.ticks > workers.lease
)
ORDER BY jobs.seq
LIMIT :limit

-- name: get
SELECT {job} FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))

-- name: search
-- The empty list of states stands for all of them.
SELECT {job} FROM jobs
WHERE (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
    AND (:task IS NULL OR task = :task)
    AND (:queue IS NULL OR queue = :queue)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
    AND (:before IS NULL OR seq < (SELECT seq FROM jobs WHERE id = :before))
ORDER BY seq DESC
LIMIT :limit

-- name: stats
SELECT state, count(*) FROM jobs WHERE :queue IS NULL OR queue = :queue GROUP BY state

-- name: errors
SELECT id, job_id, attempt, type, message, traceback, failed_at FROM job_errors
WHERE job_id = :id ORDER BY id

-- name: dead_letters
SELECT {job} FROM dead_letters ORDER BY rowid DESC LIMIT :limit OFFSET :offset

-- name: workers
SELECT id, host, pid, queues, concurrency, started_at, lease, boot, :ticks - ticks FROM workers
ORDER BY started_at, id
