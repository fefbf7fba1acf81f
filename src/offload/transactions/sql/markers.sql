-- name: create_markers
-- `run` tells whose marker it is, `lease` tells people; `created_at` is in Unix milliseconds.
CREATE TABLE IF NOT EXISTS offload_markers (
    job_id {name} NOT NULL,
    step {name} NOT NULL,
    run {name} NOT NULL,
    lease BIGINT NOT NULL,
    result {text},
    created_at BIGINT NOT NULL,
    PRIMARY KEY (job_id, step)
)

-- name: mark
-- Of two runs of a job, one waits here for the other's end. It takes the lock for writing at once,
-- which SQLite may refuse to a transaction that has read before.
INSERT INTO offload_markers (job_id, step, run, lease, created_at)
VALUES (:job_id, :step, :run, :lease, :created_at)
ON CONFLICT DO NOTHING

-- name: mark_in_mysql
INSERT IGNORE INTO offload_markers (job_id, step, run, lease, created_at)
VALUES (:job_id, :step, :run, :lease, :created_at)

-- name: marker
SELECT run, result FROM offload_markers WHERE job_id = :job_id AND step = :step

-- name: keep_result
UPDATE offload_markers SET result = :result WHERE job_id = :job_id AND step = :step

-- name: purge_markers
DELETE FROM offload_markers WHERE created_at < :before
