-- Instants are Unix milliseconds of the wall clock; durations are seconds. Leases are judged by
-- `ticks` (seconds since boot, CLOCK_BOOTTIME) within one `boot`, never by the wall clock.

CREATE TABLE jobs (
    seq              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    task             TEXT NOT NULL,
    queue            TEXT NOT NULL,
    state            TEXT NOT NULL
        CHECK (state IN ('pending', 'running', 'complete', 'failed', 'dead', 'cancelled')),
    -- Where a pending job waits. Apart from the ready ones, so that a claim in order of
    -- priority never has to walk past high-priority jobs of next week.
    phase            TEXT CHECK (phase IN ('ready', 'later')),
    payload          BLOB NOT NULL,
    priority         INTEGER NOT NULL,
    run_at           INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    max_retries      INTEGER NOT NULL CHECK (max_retries >= 0),
    backoff          REAL NOT NULL,
    max_retry_delay  REAL NOT NULL,
    attempt          INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    lease            INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0,
    version          INTEGER NOT NULL DEFAULT 1,
    worker           TEXT,
    started_at       INTEGER,
    finished_at      INTEGER,
    timeout          REAL,
    expires_at       INTEGER,
    result_ttl       REAL,
    progress         INTEGER CHECK (progress BETWEEN 0 AND 100),
    result           BLOB,
    error            TEXT,
    unique_key       TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    metadata         TEXT,
    tags             TEXT NOT NULL DEFAULT '[]',
    origin           TEXT,
    CHECK ((state = 'pending') = (phase IS NOT NULL)),
    CHECK ((state = 'running') = (worker IS NOT NULL)),
    CHECK ((state IN ('pending', 'running')) = (finished_at IS NULL)),
    -- Success is never seen before its result.
    CHECK ((state = 'complete') = (result IS NOT NULL))
) STRICT;

CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at, seq) WHERE phase = 'ready';
CREATE INDEX jobs_later ON jobs (run_at) WHERE phase = 'later';
CREATE INDEX jobs_running ON jobs (worker) WHERE state = 'running';
CREATE INDEX jobs_expiring ON jobs (expires_at)
    WHERE state = 'pending' AND expires_at IS NOT NULL;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_outlived ON jobs (finished_at + result_ttl * 1000)
    WHERE finished_at IS NOT NULL AND result_ttl IS NOT NULL;
CREATE INDEX jobs_state ON jobs (state, queue);
-- One pending or running job a key: the index decides, not a check before the insert.
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('pending', 'running');

CREATE TABLE job_errors (
    id        INTEGER PRIMARY KEY,
    job_id    TEXT NOT NULL,
    attempt   INTEGER NOT NULL,
    type      TEXT NOT NULL,
    message   TEXT NOT NULL,
    traceback TEXT NOT NULL,
    failed_at INTEGER NOT NULL
) STRICT;

CREATE INDEX job_errors_job ON job_errors (job_id, id);
CREATE INDEX job_errors_age ON job_errors (failed_at);

-- A dead letter is a whole copy of its job, which may be purged before it.
CREATE TABLE dead_letters AS SELECT * FROM jobs WHERE false;
CREATE UNIQUE INDEX dead_letters_id ON dead_letters (id);
CREATE INDEX dead_letters_age ON dead_letters (finished_at);

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
