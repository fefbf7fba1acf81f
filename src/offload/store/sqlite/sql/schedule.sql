-- name: put_schedule
INSERT OR REPLACE INTO schedules ({schedule}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: schedule
SELECT {schedule} FROM schedules WHERE name = ?

-- name: delete_schedule
DELETE FROM schedules WHERE name = :name

-- name: schedules
SELECT {schedule} FROM schedules ORDER BY name

-- name: schedule_runs
SELECT EXISTS (SELECT 1 FROM jobs WHERE schedule = :name AND finished_at IS NULL)

-- name: lock
SELECT owner, token, boot = :boot AND until > :ticks FROM locks WHERE name = :name

-- name: put_lock
INSERT OR REPLACE INTO locks (name, owner, token, boot, until)
VALUES (:name, :owner, :token, :boot, :until)

-- name: drop_lock
UPDATE locks SET owner = NULL
WHERE name = :name AND owner = :owner AND boot = :boot AND until > :ticks
