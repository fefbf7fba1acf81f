-- name: insert_job
-- A conflict on the id stores nothing: the caller then looks up what is there. Any other
-- violation still raises.
INSERT INTO jobs ({new}) VALUES (
    ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?
)
ON CONFLICT (id) DO NOTHING

-- name: insert_alike
-- Several jobs at a time that differ only in id and payload: what they share is bound once.
INSERT INTO jobs ({new}) VALUES {alike} ON CONFLICT (id) DO NOTHING

-- name: job
SELECT {job} FROM jobs WHERE id = ?

-- name: drop_key
-- A window that is over ends with the next enqueue, not by itself.
UPDATE jobs SET held_key = NULL WHERE held_key = ? AND key_until <= ?

-- name: holder
SELECT id, state FROM jobs WHERE held_key = ?

-- name: put_lane
INSERT INTO lanes (name, interval, max_running) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET interval = excluded.interval, max_running = excluded.max_running
WHERE excluded.interval IS NOT NULL OR excluded.max_running IS NOT NULL

-- name: insert_dependency
INSERT INTO job_dependencies (job, place, parent)
SELECT job.seq, ?, parent.seq FROM jobs AS job, jobs AS parent WHERE job.id = ? AND parent.id = ?

-- name: stillborn
-- A parent has no result already: the job ends as it comes in, in the version it came in.
UPDATE jobs
SET state = 'cancelled', phase = NULL, finished_at = created_at, error = ?,
    held_key = iif(key_until IS NULL, NULL, held_key)
WHERE id = ?

-- name: known
SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))

-- name: take_lock
-- Writes nothing, but needs the lock for writing; SELECTs first would be of an older state.
UPDATE lanes SET name = name WHERE name = ''
