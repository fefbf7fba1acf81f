-- name: old_jobs
-- Not while it holds its key, nor while somebody waits for it.
SELECT seq, id FROM jobs
WHERE state = :state AND finished_at IS NOT NULL
    AND finished_at + result_ttl * 1000 IS NULL AND finished_at < :before AND {free}
ORDER BY finished_at LIMIT :limit

-- name: outlived_jobs
-- A job's own result_ttl comes before the age that was asked for.
SELECT seq, id FROM jobs
WHERE state = :state AND finished_at IS NOT NULL AND finished_at + result_ttl * 1000 < :now
    AND {free}
ORDER BY finished_at + result_ttl * 1000 LIMIT :limit

-- name: prune_job
DELETE FROM jobs WHERE seq = ?

-- name: prune_errors_of
DELETE FROM job_errors WHERE job = ?

-- name: prune_logs_of
DELETE FROM job_logs WHERE job = ?

-- name: prune_metrics_of
DELETE FROM job_metrics WHERE job = ?

-- name: prune_parts_of
DELETE FROM job_parts WHERE job = ?

-- name: prune_dependencies_of
DELETE FROM job_dependencies WHERE job = ?

-- name: prune_dependents_of
DELETE FROM job_dependencies WHERE parent = ?

-- name: prune_repeats_of
DELETE FROM repeats WHERE origin = ?

-- name: prune_repeats_with
-- A dead letter may have been retried when its job was gone, so nothing else takes that along.
DELETE FROM repeats
WHERE origin = (SELECT origin FROM jobs WHERE seq = ?)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = repeats.origin)

-- name: prune_errors
DELETE FROM job_errors WHERE id IN (
    SELECT id FROM job_errors WHERE failed_at < :before ORDER BY failed_at LIMIT :limit
)

-- name: prune_logs
DELETE FROM job_logs WHERE id IN (
    SELECT id FROM job_logs WHERE logged_at < :before ORDER BY logged_at LIMIT :limit
)

-- name: prune_metrics
-- Without an index on the age, which each finished attempt would pay for: they are kept in the
-- order in which they were recorded, so that the old ones are the first.
DELETE FROM job_metrics WHERE id IN (SELECT id FROM job_metrics ORDER BY id LIMIT :limit)
    AND recorded_at < :before

-- name: prune_dead_letters
DELETE FROM dead_letters WHERE rowid IN (
    SELECT rowid FROM dead_letters WHERE finished_at < :before ORDER BY finished_at LIMIT :limit
)

-- name: prune_workers
DELETE FROM workers
WHERE (boot <> :boot OR :ticks - ticks > lease + :forget)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = workers.id)
