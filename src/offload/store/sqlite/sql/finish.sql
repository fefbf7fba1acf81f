-- name: running
-- The fence: what is not found here, under its newest lease, is not touched. Nobody else can
-- write before the transaction ends. RETURNING from each update would be dearer.
SELECT id, lease, seq, attempt, run_at, (started_at - run_at) / 1000.0, cancel_requested, lane
FROM jobs
WHERE id IN (SELECT value FROM json_each(?)) AND state = 'running'

-- name: complete
-- Result and state in one statement: success is never seen without its result. A key that is
-- held for a window stays held.
-- The id is compared, too, for a seq may come again after a purge.
WITH ends (of, named, held, value, at) AS (VALUES (?, ?, ?, ?, ?))
UPDATE jobs
SET state = 'complete', result = value, progress = 100, error = NULL, worker = NULL,
    finished_at = at, held_key = iif(key_until IS NULL, NULL, held_key), version = version + 1
FROM ends WHERE seq = of AND id = named AND lease = held AND state = 'running'

-- name: again
UPDATE jobs
SET state = 'pending', phase = iif(:run_at <= :now, 'ready', 'later'), run_at = :run_at,
    attempt = attempt - :release, crashes = crashes + :crashed, error = coalesce(:error, error),
    worker = NULL, version = version + 1
WHERE seq = :seq

-- name: end
UPDATE jobs
SET state = :state, error = coalesce(:error, error), crashes = crashes + :crashed,
    worker = NULL, finished_at = :now, held_key = iif(key_until IS NULL, NULL, held_key),
    version = version + 1
WHERE seq = :seq

-- name: insert_error
INSERT INTO job_errors (job, attempt, type, message, traceback, failed_at)
VALUES (?, ?, ?, ?, ?, ?)

-- name: insert_metric
INSERT INTO job_metrics (job, attempt, move, wait, ran, memory, recorded_at)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: insert_dead_letter
-- The id may have died before, as a job that was purged since: the newest letter stays.
INSERT OR REPLACE INTO dead_letters SELECT * FROM jobs WHERE seq = ?

-- name: lane_waits
SELECT EXISTS (
    SELECT 1 FROM jobs WHERE phase = 'ready' AND lane IN (SELECT value FROM json_each(?))
)

-- name: report
UPDATE jobs
SET progress = coalesce(?, progress), message = coalesce(?, message), data = coalesce(?, data),
    version = version + 1
WHERE id = ? AND lease = ? AND state = 'running'
RETURNING seq, attempt

-- name: insert_log
INSERT INTO job_logs (job, attempt, level, message, extra, logged_at) VALUES (?, ?, ?, ?, ?, ?)

-- name: insert_part
INSERT INTO job_parts (job, attempt, value, published_at) VALUES (?, ?, ?, ?)
