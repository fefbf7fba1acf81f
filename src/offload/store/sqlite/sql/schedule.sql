-- name: define_schedule
-- A definition in the code does not undo what was changed at run time.
INSERT INTO schedules ({schedule}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE
SET next_at = iif(trigger = excluded.trigger AND tz = excluded.tz, next_at, excluded.next_at),
    task = excluded.task, trigger = excluded.trigger, tz = excluded.tz,
    payload = excluded.payload, options = excluded.options, overlap = excluded.overlap,
    catch_up = excluded.catch_up, jitter = excluded.jitter
WHERE NOT edited

-- name: replace_schedule
INSERT OR REPLACE INTO schedules ({schedule}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: edit_schedule
UPDATE schedules
SET trigger = coalesce(:trigger, trigger), next_at = coalesce(:next_at, next_at),
    tz = coalesce(:tz, tz), payload = coalesce(:payload, payload),
    options = coalesce(:options, options), overlap = coalesce(:overlap, overlap),
    catch_up = coalesce(:catch_up, catch_up), jitter = coalesce(:jitter, jitter),
    paused = coalesce(:paused, paused), edited = edited OR :edited
WHERE name = :name
RETURNING {schedule}

-- name: delete_schedule
DELETE FROM schedules WHERE name = :name

-- name: schedules
SELECT {schedule} FROM schedules ORDER BY name

-- name: due_schedule
SELECT overlap FROM schedules WHERE name = :name AND next_at = :tick AND NOT paused

-- name: schedule_runs
SELECT EXISTS (SELECT 1 FROM jobs WHERE schedule = :name AND finished_at IS NULL)

-- name: move_schedule
UPDATE schedules
SET next_at = :next_at, last_at = coalesce(:last_at, last_at),
    last_job = coalesce(:last_job, last_job)
WHERE name = :name

-- name: lock
SELECT owner, token, boot = :boot AND until > :ticks FROM locks WHERE name = :name

-- name: put_lock
INSERT OR REPLACE INTO locks (name, owner, token, boot, until)
VALUES (:name, :owner, :token, :boot, :until)

-- name: drop_lock
UPDATE locks SET owner = NULL
WHERE name = :name AND owner = :owner AND boot = :boot AND until > :ticks
