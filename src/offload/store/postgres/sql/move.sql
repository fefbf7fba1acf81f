-- name: packed
SELECT {job}, jobs.seq, {kept}, lane_interval, lane_most, lane_started
FROM {schema}.jobs LEFT JOIN (
    SELECT name, interval AS lane_interval, max_running AS lane_most, started_at AS lane_started
    FROM {schema}.lanes
) AS lane_of ON name = lane
WHERE seq > %(after)s AND state <> 'running'
ORDER BY seq LIMIT %(limit)s

-- name: packed_parents
SELECT job_dependencies.job, elder.id
FROM {schema}.job_dependencies JOIN {schema}.jobs AS elder ON elder.seq = parent
WHERE job_dependencies.job = ANY (%(seqs)s::bigint[]) ORDER BY job, place

-- name: packed_errors
SELECT job, id, attempt, type, message, traceback, failed_at FROM {schema}.job_errors
WHERE job = ANY (%(seqs)s::bigint[]) ORDER BY id

-- name: packed_logs
SELECT job, id, attempt, level, message, extra, logged_at FROM {schema}.job_logs
WHERE job = ANY (%(seqs)s::bigint[]) ORDER BY id

-- name: packed_parts
SELECT job, id, attempt, value, published_at FROM {schema}.job_parts
WHERE job = ANY (%(seqs)s::bigint[]) ORDER BY id

-- name: packed_metrics
SELECT job, id, attempt, move, wait, ran, memory, recorded_at FROM {schema}.job_metrics
WHERE job = ANY (%(seqs)s::bigint[]) ORDER BY id

-- name: packed_repeats
SELECT jobs.seq, repeats.origin, job_id, repeated_at
FROM {schema}.jobs JOIN {schema}.repeats ON repeats.origin = jobs.id
WHERE jobs.seq = ANY (%(seqs)s::bigint[]) ORDER BY repeats.id

-- name: unpack_job
INSERT INTO {schema}.jobs ({job}, {kept}, awaited) VALUES ({holes}, {kept_holes}, false)
ON CONFLICT (id) DO NOTHING RETURNING seq

-- name: unpack_lane
INSERT INTO {schema}.lanes (name, interval, max_running, started_at)
VALUES (%(name)s, %(interval)s, %(max_running)s, %(started_at)s)
ON CONFLICT DO NOTHING

-- name: unpack_error
INSERT INTO {schema}.job_errors (job, attempt, type, message, traceback, failed_at)
VALUES (%(job)s, %(attempt)s, %(type)s, %(message)s, %(traceback)s, %(failed_at)s)

-- name: unpack_log
INSERT INTO {schema}.job_logs (job, attempt, level, message, extra, logged_at)
VALUES (%(job)s, %(attempt)s, %(level)s, %(message)s, %(extra)s, %(logged_at)s)

-- name: unpack_part
INSERT INTO {schema}.job_parts (job, attempt, value, published_at)
VALUES (%(job)s, %(attempt)s, %(value)s, %(published_at)s)

-- name: unpack_metric
INSERT INTO {schema}.job_metrics (job, attempt, move, wait, ran, memory, recorded_at)
VALUES (%(job)s, %(attempt)s, %(move)s, %(wait)s, %(ran)s, %(memory)s, %(recorded_at)s)

-- name: unpack_repeat
INSERT INTO {schema}.repeats (origin, job_id, repeated_at)
VALUES (%(origin)s, %(job_id)s, %(repeated_at)s)

-- name: forget
-- Who enqueues a job that will wait for this one locks it first, and so finds it gone.
DELETE FROM {schema}.jobs
WHERE id = %(id)s AND version = %(version)s AND state <> 'running'
    AND NOT EXISTS (SELECT FROM {schema}.job_dependencies WHERE parent = jobs.seq)
RETURNING seq, id, origin

-- name: put_letter
INSERT INTO {schema}.dead_letters ({job}, seq, on_parent_failure, inputs, awaited)
VALUES ({holes}, 0, 'cancel', 'none', false)
ON CONFLICT (id) DO NOTHING

-- name: drop_letters
DELETE FROM {schema}.dead_letters WHERE id = ANY (%(ids)s::text[])

-- name: await_claims
-- Every claim has read this table, and holds on to that until it is through. Those that come
-- later see the pause.
LOCK TABLE {schema}.paused_queues IN ACCESS EXCLUSIVE MODE
