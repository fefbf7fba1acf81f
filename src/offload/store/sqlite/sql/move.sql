-- name: packed
SELECT {job}, seq, {kept}, lane_interval, lane_most, lane_started
FROM jobs LEFT JOIN (
    SELECT name, interval AS lane_interval, max_running AS lane_most, started_at AS lane_started
    FROM lanes
) ON name = lane
WHERE seq > :after AND state <> 'running'
ORDER BY seq LIMIT :limit

-- name: packed_parents
SELECT job_dependencies.job, elder.id FROM job_dependencies JOIN jobs AS elder ON elder.seq = parent
WHERE job_dependencies.job IN (SELECT value FROM json_each(:seqs)) ORDER BY job, place

-- name: packed_errors
SELECT job, id, attempt, type, message, traceback, failed_at FROM job_errors
WHERE job IN (SELECT value FROM json_each(:seqs)) ORDER BY id

-- name: packed_logs
SELECT job, id, attempt, level, message, extra, logged_at FROM job_logs
WHERE job IN (SELECT value FROM json_each(:seqs)) ORDER BY id

-- name: packed_parts
SELECT job, id, attempt, value, published_at FROM job_parts
WHERE job IN (SELECT value FROM json_each(:seqs)) ORDER BY id

-- name: packed_metrics
SELECT job, id, attempt, move, wait, ran, memory, recorded_at FROM job_metrics
WHERE job IN (SELECT value FROM json_each(:seqs)) ORDER BY id

-- name: packed_repeats
SELECT jobs.seq, repeats.origin, job_id, repeated_at FROM jobs JOIN repeats ON repeats.origin = jobs.id
WHERE jobs.seq IN (SELECT value FROM json_each(:seqs)) ORDER BY repeats.id

-- name: unpack_job
INSERT INTO jobs ({job}, {kept}) VALUES ({holes}, {kept_holes}) RETURNING seq

-- name: unpack_lane
INSERT INTO lanes (name, interval, max_running, started_at) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: unpack_repeat
INSERT INTO repeats (origin, job_id, repeated_at) VALUES (?, ?, ?)

-- name: forgettable
SELECT seq FROM jobs
WHERE id = ? AND version = ? AND state <> 'running'
    AND NOT EXISTS (SELECT 1 FROM job_dependencies WHERE parent = jobs.seq)

-- name: put_letter
INSERT INTO dead_letters ({job}) VALUES ({holes}) ON CONFLICT (id) DO NOTHING

-- name: drop_letter
DELETE FROM dead_letters WHERE id = ?
