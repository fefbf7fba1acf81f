-- name: cancel_pending
UPDATE {schema}.jobs
SET state = 'cancelled', phase = NULL, finished_at = {now}, error = 'cancelled',
    held_key = CASE WHEN %(drop)s OR key_until IS NULL THEN NULL ELSE held_key END,
    version = version + 1
WHERE id = %(id)s AND state = 'pending'
RETURNING seq, awaited

-- name: cancel_running
UPDATE {schema}.jobs SET cancel_requested = true, version = version + 1
WHERE id = %(id)s AND state = 'running'
RETURNING seq

-- name: take_dead_letters
DELETE FROM {schema}.dead_letters WHERE id = ANY (%(ids)s::text[]) RETURNING {job}

-- name: ended_jobs
SELECT {job} FROM {schema}.jobs WHERE id = ANY (%(ids)s::text[]) AND finished_at IS NOT NULL

-- name: insert_repeats
INSERT INTO {schema}.repeats (origin, job_id, repeated_at)
SELECT origin, job_id, {now}
FROM unnest(%(origins)s::text[], %(ids)s::text[])
    WITH ORDINALITY AS repeated (origin, job_id, place)
WHERE NOT EXISTS (SELECT FROM {schema}.jobs WHERE jobs.id = repeated.job_id)
ORDER BY place

-- name: pause
INSERT INTO {schema}.paused_queues (name, paused_at) VALUES (%(name)s, {now})
ON CONFLICT DO NOTHING
RETURNING name

-- name: resume
DELETE FROM {schema}.paused_queues WHERE name = %(name)s RETURNING name

-- name: beat
-- By the time of its own turn: a beat that had to wait for it is no old one.
WITH beaten AS (
    INSERT INTO {schema}.workers AS known
        (id, host, pid, queues, concurrency, lease, boot, ticks, started_at)
    VALUES (
        %(worker)s, %(host)s, %(pid)s, %(queues)s, %(concurrency)s, %(lease)s, {boot}, {ticks},
        {now}
    )
    ON CONFLICT (id) DO UPDATE
    SET lease = excluded.lease, boot = excluded.boot, ticks = excluded.ticks
)
SELECT id, lease, cancel_requested FROM {schema}.jobs
WHERE state = 'running' AND worker = %(worker)s

-- name: retire
DELETE FROM {schema}.workers WHERE id = %(worker)s
