-- name: get
SELECT {job} FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))

-- name: search
-- The empty list of states stands for all of them. A page goes on from the place of a job that
-- was purged meanwhile: ids of one kind rise, so that is after the next lower one.
SELECT {job} FROM jobs
WHERE (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
    AND (:task IS NULL OR task = :task)
    AND (:queue IS NULL OR queue = :queue)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
    AND (:schedule IS NULL OR schedule = :schedule)
    AND (:created_after IS NULL OR created_at >= :created_after)
    AND (:created_before IS NULL OR created_at < :created_before)
    AND (:before IS NULL OR seq < coalesce(
        (SELECT seq FROM jobs WHERE id = :before),
        (SELECT seq + 1 FROM jobs WHERE id < :before ORDER BY id DESC LIMIT 1)
    ))
ORDER BY seq DESC
LIMIT :limit

-- name: stats
-- From the indexes, which between them have every job once. A queue is asked for in a statement
-- of its own: a condition that may be empty would be tried on each of a million rows.
SELECT 'pending', count(*) FROM jobs WHERE phase = 'ready'
UNION ALL
SELECT 'pending', count(*) FROM jobs WHERE phase <> 'ready'
UNION ALL
SELECT 'running', count(*) FROM jobs WHERE state = 'running'
UNION ALL
SELECT state, count(*) FROM jobs WHERE finished_at IS NOT NULL GROUP BY state

-- name: stats_of_queue
SELECT 'pending', count(*) FROM jobs WHERE phase = 'ready' AND queue = :queue
UNION ALL
SELECT 'pending', count(*) FROM jobs WHERE phase <> 'ready' AND queue = :queue
UNION ALL
SELECT 'running', count(*) FROM jobs WHERE state = 'running' AND queue = :queue
UNION ALL
SELECT state, count(*) FROM jobs WHERE finished_at IS NOT NULL AND queue = :queue GROUP BY state

-- name: queues
-- Grouped as the indexes are ordered, which needs no sorting of all pending jobs.
SELECT name, EXISTS (SELECT 1 FROM paused_queues WHERE paused_queues.name = each.name),
    sum(pending), sum(running)
FROM (
    SELECT queue AS name, count(*) AS pending, 0 AS running FROM jobs
    WHERE phase = 'ready' GROUP BY lane, queue
    UNION ALL
    SELECT queue, count(*), 0 FROM jobs WHERE phase <> 'ready' GROUP BY phase, queue
    UNION ALL
    SELECT queue, 0, count(*) FROM jobs WHERE state = 'running' GROUP BY queue
    UNION ALL
    SELECT name, 0, 0 FROM paused_queues
) AS each
GROUP BY name
ORDER BY name

-- name: lapsed
-- SQLite would read all jobs in the order asked for, were it not told that few of them run.
SELECT {job}, beat_boot, :ticks - beat_ticks
FROM jobs INDEXED BY jobs_running LEFT JOIN (
    SELECT id AS beaten, boot AS beat_boot, ticks AS beat_ticks, lease AS beat_lease FROM workers
) ON beaten = worker
WHERE state = 'running' AND (
    beaten IS NULL OR beat_boot <> :boot OR :ticks - beat_ticks > beat_lease
)
ORDER BY seq
LIMIT :limit

-- name: errors
SELECT job_errors.id, jobs.id, job_errors.attempt, type, job_errors.message, traceback, failed_at
FROM jobs JOIN job_errors ON job_errors.job = jobs.seq
WHERE jobs.id = :id ORDER BY job_errors.id

-- name: logs_of_job
SELECT * FROM (
    SELECT job_logs.id, jobs.id, jobs.task, job_logs.attempt, level, job_logs.message, extra,
        logged_at
    FROM jobs JOIN job_logs ON job_logs.job = jobs.seq
    WHERE jobs.id = :job_id
        AND (:task IS NULL OR jobs.task = :task)
        AND (:level IS NULL OR level = :level)
        AND (:since IS NULL OR logged_at >= :since)
    ORDER BY job_logs.id DESC LIMIT :limit
) ORDER BY 1

-- name: logs
-- The newest are read first, as far as is needed: CROSS JOIN keeps this order.
SELECT * FROM (
    SELECT job_logs.id, jobs.id, jobs.task, job_logs.attempt, level, job_logs.message, extra,
        logged_at
    FROM job_logs CROSS JOIN jobs ON job_logs.job = jobs.seq
    WHERE (:task IS NULL OR jobs.task = :task)
        AND (:level IS NULL OR level = :level)
        AND (:since IS NULL OR logged_at >= :since)
    ORDER BY job_logs.id DESC LIMIT :limit
) ORDER BY 1

-- name: metrics_of_job
SELECT * FROM (
    SELECT job_metrics.id, jobs.id, jobs.task, job_metrics.attempt, move, wait, ran, memory,
        recorded_at
    FROM jobs JOIN job_metrics ON job_metrics.job = jobs.seq
    WHERE jobs.id = :job_id
        AND (:task IS NULL OR jobs.task = :task)
        AND (:since IS NULL OR recorded_at >= :since)
    ORDER BY job_metrics.id DESC LIMIT :limit
) ORDER BY 1

-- name: metrics
SELECT * FROM (
    SELECT job_metrics.id, jobs.id, jobs.task, job_metrics.attempt, move, wait, ran, memory,
        recorded_at
    FROM job_metrics CROSS JOIN jobs ON job_metrics.job = jobs.seq
    WHERE (:task IS NULL OR jobs.task = :task)
        AND (:since IS NULL OR recorded_at >= :since)
    ORDER BY job_metrics.id DESC LIMIT :limit
) ORDER BY 1

-- name: parts
SELECT job_parts.id, jobs.id, job_parts.attempt, value, published_at
FROM jobs JOIN job_parts ON job_parts.job = jobs.seq
WHERE jobs.id = :id AND job_parts.id > :after
ORDER BY job_parts.id LIMIT :limit

-- name: parents
SELECT elder.id FROM jobs
JOIN job_dependencies ON job = jobs.seq JOIN jobs AS elder ON elder.seq = parent
WHERE jobs.id = :id ORDER BY place

-- name: dependents
SELECT DISTINCT child.id FROM jobs
JOIN job_dependencies ON parent = jobs.seq JOIN jobs AS child ON child.seq = job
WHERE jobs.id = :id ORDER BY child.seq

-- name: repeats
SELECT origin, job_id, repeated_at FROM repeats WHERE origin = :id ORDER BY repeats.id

-- name: dead_letters
SELECT {job} FROM dead_letters ORDER BY rowid DESC LIMIT :limit OFFSET :offset

-- name: workers
SELECT id, host, pid, queues, concurrency, started_at, lease, boot, :ticks - ticks FROM workers
ORDER BY started_at, id
