-- name: finish
-- The fence: what does not run, under this lease and at whom it was given to, is not touched; who
-- waits for the row's lock looks at it anew. The state is not compared as it is in an index, which
-- on a store where few jobs ran when the plan was made would be taken for the way to them, instead
-- of that by id. Result and state change in one statement: success is never seen without its
-- result. A job that was asked to stop does not run again.
WITH asked AS MATERIALIZED (
    SELECT *, {now} AS now FROM {asked_ends}
),
ended AS (
    UPDATE {schema}.jobs
    SET state = CASE WHEN {halted} THEN 'cancelled' ELSE asked.state END,
        phase = CASE
            WHEN asked.state <> 'pending' OR {halted} THEN NULL
            WHEN coalesce(asked.now + asked.delay, run_at) <= asked.now THEN 'ready'
            ELSE 'later'
        END,
        run_at = CASE
            WHEN asked.state <> 'pending' OR {halted} THEN run_at
            ELSE coalesce(asked.now + asked.delay, run_at)
        END,
        attempt = attempt - CASE WHEN {halted} THEN 0 ELSE asked.given_back END,
        crashes = crashes + asked.crashed,
        error = CASE
            WHEN {halted} THEN %(stopped)s
            WHEN asked.state = 'complete' THEN NULL
            ELSE coalesce(asked.error, jobs.error)
        END,
        result = CASE asked.state WHEN 'complete' THEN asked.result END,
        progress = CASE asked.state WHEN 'complete' THEN 100 ELSE progress END,
        worker = NULL,
        finished_at = CASE
            WHEN asked.state = 'pending' AND NOT {halted} THEN NULL ELSE asked.now
        END,
        -- A key that is held for a window stays held.
        held_key = CASE
            WHEN asked.state = 'pending' AND NOT {halted} THEN held_key
            WHEN key_until IS NULL THEN NULL
            ELSE held_key
        END,
        version = version + 1
    FROM asked
    WHERE jobs.id = asked.id AND jobs.lease = asked.lease AND jobs.state || '' = 'running'
        AND {of_holder}
    RETURNING jobs.seq, jobs.id, jobs.state, jobs.lane, jobs.awaited,
        jobs.attempt + CASE
            WHEN asked.state = 'pending' AND NOT {halted} THEN asked.given_back ELSE 0
        END AS attempt,
        CASE
            WHEN {halted} THEN 'cancel' ELSE asked.move
        END AS move,
        jobs.waited, asked.ran, asked.memory, asked.now, asked.place
),
measured AS (
    INSERT INTO {schema}.job_metrics (job, attempt, move, wait, ran, memory, recorded_at)
    SELECT seq, attempt, move, waited / 1000.0, ran, memory, now FROM ended WHERE ran IS NOT NULL
    ORDER BY place
)
SELECT id, seq, attempt, state, lane, awaited FROM ended

-- name: complete
-- `finish` for successes alone, as most ends are: with so much less to decide and to send, a job
-- takes a tenth less of the server's time, and 2 us less of the worker's. Those whose end others wait for are left out, so that
-- the rest needs no transaction beyond this statement.
WITH asked AS MATERIALIZED (
    SELECT *, {now} AS now FROM {asked_completes}
),
ended AS (
    UPDATE {schema}.jobs
    SET state = 'complete', error = NULL, result = asked.result, progress = 100, worker = NULL,
        finished_at = asked.now, version = version + 1,
        held_key = CASE WHEN key_until IS NULL THEN NULL ELSE held_key END
    FROM asked
    WHERE jobs.id = asked.id AND jobs.lease = asked.lease AND jobs.state || '' = 'running'
        AND {of_holder}
        AND NOT awaited
    RETURNING jobs.seq, jobs.id, jobs.lane, jobs.attempt, jobs.waited,
        asked.ran, asked.memory, asked.now, asked.place
),
measured AS (
    INSERT INTO {schema}.job_metrics (job, attempt, move, wait, ran, memory, recorded_at)
    SELECT seq, attempt, 'complete', waited / 1000.0, ran, memory, now
    FROM ended WHERE ran IS NOT NULL
    ORDER BY place
)
SELECT id, lane FROM ended

-- name: ended_already
-- Of those that a commit without an answer may have ended: which are as it would have left them.
SELECT asked.id FROM {asked_ends}
JOIN {schema}.jobs ON jobs.id = asked.id AND jobs.lease = asked.lease
WHERE jobs.state = asked.state
    OR (asked.state = 'pending' AND jobs.state = 'cancelled' AND jobs.cancel_requested)

-- name: insert_errors
INSERT INTO {schema}.job_errors (job, attempt, type, message, traceback, failed_at)
SELECT job, attempt, type, message, traceback, {now}
FROM unnest(
    %(jobs)s::bigint[], %(attempts)s::int[], %(types)s::text[], %(messages)s::text[],
    %(tracebacks)s::text[]
) WITH ORDINALITY AS failed (job, attempt, type, message, traceback, place)
ORDER BY place

-- name: forget_dead_letters
-- The id may have died before, as a job that was purged since: the newest letter stays.
DELETE FROM {schema}.dead_letters
WHERE id = ANY (ARRAY(SELECT jobs.id FROM {schema}.jobs WHERE seq = ANY (%(seqs)s::bigint[])))

-- name: insert_dead_letters
INSERT INTO {schema}.dead_letters ({columns})
SELECT {columns} FROM {schema}.jobs WHERE seq = ANY (%(seqs)s::bigint[])
ORDER BY array_position(%(seqs)s::bigint[], seq)

-- name: lane_waits
SELECT EXISTS (
    SELECT FROM {schema}.jobs
    WHERE phase = 'ready' AND lane IS NOT NULL AND lane = ANY (%(lanes)s::text[])
)

-- name: report
-- The fence is that of `finish`.
UPDATE {schema}.jobs
SET progress = coalesce(asked.progress, jobs.progress),
    message = coalesce(asked.message, jobs.message), data = coalesce(asked.data, jobs.data),
    version = version + 1
FROM unnest(
    %(ids)s::text[], %(leases)s::bigint[], %(progress)s::int[], %(messages)s::text[],
    %(data)s::bytea[]
) AS asked (id, lease, progress, message, data)
WHERE jobs.id = asked.id AND jobs.lease = asked.lease AND jobs.state || '' = 'running'
    AND {of_holder}
RETURNING jobs.id, jobs.seq, jobs.attempt

-- name: insert_logs
INSERT INTO {schema}.job_logs (job, attempt, level, message, extra, logged_at)
SELECT job, attempt, level, message, extra, {now}
FROM unnest(
    %(jobs)s::bigint[], %(attempts)s::int[], %(levels)s::text[], %(messages)s::text[],
    %(extras)s::text[]
) WITH ORDINALITY AS logged (job, attempt, level, message, extra, place)
ORDER BY place

-- name: insert_parts
INSERT INTO {schema}.job_parts (job, attempt, value, published_at)
SELECT job, attempt, value, {now}
FROM unnest(%(jobs)s::bigint[], %(attempts)s::int[], %(values)s::bytea[])
    WITH ORDINALITY AS published (job, attempt, value, place)
ORDER BY place
