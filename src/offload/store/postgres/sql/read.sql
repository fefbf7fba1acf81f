-- name: get
SELECT {job} FROM {schema}.jobs WHERE id = ANY (%(ids)s::text[])

-- name: get_one
-- For a list the server makes a plan each time, which takes it three times as long as the rest: it
-- guesses that any list is longer than the one it sees.
SELECT {job} FROM {schema}.jobs WHERE id = %(id)s::text

-- name: search
-- A page goes on from the place of a job that was purged meanwhile: ids of one kind rise, so that
-- is after the next lower one.
SELECT {job} FROM {schema}.jobs
WHERE (%(states)s::text[] IS NULL OR state = ANY (%(states)s::text[]))
    AND (%(task)s::text IS NULL OR task = %(task)s::text)
    AND (%(queue)s::text IS NULL OR queue = %(queue)s::text)
    AND (%(tag)s::text IS NULL OR %(tag)s::text = ANY (tags))
    AND (%(schedule)s::text IS NULL OR schedule = %(schedule)s::text)
    AND (%(created_after)s::bigint IS NULL OR created_at >= %(created_after)s::bigint)
    AND (%(created_before)s::bigint IS NULL OR created_at < %(created_before)s::bigint)
    AND (%(before)s::text IS NULL OR seq < coalesce(
        (SELECT seq FROM {schema}.jobs WHERE id = %(before)s::text),
        (
            SELECT seq + 1 FROM {schema}.jobs WHERE id < %(before)s::text
            ORDER BY id DESC LIMIT 1
        )
    ))
ORDER BY seq DESC
LIMIT %(limit)s

-- name: stats
-- From the indexes, which between them have every job once.
SELECT 'pending', count(*) FROM {schema}.jobs
WHERE phase = 'ready' AND lane IS NULL AND {of_queue}
UNION ALL
SELECT 'pending', count(*) FROM {schema}.jobs
WHERE phase = 'ready' AND lane IS NOT NULL AND {of_queue}
UNION ALL
SELECT 'pending', count(*) FROM {schema}.jobs WHERE phase = 'later' AND {of_queue}
UNION ALL
SELECT 'pending', count(*) FROM {schema}.jobs WHERE phase = 'blocked' AND {of_queue}
UNION ALL
SELECT 'running', count(*) FROM {schema}.jobs WHERE state = 'running' AND {of_queue}
UNION ALL
SELECT state, count(*) FROM {schema}.jobs
WHERE finished_at IS NOT NULL AND result_ttl IS NULL AND {of_queue} GROUP BY state
UNION ALL
SELECT state, count(*) FROM {schema}.jobs
WHERE finished_at IS NOT NULL AND result_ttl IS NOT NULL AND {of_queue} GROUP BY state

-- name: queues
SELECT name, EXISTS (SELECT FROM {schema}.paused_queues WHERE paused_queues.name = each.name),
    sum(pending)::bigint, sum(running)::bigint
FROM (
    SELECT queue AS name, count(*) AS pending, 0 AS running FROM {schema}.jobs
    WHERE phase = 'ready' AND lane IS NULL GROUP BY queue
    UNION ALL
    SELECT queue, count(*), 0 FROM {schema}.jobs
    WHERE phase = 'ready' AND lane IS NOT NULL GROUP BY queue
    UNION ALL
    SELECT queue, count(*), 0 FROM {schema}.jobs WHERE phase = 'later' GROUP BY queue
    UNION ALL
    SELECT queue, count(*), 0 FROM {schema}.jobs WHERE phase = 'blocked' GROUP BY queue
    UNION ALL
    SELECT queue, 0, count(*) FROM {schema}.jobs WHERE state = 'running' GROUP BY queue
    UNION ALL
    SELECT paused_queues.name, 0, 0 FROM {schema}.paused_queues
) AS each
GROUP BY name
ORDER BY name

-- name: lapsed
-- The few that run are looked through apart: in the order that is asked for, all jobs would be.
WITH silent AS MATERIALIZED (
    SELECT jobs.seq AS silent_seq, beats.boot = {boot} AS same_boot, {ticks} - beats.ticks AS age
    FROM {schema}.jobs LEFT JOIN {schema}.workers AS beats ON beats.id = jobs.worker
    WHERE jobs.state = 'running' AND (
        beats.id IS NULL OR beats.boot <> {boot} OR {ticks} - beats.ticks > beats.lease
    )
    ORDER BY jobs.seq + 0
    LIMIT %(limit)s
)
SELECT {job}, same_boot, age FROM silent JOIN {schema}.jobs ON seq = silent_seq
WHERE state = 'running'
ORDER BY silent_seq

-- name: errors
SELECT job_errors.id, jobs.id, job_errors.attempt, type, job_errors.message, traceback, failed_at
FROM {schema}.jobs JOIN {schema}.job_errors ON job_errors.job = jobs.seq
WHERE jobs.id = %(id)s ORDER BY job_errors.id

-- name: logs
SELECT * FROM (
    SELECT job_logs.id, jobs.id AS job_id, jobs.task, job_logs.attempt, level, job_logs.message,
        extra, logged_at
    FROM {schema}.job_logs JOIN {schema}.jobs ON job_logs.job = jobs.seq
    WHERE (%(job_id)s::text IS NULL OR jobs.id = %(job_id)s::text)
        AND (%(task)s::text IS NULL OR jobs.task = %(task)s::text)
        AND (%(level)s::text IS NULL OR level = %(level)s::text)
        AND (%(since)s::bigint IS NULL OR logged_at >= %(since)s::bigint)
    ORDER BY job_logs.id DESC LIMIT %(limit)s
) AS newest ORDER BY id

-- name: metrics
SELECT * FROM (
    SELECT job_metrics.id, jobs.id AS job_id, jobs.task, job_metrics.attempt, move, wait, ran,
        memory, recorded_at
    FROM {schema}.job_metrics JOIN {schema}.jobs ON job_metrics.job = jobs.seq
    WHERE (%(job_id)s::text IS NULL OR jobs.id = %(job_id)s::text)
        AND (%(task)s::text IS NULL OR jobs.task = %(task)s::text)
        AND (%(since)s::bigint IS NULL OR recorded_at >= %(since)s::bigint)
    ORDER BY job_metrics.id DESC LIMIT %(limit)s
) AS newest ORDER BY id

-- name: parts
SELECT job_parts.id, jobs.id, job_parts.attempt, value, published_at
FROM {schema}.jobs JOIN {schema}.job_parts ON job_parts.job = jobs.seq
WHERE jobs.id = %(id)s AND job_parts.id > %(after)s
ORDER BY job_parts.id LIMIT %(limit)s

-- name: parents_of
SELECT elder.id FROM {schema}.jobs
JOIN {schema}.job_dependencies ON job = jobs.seq
JOIN {schema}.jobs AS elder ON elder.seq = parent
WHERE jobs.id = %(id)s ORDER BY place

-- name: dependents_of
SELECT DISTINCT child.id, child.seq FROM {schema}.jobs
JOIN {schema}.job_dependencies ON parent = jobs.seq
JOIN {schema}.jobs AS child ON child.seq = job
WHERE jobs.id = %(id)s ORDER BY child.seq

-- name: repeats
SELECT origin, job_id, repeated_at FROM {schema}.repeats WHERE origin = %(id)s ORDER BY repeats.id

-- name: dead_letters
SELECT {job} FROM {schema}.dead_letters ORDER BY place DESC LIMIT %(limit)s OFFSET %(offset)s

-- name: workers
SELECT id, host, pid, queues, concurrency, started_at, {ticks} - ticks,
    boot = {boot} AND {ticks} - ticks <= lease
FROM {schema}.workers
ORDER BY started_at, id

-- name: identity
-- A copy of the whole server has the same, but then, nobody has both.
SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database())
FROM pg_control_system()
