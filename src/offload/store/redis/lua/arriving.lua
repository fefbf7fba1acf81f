-- A job as it was in another store: after its request (see `admission`) come its numbers, its texts,
-- each '' or '=' and the text, and what is kept of it, all packed.
-- constants: ARRIVING=8
local WAS = '>BBBbI4I4I4i8i8i8I4i8i8i8di8'
local TEXTS = { 'error', 'message', 'data', 'result' }

-- The row, whether the job holds its key, whether it waits for parents, when its lane started last.
local function as_it_was(place, t)
  local r, held, blocked, started = fresh(ARGV[place], t), nil, nil, nil
  r[STATE], held, blocked, r[PROGRESS], r[VERSION], r[ATTEMPT], r[LEASE], r[STARTED_AT], r[FINISHED_AT],
    r[RUN_AT], r[CRASHES], r[CREATED_AT], r[EXPIRES_AT], r[KEY_UNTIL], r[TTL], started =
    parse(WAS, ARGV[place + 5])
  return r, held == 1, blocked == 1, started
end
