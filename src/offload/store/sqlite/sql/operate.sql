-- name: cancel_pending
UPDATE jobs
SET state = 'cancelled', phase = NULL, finished_at = :now, error = 'cancelled',
    held_key = iif(:drop OR key_until IS NULL, NULL, held_key), version = version + 1
WHERE id = :id AND state = 'pending'
RETURNING seq

-- name: cancel_running
UPDATE jobs SET cancel_requested = 1, version = version + 1
WHERE id = :id AND state = 'running'

-- name: take_dead_letter
DELETE FROM dead_letters WHERE id = ? RETURNING {job}

-- name: ended_job
SELECT {job} FROM jobs WHERE id = ? AND finished_at IS NOT NULL

-- name: insert_repeat
INSERT INTO repeats (origin, job_id, repeated_at)
SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?)

-- name: pause
INSERT INTO paused_queues (name, paused_at) VALUES (:name, :now) ON CONFLICT DO NOTHING

-- name: resume
DELETE FROM paused_queues WHERE name = :name

-- name: beat
INSERT INTO workers (id, host, pid, queues, concurrency, lease, boot, ticks, started_at)
VALUES (:id, :host, :pid, :queues, :concurrency, :lease, :boot, :ticks, :now)
ON CONFLICT (id) DO UPDATE SET lease = :lease, boot = :boot, ticks = :ticks

-- name: held
SELECT id, lease, cancel_requested FROM jobs WHERE state = 'running' AND worker = :worker

-- name: retire
DELETE FROM workers WHERE id = :worker
