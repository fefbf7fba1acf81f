-- name: put_schedule
INSERT INTO {schema}.schedules ({schedule})
VALUES (
    %(name)s, %(task)s, %(trigger)s, %(next_at)s, %(tz)s, %(payload)s::bytea, %(options)s,
    %(overlap)s, %(catch_up)s, %(jitter)s, %(paused)s, %(edited)s, %(last_at)s, %(last_job)s
)
ON CONFLICT (name) DO UPDATE
SET task = excluded.task, trigger = excluded.trigger, next_at = excluded.next_at,
    tz = excluded.tz, payload = excluded.payload, options = excluded.options,
    overlap = excluded.overlap, catch_up = excluded.catch_up, jitter = excluded.jitter,
    paused = excluded.paused, edited = excluded.edited, last_at = excluded.last_at,
    last_job = excluded.last_job

-- name: schedule
SELECT {schedule} FROM {schema}.schedules WHERE name = %(name)s

-- name: delete_schedule
DELETE FROM {schema}.schedules WHERE name = %(name)s RETURNING name

-- name: schedules
SELECT {schedule} FROM {schema}.schedules ORDER BY name

-- name: schedule_runs
SELECT EXISTS (
    SELECT FROM {schema}.jobs
    WHERE schedule IS NOT NULL AND schedule = %(name)s AND finished_at IS NULL
)

-- name: acquire
-- Nobody's, or its holder's, or its time is over: then it changes; else no row comes back.
INSERT INTO {schema}.locks AS held (name, owner, token, boot, until)
SELECT %(name)s, %(owner)s, 1, {boot}, ticks + %(ttl)s FROM (SELECT {ticks} AS ticks) AS clock
ON CONFLICT (name) DO UPDATE
SET owner = excluded.owner, boot = excluded.boot, until = excluded.until,
    token = held.token + CASE
        WHEN held.owner = excluded.owner AND {lock_lives} THEN 0 ELSE 1
    END
WHERE held.owner IS NULL OR held.owner = excluded.owner OR NOT {lock_lives}
RETURNING token

-- name: drop_lock
UPDATE {schema}.locks AS held SET owner = NULL
WHERE name = %(name)s AND owner = %(owner)s AND {lock_lives}
RETURNING name
