-- name: create_outbox
-- Read in the order of `created_at`, Unix nanoseconds that rise within a process. `tries`, `due_at`
-- (Unix milliseconds) and `error` are for rows that the queue has refused. Plain columns, no
-- sequence: so one set of statements does for every dialect.
CREATE TABLE IF NOT EXISTS {outbox} (
    created_at BIGINT NOT NULL,
    id {name} NOT NULL,
    payload {text} NOT NULL,
    tries INTEGER NOT NULL,
    due_at BIGINT NOT NULL,
    error {text},
    PRIMARY KEY (created_at, id)
)

-- name: put
INSERT INTO {outbox} (created_at, id, payload, tries, due_at)
VALUES (:created_at, :id, :payload, 0, 0)

-- name: due
SELECT created_at, id, payload, tries FROM {outbox}
WHERE due_at <= :now ORDER BY created_at, id LIMIT :most

-- name: remove
-- By both, for another process may have written at the same nanosecond.
DELETE FROM {outbox} WHERE created_at = :created_at AND id = :id

-- name: defer
UPDATE {outbox} SET tries = tries + 1, due_at = :due_at, error = :error
WHERE created_at = :created_at AND id = :id

-- name: is_there
-- PostgreSQL only. CREATE TABLE itself asks for the right to create, also for nothing.
SELECT to_regclass(:table) IS NOT NULL

-- name: take_turn
-- PostgreSQL only: two who create a table at once would disturb each other.
SELECT pg_advisory_xact_lock(7305816624104981114)
