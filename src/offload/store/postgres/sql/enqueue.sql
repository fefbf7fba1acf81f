-- name: insert_jobs
-- In the order in which they were asked for, which is that of their `seq`. A conflict on the id
-- stores nothing: the caller then looks up what is there. Any other violation still raises. With
-- `early`, workers see the jobs before the disk has them; a `flush` comes behind it.
INSERT INTO {schema}.jobs (
    id, task, queue, lane, phase, priority, run_at, created_at, blockers,
    max_retries, backoff, max_retry_delay, retry_delays, timeout, expires_at, result_ttl,
    unique_key, held_key, key_scope, key_until, on_parent_failure, inputs,
    metadata, tags, origin, schedule, tick, payload
)
SELECT
    id, task, queue, lane,
    CASE
        WHEN %(blockers)s > 0 THEN 'blocked'
        WHEN coalesce(run_at, now + delay) <= now THEN 'ready'
        ELSE 'later'
    END,
    priority, greatest(coalesce(run_at, now + delay), now), now, %(blockers)s::int,
    max_retries, backoff, max_retry_delay, retry_delays, timeout, now + expires, result_ttl,
    unique_key, unique_key, key_scope, now + key_window, on_parent_failure, inputs,
    metadata, tags::text[], origin, schedule, tick, payload
FROM {asked_jobs}, (SELECT {now} AS now) AS clock
WHERE NOT %(early)s::boolean OR (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
ORDER BY place
ON CONFLICT (id) DO NOTHING
RETURNING id, created_at

-- name: copy_jobs
COPY {schema}.jobs ({copied}) FROM STDIN

-- name: flush
-- What was committed before is on the disk when this is: a commit that writes nothing waits for none.
SELECT pg_logical_emit_message(true, 'offload', '')

-- name: known
SELECT id FROM {schema}.jobs WHERE id = ANY (%(ids)s::text[])

-- name: parents
-- Nobody may end them before whom they keep waiting is stored; in one order, so that two who
-- enqueue do not wait for each other.
SELECT {job}, jobs.seq FROM {schema}.jobs WHERE id = ANY (%(ids)s::text[])
ORDER BY seq
FOR NO KEY UPDATE

-- name: await_parents
UPDATE {schema}.jobs SET awaited = true WHERE seq = ANY (%(seqs)s::bigint[]) AND NOT awaited

-- name: drop_key
-- A window that is over ends with the next enqueue, not by itself.
UPDATE {schema}.jobs SET held_key = NULL WHERE held_key = %(key)s AND key_until <= {now}

-- name: holder
SELECT id, state FROM {schema}.jobs WHERE held_key = %(key)s

-- name: lanes
SELECT name, interval, max_running FROM {schema}.lanes WHERE name = ANY (%(names)s::text[])

-- name: put_lane
INSERT INTO {schema}.lanes (name, interval, max_running)
VALUES (%(name)s, %(interval)s, %(max_running)s)
ON CONFLICT (name) DO UPDATE SET interval = excluded.interval, max_running = excluded.max_running
WHERE excluded.interval IS NOT NULL OR excluded.max_running IS NOT NULL

-- name: insert_dependencies
INSERT INTO {schema}.job_dependencies (job, place, parent)
SELECT jobs.seq, place, parent
FROM unnest(%(parents)s::bigint[]) WITH ORDINALITY AS asked (parent, place), {schema}.jobs
WHERE jobs.id = %(id)s

-- name: stillborn
-- A parent has no result already: the job ends as it comes in, in the version it came in.
UPDATE {schema}.jobs
SET state = 'cancelled', phase = NULL, finished_at = created_at, error = %(error)s,
    held_key = CASE WHEN key_until IS NULL THEN NULL ELSE held_key END
WHERE id = %(id)s
