-- name: insert_job
-- A conflict on the id or on a held unique key stores nothing: the caller then looks up what
-- is there. Any other violation still raises.
INSERT INTO jobs (
    id, task, queue, state, phase, payload, priority, run_at, created_at,
    max_retries, backoff, max_retry_delay, timeout, expires_at, result_ttl,
    unique_key, metadata, tags, origin
)
VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: existing_job
SELECT {job} FROM jobs WHERE id = :id
UNION ALL
SELECT {job} FROM jobs
WHERE unique_key = :unique_key AND state IN ('pending', 'running') AND id <> :id
LIMIT 1

-- name: expire
UPDATE jobs
SET state = 'cancelled', phase = NULL, finished_at = :now, error = 'expired',
    version = version + 1
WHERE seq IN (
    SELECT seq FROM jobs
    WHERE state = 'pending' AND expires_at IS NOT NULL AND expires_at <= :now
    ORDER BY expires_at LIMIT 1000
)

-- name: promote
UPDATE jobs SET phase = 'ready'
WHERE seq IN (
    SELECT seq FROM jobs WHERE phase = 'later' AND run_at <= :now ORDER BY run_at LIMIT 1000
)

-- name: next_due
SELECT min(run_at) FROM jobs WHERE phase = 'later'

-- name: next_due_of
SELECT min(run_at) FROM jobs
WHERE phase = 'later' AND queue IN (SELECT value FROM json_each(:queues))

-- name: ready_queues
-- One seek a queue, however many jobs wait in each; DISTINCT would read them all.
WITH RECURSIVE names(name) AS (
    SELECT (SELECT min(queue) FROM jobs WHERE phase = 'ready')
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE phase = 'ready' AND queue > name)
    FROM names WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL

-- name: first_ready
SELECT -priority, run_at, seq FROM jobs
WHERE phase = 'ready' AND queue = :queue AND (expires_at IS NULL OR expires_at > :now)
ORDER BY priority DESC, run_at, seq
LIMIT :limit

-- name: claim
UPDATE jobs
SET state = 'running', phase = NULL, worker = :worker, attempt = attempt + 1,
    lease = lease + 1, started_at = :now, progress = NULL, version = version + 1
WHERE seq IN (SELECT value FROM json_each(:seqs))
RETURNING {job}, seq

-- name: finish_complete
-- Result and state in one statement: success is never seen without its result.
UPDATE jobs
SET state = 'complete', result = :result, progress = 100, error = NULL, worker = NULL,
    finished_at = :now, version = version + 1
WHERE id = :id AND lease = :lease AND state = 'running'

-- name: finish_again
-- A released job keeps its due time, and with it its place in the line.
UPDATE jobs
SET state = 'pending', phase = iif(:release OR :run_at <= :now, 'ready', 'later'),
    run_at = iif(:release, run_at, :run_at), attempt = attempt - :release,
    crashes = crashes + :crashed, error = coalesce(:error, error), worker = NULL,
    version = version + 1
WHERE id = :id AND lease = :lease AND state = 'running' AND NOT cancel_requested

-- name: finish_end
UPDATE jobs
SET state = :state, error = coalesce(:error, error), crashes = crashes + :crashed,
    worker = NULL, finished_at = :now, version = version + 1
WHERE id = :id AND lease = :lease AND state = 'running'

-- name: insert_error
INSERT INTO job_errors (job_id, attempt, type, message, traceback, failed_at)
SELECT id, attempt, :type, :message, :traceback, :now FROM jobs WHERE id = :id

-- name: insert_dead_letter
-- The id may have died before, as a job that was purged since: the newest letter stays.
INSERT OR REPLACE INTO dead_letters SELECT * FROM jobs WHERE id = :id

-- name: report
UPDATE jobs SET progress = :progress, version = version + 1
WHERE id = :id AND lease = :lease AND state = 'running'

-- name: beat
INSERT INTO workers (id, host, pid, queues, concurrency, lease, boot, ticks, started_at)
VALUES (:id, :host, :pid, :queues, :concurrency, :lease, :boot, :ticks, :now)
ON CONFLICT (id) DO UPDATE SET lease = :lease, boot = :boot, ticks = :ticks

-- name: held
SELECT id, lease, cancel_requested FROM jobs WHERE state = 'running' AND worker = :worker
