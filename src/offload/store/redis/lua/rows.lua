-- Jobs. What scripts must know of one is its row, a packed line of numbers and names; the rest
-- (its body) is the client's. Texts that most jobs never have are in hashes of their own.
-- A row is a list, which is made in a fraction of the time that a table of names takes.
-- Its bytes are as `quick` says.
-- constants: STATE=1 PHASE=2 CANCEL=3 ERROR=4 MESSAGE=5 DATA=6 PARENTS=7 CHILDREN=8 TAGGED=9
-- constants: SCOPE=10 POLICY=11 INPUTS=12 SPECIAL=13 PROGRESS=14 VERSION=15 ATTEMPT=16 LEASE=17
-- constants: STARTED_AT=18 FINISHED_AT=19 LENGTH=20 WORKER=21 METRICS=22 SEQ=23 RUN_AT=24
-- constants: CRASHES=25 BLOCKERS=26 PRIORITY=27 CREATED_AT=28 EXPIRES_AT=29 KEY_UNTIL=30 TTL=31
-- constants: ERRORS=32 LOGS=33 TAIL=34 NAMED=35 ID=36 RAW=37
-- Which of a row's texts there are, and the last of its records.
local HAS = { error = ERROR, message = MESSAGE, data = DATA }
local LAST = { metrics = METRICS, errors = ERRORS, logs = LOGS }

local rows = {}

local NUMBERS = string.sub(ROW, 1, -3)

local function row_of(id, raw)
  local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, worker, t, u, v, w, x, y, z, aa, ab,
    ac, ad, ae, from = parse(NUMBERS, raw)
  local tail = string.sub(raw, from)
  return { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, #worker, worker, t, u, v, w, x,
    y, z, aa, ab, ac, ad, ae, tail, names_of(tail), id, raw }
end

local function load(ids)
  local wanted, n = {}, 0
  for _, id in ipairs(ids) do
    if rows[id] == nil then
      n = n + 1
      wanted[n] = id
      rows[id] = false
    end
  end
  for place, raw in ipairs(values_of(P .. 'row', wanted)) do
    local id = wanted[place]
    rows[id] = raw and row_of(id, raw)
  end
end

local function job(id)
  if rows[id] == nil then load({ id }) end
  return rows[id]
end

-- Store a row; that nobody can see a difference is no new version.
local function keep(r)
  r[RAW] = pack(ROW, unpack(r, 1, TAIL))
  hset('row', r[ID], r[RAW])
end

local function put(r)
  r[VERSION] = r[VERSION] + 1
  keep(r)
  news.c = true
end

local function say(r, what, text)
  r[HAS[what]] = text and 1 or 0
  hset(what, r[ID], text or false)
end

-- --- where a pending job waits -------------------------------------------------------------

-- Members of one score (a priority) are ordered by their bytes: due time, then age.
local function place_of(r)
  return pack('>i8i8c0', r[RUN_AT], r[SEQ], r[ID])
end

local function stand_in_line(r)
  r[PHASE] = READY
  zset(r[NAMED].ready, place_of(r), -r[PRIORITY])
  set('lines', r[NAMED].line, true)
  news.r = true
end

local function wait(r)
  if r[BLOCKERS] > 0 then
    r[PHASE] = BLOCKED
  elseif r[RUN_AT] <= now then
    stand_in_line(r)
  else
    r[PHASE] = LATER
    zset('later:' .. r[NAMED].queue, r[ID], r[RUN_AT])
    set('laters', r[NAMED].queue, true)
    news.r = true
  end
  if r[EXPIRES_AT] > 0 then zset('expiring', r[ID], r[EXPIRES_AT]) end
end

local function wait_no_more(r)
  if r[PHASE] == READY then zset(r[NAMED].ready, place_of(r), false) end
  if r[PHASE] == LATER then zset('later:' .. r[NAMED].queue, r[ID], false) end
  if r[EXPIRES_AT] > 0 then zset('expiring', r[ID], false) end
  r[PHASE] = 0
end

-- Jobs are in sorted sets by state, queue and task, oldest first. Those that run are few, and with
-- their workers: they are only counted.
local function join(r)
  if r[STATE] == RUNNING then
    tally('running', r[NAMED].queue, 1)
  else
    zset(CROWD[r[STATE]] .. r[NAMED].crowd, r[ID], r[SEQ])
  end
end

local function leave(r)
  if r[STATE] == RUNNING then
    tally('running', r[NAMED].queue, -1)
  else
    zset(CROWD[r[STATE]] .. r[NAMED].crowd, r[ID], false)
  end
end

local function become(r, state)
  leave(r)
  r[STATE] = state
  join(r)
end

-- --- ends ------------------------------------------------------------------------------------

local function over(r, state)
  become(r, state)
  r[FINISHED_AT] = now
  if r[NAMED].schedule ~= '' then set('live:' .. r[NAMED].schedule, r[ID], false) end
  if r[TTL] >= 0 then
    zset('outliving', r[ID], now + r[TTL] * 1000)
  else
    push('ends', r[ID])
  end
end

local function give_up(r, reason)
  wait_no_more(r)
  over(r, CANCELLED)
  say(r, 'error', reason)
  put(r)
end

local function stop_running(r)
  set('held:' .. r[WORKER], r[ID], false)
  if r[NAMED].lane ~= '' then set('running:' .. r[NAMED].lane, r[ID], false) end
  r[LENGTH], r[WORKER] = 0, ''
end

-- --- reading ---------------------------------------------------------------------------------

-- Who may have a text of a kind: all have a body, only complete jobs a result.
local function owners(ids, what)
  if what == 'body' then return ids end
  local found, n = {}, 0
  for _, id in ipairs(ids) do
    local r = rows[id]
    if r and (r[HAS[what] or 0] == 1 or what == 'result' and r[STATE] == COMPLETE) then
      n = n + 1
      found[n] = id
    end
  end
  return found
end

local function texts(ids, what)
  local wanted, found = owners(ids, what), {}
  for place, value in ipairs(values_of(P .. what, wanted)) do found[wanted[place]] = value end
  return found
end

-- What few jobs have, or only those that have ended.
local REST = { 'error', 'message', 'data', 'result' }
-- constants: SEEN=4

-- Append the jobs to a reply, as many values for each: id, row, body, and a list of what else
-- there is. What was changed must have been flushed.
local function show(ids, reply)
  load(ids)
  local n, bodies, rest = #reply, texts(ids, 'body'), {}
  for place, what in ipairs(REST) do
    for id, text in pairs(texts(ids, what)) do
      if not rest[id] then rest[id] = { false, false, false, false } end
      rest[id][place] = text
    end
  end
  for _, id in ipairs(ids) do
    reply[n + 1], reply[n + 2], reply[n + 3] = id, rows[id] and rows[id][RAW], bodies[id] or false
    reply[n + 4] = rest[id] or false
    n = n + SEEN
  end
  return reply
end
