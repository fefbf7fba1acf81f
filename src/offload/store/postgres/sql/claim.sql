-- name: claim
-- In the plain case (one open queue has ready jobs, no lane has, nothing is due or expired) this
-- one statement is the whole claim. In any other it takes nothing, and `more` says to go the long
-- way. MATERIALIZED: the planner may run a LIMIT inside an IN twice, and so claim too many. SKIP
-- LOCKED: what another worker is just taking is not waited for. `lax`: nobody waits for the disk. A
-- crash of the server may take back that a job had begun, and it is pending again; but not where its
-- attempt must be counted, for it is the last one, or that of a suspect (`Job.may_wait`).
WITH RECURSIVE clock AS MATERIALIZED (SELECT {now} AS now),
ready(name) AS (
    SELECT (SELECT min(queue) FROM {schema}.jobs WHERE phase = 'ready' AND lane IS NULL)
    UNION ALL
    SELECT (
        SELECT min(queue) FROM {schema}.jobs
        WHERE phase = 'ready' AND lane IS NULL AND queue > ready.name
    )
    FROM ready WHERE ready.name IS NOT NULL
),
later(name) AS (
    SELECT (SELECT min(queue) FROM {schema}.jobs WHERE phase = 'later')
    UNION ALL
    SELECT (
        SELECT min(queue) FROM {schema}.jobs WHERE phase = 'later' AND queue > later.name
    )
    FROM later WHERE later.name IS NOT NULL
),
look AS MATERIALIZED (
    SELECT clock.now,
        (SELECT min(name) FROM ready WHERE {wanted}) AS queue,
        (
            SELECT min((
                SELECT min(run_at) FROM {schema}.jobs WHERE phase = 'later' AND queue = later.name
            ))
            FROM later WHERE {wanted}
        ) AS due,
        (SELECT count(*) > 1 FROM ready WHERE {wanted})
        OR EXISTS (SELECT FROM {schema}.jobs WHERE phase = 'ready' AND lane IS NOT NULL)
        OR EXISTS (
            SELECT FROM {schema}.jobs
            WHERE state = 'pending' AND expires_at IS NOT NULL AND expires_at <= clock.now
        ) AS more
    FROM clock
),
plain AS MATERIALIZED (
    SELECT queue FROM look WHERE NOT more AND (due IS NULL OR due > now)
),
taken AS MATERIALIZED (
    SELECT seq FROM {schema}.jobs
    WHERE phase = 'ready' AND lane IS NULL AND queue = (SELECT plain.queue FROM plain)
    ORDER BY priority DESC, run_at, seq
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
claimed AS (
    -- Not a join: for that, the planner takes a tenth of all that is ready as the LIMIT, and then
    -- walks through the whole index by `seq`, past all that has ended.
    UPDATE {schema}.jobs SET {claimed} FROM clock
    WHERE jobs.seq = ANY (ARRAY(SELECT taken.seq FROM taken))
    RETURNING {job}, jobs.seq
),
lax AS MATERIALIZED (
    SELECT CASE
        WHEN bool_and(crashes = 0 AND attempt <= max_retries)
        THEN set_config('synchronous_commit', 'off', true)
    END
    FROM claimed
)
SELECT look.now, look.due, look.more OR coalesce(look.due <= look.now, false), claimed.*
FROM look CROSS JOIN lax LEFT JOIN claimed ON true

-- name: expire
UPDATE {schema}.jobs
SET state = 'cancelled', phase = NULL, finished_at = {now}, error = 'expired',
    held_key = CASE WHEN key_until IS NULL THEN NULL ELSE held_key END, version = version + 1
WHERE seq = ANY (ARRAY(
    SELECT seq FROM {schema}.jobs
    WHERE state = 'pending' AND expires_at IS NOT NULL AND expires_at <= {now}
    ORDER BY expires_at LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
))
RETURNING seq, awaited

-- name: later_queues
-- One seek a queue, however many jobs wait in each; DISTINCT would read them all.
WITH RECURSIVE names(name) AS (
    SELECT (SELECT min(queue) FROM {schema}.jobs WHERE phase = 'later')
    UNION ALL
    SELECT (
        SELECT min(queue) FROM {schema}.jobs WHERE phase = 'later' AND queue > names.name
    )
    FROM names WHERE names.name IS NOT NULL
)
SELECT name, (
    SELECT min(run_at) FROM {schema}.jobs WHERE phase = 'later' AND queue = names.name
)
FROM names WHERE {wanted}

-- name: promote
UPDATE {schema}.jobs SET phase = 'ready'
WHERE seq = ANY (ARRAY(
    SELECT seq FROM {schema}.jobs
    WHERE phase = 'later' AND queue = ANY (%(due)s::text[]) AND run_at <= {now}
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
))

-- name: ready_queues
WITH RECURSIVE names(name) AS (
    SELECT (SELECT min(queue) FROM {schema}.jobs WHERE phase = 'ready' AND lane IS NULL)
    UNION ALL
    SELECT (
        SELECT min(queue) FROM {schema}.jobs
        WHERE phase = 'ready' AND lane IS NULL AND queue > names.name
    )
    FROM names WHERE names.name IS NOT NULL
)
SELECT name FROM names WHERE {wanted}

-- name: first_ready
-- A queue at a time from its own end of the index, whatever waits in the others.
SELECT line.seq, line.priority, line.run_at
FROM unnest(%(ready)s::text[]) AS names(name), LATERAL (
    SELECT seq, priority, run_at FROM {schema}.jobs
    WHERE phase = 'ready' AND lane IS NULL AND queue = names.name
        AND (expires_at IS NULL OR expires_at > {now})
    ORDER BY priority DESC, run_at, seq
    LIMIT %(limit)s
) AS line

-- name: ready_lanes
-- One seek a lane and queue in which a job waits, however many do.
WITH RECURSIVE heads(lane, queue) AS (
    (
        SELECT lane, queue FROM {schema}.jobs WHERE phase = 'ready' AND lane IS NOT NULL
        ORDER BY lane, queue LIMIT 1
    )
    UNION ALL
    SELECT next.lane, next.queue FROM heads, LATERAL (
        SELECT lane, queue FROM {schema}.jobs
        WHERE phase = 'ready' AND lane IS NOT NULL AND (lane, queue) > (heads.lane, heads.queue)
        ORDER BY lane, queue LIMIT 1
    ) AS next
)
SELECT heads.lane, heads.queue, lanes.interval, lanes.started_at, lanes.max_running - (
    SELECT count(*) FROM {schema}.jobs AS held
    WHERE held.state = 'running' AND held.lane IS NOT NULL AND held.lane = heads.lane
)
FROM heads JOIN {schema}.lanes ON lanes.name = heads.lane
WHERE (%(queues)s::text[] IS NULL OR heads.queue = ANY (%(queues)s::text[]))
    AND NOT EXISTS (SELECT FROM {schema}.paused_queues WHERE paused_queues.name = heads.queue)

-- name: first_in_lane
SELECT line.seq, line.priority, line.run_at
FROM unnest(%(ready)s::text[]) AS names(name), LATERAL (
    SELECT seq, priority, run_at FROM {schema}.jobs
    WHERE phase = 'ready' AND lane IS NOT NULL AND lane = %(lane)s AND queue = names.name
        AND (expires_at IS NULL OR expires_at > {now})
    ORDER BY priority DESC, run_at, seq
    LIMIT %(limit)s
) AS line

-- name: start_in_lane
UPDATE {schema}.lanes SET started_at = %(now_is)s WHERE name = %(lane)s

-- name: claim_these
-- Some may have been taken meanwhile by a worker that went the short way.
WITH clock AS MATERIALIZED (SELECT %(now_is)s::bigint AS now),
taken AS MATERIALIZED (
    SELECT seq FROM {schema}.jobs WHERE seq = ANY (%(seqs)s::bigint[]) AND phase = 'ready'
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.jobs SET {claimed} FROM taken, clock
WHERE jobs.seq = taken.seq
RETURNING {job}, jobs.seq

-- name: now
SELECT {now}
