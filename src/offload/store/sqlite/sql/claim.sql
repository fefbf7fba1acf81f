-- name: expire
UPDATE jobs
SET state = 'cancelled', phase = NULL, finished_at = :now, error = 'expired',
    held_key = iif(key_until IS NULL, NULL, held_key), version = version + 1
WHERE seq IN (
    SELECT seq FROM jobs
    WHERE state = 'pending' AND expires_at IS NOT NULL AND expires_at <= :now
    ORDER BY expires_at LIMIT :most
)
RETURNING seq

-- name: later_queues
-- One seek a queue, however many jobs wait in each; DISTINCT would read them all. That a phase
-- is not 'ready' is said again because only then SQLite sees that the index has them all.
WITH RECURSIVE names(name) AS (
    SELECT (SELECT min(queue) FROM jobs WHERE phase <> 'ready' AND phase = 'later')
    UNION ALL
    SELECT (
        SELECT min(queue) FROM jobs WHERE phase <> 'ready' AND phase = 'later' AND queue > name
    )
    FROM names WHERE name IS NOT NULL
)
SELECT name, (
    SELECT min(run_at) FROM jobs WHERE phase <> 'ready' AND phase = 'later' AND queue = name
)
FROM names
WHERE name IS NOT NULL AND name NOT IN (SELECT paused_queues.name FROM paused_queues)

-- name: promote
UPDATE jobs SET phase = 'ready'
WHERE seq IN (
    SELECT seq FROM jobs
    WHERE phase <> 'ready' AND phase = 'later' AND queue = :queue AND run_at <= :now
    ORDER BY run_at LIMIT :most
)

-- name: next_due
SELECT min(run_at) FROM jobs WHERE phase <> 'ready' AND phase = 'later' AND queue = :queue

-- name: ready_queues
WITH RECURSIVE names(name) AS (
    SELECT (SELECT min(queue) FROM jobs WHERE phase = 'ready' AND lane IS NULL)
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE phase = 'ready' AND lane IS NULL AND queue > name)
    FROM names WHERE name IS NOT NULL
)
SELECT name FROM names
WHERE name IS NOT NULL AND name NOT IN (SELECT paused_queues.name FROM paused_queues)

-- name: first_ready
-- As they will be when `claim` has taken them: RETURNING them from there is dearer than all the
-- rest of a claim.
SELECT {claimed}, seq FROM jobs
WHERE phase = 'ready' AND lane IS :lane AND queue = :queue
    AND (expires_at IS NULL OR expires_at > :now)
ORDER BY priority DESC, run_at, seq
LIMIT :most

-- name: ready_lanes
-- One seek or two a lane and queue in which a job waits, however many do; a comparison of the
-- pair, (lane, queue) > (…), would walk to the lane's end.
WITH RECURSIVE heads(seq) AS (
    SELECT (
        SELECT seq FROM jobs WHERE phase = 'ready' AND lane IS NOT NULL
        ORDER BY lane, queue LIMIT 1
    )
    UNION ALL
    SELECT coalesce(
        (
            SELECT later.seq FROM jobs AS later
            WHERE later.phase = 'ready' AND later.lane = jobs.lane AND later.queue > jobs.queue
            ORDER BY later.queue LIMIT 1
        ),
        (
            SELECT later.seq FROM jobs AS later
            WHERE later.phase = 'ready' AND later.lane > jobs.lane
            ORDER BY later.lane, later.queue LIMIT 1
        )
    )
    FROM heads JOIN jobs USING (seq)
)
SELECT jobs.lane, jobs.queue, lanes.interval, lanes.started_at, lanes.max_running - (
    SELECT count(*) FROM jobs AS held
    WHERE held.state = 'running' AND held.lane IS NOT NULL AND held.lane = jobs.lane
)
FROM heads JOIN jobs USING (seq) JOIN lanes ON lanes.name = jobs.lane
WHERE jobs.queue NOT IN (SELECT paused_queues.name FROM paused_queues)

-- name: start_in_lane
UPDATE lanes SET started_at = ? WHERE name = ?

-- name: claim
UPDATE jobs
SET state = 'running', phase = NULL, worker = :worker, attempt = attempt + 1, lease = lease + 1,
    started_at = :now, progress = NULL, message = NULL, data = NULL,
    held_key = iif(key_scope = 'pending', NULL, held_key), version = version + 1
WHERE seq IN (SELECT value FROM json_each(:seqs))
