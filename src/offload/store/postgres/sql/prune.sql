-- name: old_jobs
-- Not while it holds its key, nor while somebody waits for it. Who enqueues a job that will wait
-- for one of these locks it first, and so is skipped, or finds it gone.
SELECT seq FROM {schema}.jobs
WHERE finished_at IS NOT NULL AND result_ttl IS NULL AND finished_at < %(before)s AND {free}
ORDER BY finished_at LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: outlived_jobs
-- A job's own result_ttl comes before the age that was asked for.
SELECT seq FROM {schema}.jobs
WHERE finished_at IS NOT NULL AND result_ttl IS NOT NULL
    AND finished_at + result_ttl * 1000 < {now} AND {free}
ORDER BY finished_at + result_ttl * 1000 LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: prune_jobs
-- Looked at once more, now that they are locked: somebody may have begun to wait for one.
DELETE FROM {schema}.jobs WHERE seq = ANY (%(seqs)s::bigint[]) AND {free} RETURNING seq, id, origin

-- name: prune_beside
WITH errors AS (
    DELETE FROM {schema}.job_errors WHERE job = ANY (%(seqs)s::bigint[]) RETURNING 1
),
logs AS (
    DELETE FROM {schema}.job_logs WHERE job = ANY (%(seqs)s::bigint[]) RETURNING 1
),
metrics AS (
    DELETE FROM {schema}.job_metrics WHERE job = ANY (%(seqs)s::bigint[]) RETURNING 1
),
parts AS (
    DELETE FROM {schema}.job_parts WHERE job = ANY (%(seqs)s::bigint[])
),
parents AS (
    DELETE FROM {schema}.job_dependencies WHERE job = ANY (%(seqs)s::bigint[])
),
dependents AS (
    -- Both sides of one dependency may go at once, and a row can be deleted only once.
    DELETE FROM {schema}.job_dependencies
    WHERE parent = ANY (%(seqs)s::bigint[]) AND job <> ALL (%(seqs)s::bigint[])
),
repeats AS (
    -- A dead letter may have been retried when its job was gone: that goes with the new one.
    DELETE FROM {schema}.repeats
    WHERE origin = ANY (%(ids)s::text[]) OR origin = ANY (%(origins)s::text[])
        AND NOT EXISTS (SELECT FROM {schema}.jobs WHERE jobs.id = repeats.origin)
)
SELECT (SELECT count(*) FROM errors) + (SELECT count(*) FROM logs) + (SELECT count(*) FROM metrics)

-- name: prune_errors
DELETE FROM {schema}.job_errors WHERE id = ANY (ARRAY(
    SELECT id FROM {schema}.job_errors WHERE failed_at < %(before)s
    ORDER BY failed_at LIMIT %(limit)s
)) RETURNING 1

-- name: prune_logs
DELETE FROM {schema}.job_logs WHERE id = ANY (ARRAY(
    SELECT id FROM {schema}.job_logs WHERE logged_at < %(before)s
    ORDER BY logged_at LIMIT %(limit)s
)) RETURNING 1

-- name: prune_metrics
-- Without an index on the age, which each finished attempt would pay for: they are kept in the
-- order in which they were recorded, so that the old ones are the first.
DELETE FROM {schema}.job_metrics
WHERE id = ANY (ARRAY(SELECT id FROM {schema}.job_metrics ORDER BY id LIMIT %(limit)s))
    AND recorded_at < %(before)s
RETURNING 1

-- name: prune_dead_letters
DELETE FROM {schema}.dead_letters WHERE place = ANY (ARRAY(
    SELECT place FROM {schema}.dead_letters WHERE finished_at < %(before)s
    ORDER BY finished_at LIMIT %(limit)s
)) RETURNING 1

-- name: prune_workers
DELETE FROM {schema}.workers
WHERE (boot <> {boot} OR {ticks} - ticks > lease + %(forget)s)
    AND NOT EXISTS (SELECT FROM {schema}.jobs WHERE state = 'running' AND worker = workers.id)
