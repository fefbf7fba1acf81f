-- Instants are Unix milliseconds of the wall clock; durations are seconds. Leases and locks are
-- judged by `ticks` (seconds since boot, CLOCK_BOOTTIME) within one `boot`, never by the wall
-- clock. What belongs to a job refers to it by `seq`, in small integers, and goes with it.

CREATE TABLE jobs (
    seq               INTEGER PRIMARY KEY,
    id                TEXT NOT NULL UNIQUE,
    task              TEXT NOT NULL,
    queue             TEXT NOT NULL,
    lane              TEXT,
    state             TEXT NOT NULL,
    -- Where a pending job waits. Apart from the ready ones, so that a claim in order of
    -- priority never has to walk past high-priority jobs of next week.
    phase             TEXT,
    priority          INTEGER NOT NULL,
    run_at            INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    attempt           INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    lease             INTEGER NOT NULL DEFAULT 0,
    crashes           INTEGER NOT NULL DEFAULT 0,
    version           INTEGER NOT NULL DEFAULT 1,
    cancel_requested  INTEGER NOT NULL DEFAULT 0,
    blockers          INTEGER NOT NULL DEFAULT 0 CHECK (blockers >= 0),
    worker            TEXT,
    started_at        INTEGER,
    finished_at       INTEGER,
    max_retries       INTEGER NOT NULL CHECK (max_retries >= 0),
    backoff           REAL NOT NULL,
    max_retry_delay   REAL NOT NULL,
    retry_delays      TEXT,
    timeout           REAL,
    expires_at        INTEGER,
    result_ttl        REAL,
    -- What was asked for stays to be seen; what is held is given up, and never taken back.
    unique_key        TEXT,
    held_key          TEXT,
    key_scope         TEXT,
    key_until         INTEGER,
    on_parent_failure TEXT NOT NULL,
    inputs            TEXT NOT NULL,
    metadata          TEXT,
    tags              TEXT,
    origin            TEXT,
    schedule          TEXT,
    tick              INTEGER,
    progress          INTEGER CHECK (progress BETWEEN 0 AND 100),
    message           TEXT,
    error             TEXT,
    data              BLOB,
    payload           BLOB NOT NULL,
    result            BLOB,
    -- In `OR`, not in `IN`, whose list SQLite would sort anew for each row: a third of an insert.
    CHECK (
        state = 'pending' OR state = 'running' OR state = 'complete'
        OR state = 'failed' OR state = 'dead' OR state = 'cancelled'
    ),
    CHECK (phase = 'ready' OR phase = 'later' OR phase = 'blocked' OR phase IS NULL),
    CHECK (
        key_scope IS NULL OR key_scope = 'pending' OR key_scope = 'running' OR key_scope = 'window'
    ),
    CHECK ((state = 'pending') = (phase IS NOT NULL)),
    CHECK ((state = 'running') = (worker IS NOT NULL)),
    CHECK ((state = 'pending' OR state = 'running') = (finished_at IS NULL)),
    CHECK ((key_scope IS 'window') = (key_until IS NOT NULL)),
    CHECK (blockers = 0 OR phase = 'blocked' OR phase IS NULL),
    -- Success is never seen before its result.
    CHECK ((state = 'complete') = (result IS NOT NULL))
) STRICT;

-- Every index costs on each enqueue, claim and end, so there is one for each question that is
-- asked all the time, and between them they also count the jobs of each state and queue.

-- A lane is a line of its own: jobs of one that is closed are never walked past.
CREATE INDEX jobs_ready ON jobs (lane, queue, priority DESC, run_at, seq) WHERE phase = 'ready';
CREATE INDEX jobs_waiting ON jobs (phase, queue, run_at) WHERE phase <> 'ready';
CREATE INDEX jobs_running ON jobs (worker) WHERE state = 'running';
-- A lane's places are the leases on its jobs, so that none can leak.
CREATE INDEX jobs_in_lane ON jobs (lane) WHERE state = 'running' AND lane IS NOT NULL;
CREATE INDEX jobs_expiring ON jobs (expires_at)
    WHERE state = 'pending' AND expires_at IS NOT NULL;
-- Jobs with a time to live of their own stand apart: a purge walks past neither kind.
CREATE INDEX jobs_ended ON jobs (state, finished_at + result_ttl * 1000, finished_at, queue)
    WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_of_schedule ON jobs (schedule)
    WHERE schedule IS NOT NULL AND finished_at IS NULL;
-- The index decides who holds a key, not a check before the insert.
CREATE UNIQUE INDEX jobs_held ON jobs (held_key) WHERE held_key IS NOT NULL;

-- Whom a job waits or waited for; a parent stays as long as one of its dependents is blocked.
CREATE TABLE job_dependencies (
    job    INTEGER NOT NULL,
    place  INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    PRIMARY KEY (job, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_dependencies_parent ON job_dependencies (parent);

-- Ids that clients resume from are never used again, also after a purge (AUTOINCREMENT).
CREATE TABLE job_errors (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    job       INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    type      TEXT NOT NULL,
    message   TEXT NOT NULL,
    traceback TEXT NOT NULL,
    failed_at INTEGER NOT NULL
) STRICT;

CREATE INDEX job_errors_job ON job_errors (job);
CREATE INDEX job_errors_age ON job_errors (failed_at);

CREATE TABLE job_logs (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    job       INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    level     TEXT NOT NULL,
    message   TEXT NOT NULL,
    extra     TEXT,
    logged_at INTEGER NOT NULL
) STRICT;

CREATE INDEX job_logs_job ON job_logs (job);
CREATE INDEX job_logs_age ON job_logs (logged_at);

CREATE TABLE job_parts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    job          INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    value        BLOB NOT NULL,
    published_at INTEGER NOT NULL
) STRICT;

CREATE INDEX job_parts_job ON job_parts (job);

-- One a finished attempt, so with no more indexes than it must have.
CREATE TABLE job_metrics (
    id          INTEGER PRIMARY KEY,
    job         INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    move        TEXT NOT NULL,
    wait        REAL NOT NULL,
    ran         REAL NOT NULL,
    memory      INTEGER,
    recorded_at INTEGER NOT NULL
) STRICT;

CREATE INDEX job_metrics_job ON job_metrics (job);

CREATE TABLE repeats (
    id          INTEGER PRIMARY KEY,
    origin      TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    repeated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX repeats_origin ON repeats (origin);

-- A dead letter is a whole copy of its job, which may be purged before it.
CREATE TABLE dead_letters AS SELECT * FROM jobs WHERE false;
CREATE UNIQUE INDEX dead_letters_id ON dead_letters (id);
CREATE INDEX dead_letters_age ON dead_letters (finished_at);

CREATE TABLE lanes (
    name        TEXT PRIMARY KEY,
    interval    REAL,
    max_running INTEGER,
    started_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE paused_queues (
    name      TEXT PRIMARY KEY,
    paused_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE schedules (
    name     TEXT PRIMARY KEY,
    task     TEXT NOT NULL,
    trigger  TEXT NOT NULL,
    next_at  INTEGER NOT NULL,
    tz       TEXT NOT NULL,
    payload  BLOB NOT NULL,
    options  TEXT,
    overlap  TEXT NOT NULL,
    catch_up TEXT NOT NULL,
    jitter   REAL NOT NULL,
    paused   INTEGER NOT NULL,
    edited   INTEGER NOT NULL,
    last_at  INTEGER,
    last_job TEXT
) STRICT, WITHOUT ROWID;

-- The row stays when its lock is let go of: the token must go on rising.
CREATE TABLE locks (
    name  TEXT PRIMARY KEY,
    owner TEXT,
    token INTEGER NOT NULL,
    boot  TEXT NOT NULL,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    id          TEXT PRIMARY KEY,
    host        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    queues      TEXT,
    concurrency INTEGER NOT NULL,
    lease       REAL NOT NULL,
    boot        TEXT NOT NULL,
    ticks       REAL NOT NULL,
    started_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
