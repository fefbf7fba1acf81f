-- Jobs. What scripts must know of one is its row, a packed line of numbers and names; the rest
-- (its body) is the client's. Texts that most jobs never have are in hashes of their own.
-- A row is a list, which is made in a fraction of the time that a table of names takes.
local ROW = '>BBBBBBBBBBBBbI4I4I4I4I4i8i8i8i8i8i8i8i8di8i8i8Hc0c0'
-- The length of its worker's name and that, the bytes of its names, the names, its id, all bytes.
-- constants: STATE=1 PHASE=2 CANCEL=3 ERROR=4 MESSAGE=5 DATA=6 PARENTS=7 CHILDREN=8 TAGGED=9
-- constants: SCOPE=10 POLICY=11 INPUTS=12 PROGRESS=13 VERSION=14 ATTEMPT=15 LEASE=16
-- constants: CRASHES=17 BLOCKERS=18 SEQ=19 PRIORITY=20 RUN_AT=21 CREATED_AT=22 STARTED_AT=23
-- constants: FINISHED_AT=24 EXPIRES_AT=25 KEY_UNTIL=26 TTL=27 METRICS=28 ERRORS=29 LOGS=30
-- constants: LENGTH=31 WORKER=32 TAIL=33 NAMED=34 ID=35 RAW=36
local TAIL_FORMAT = '>Hc0Hc0Hc0Hc0I4c0'
-- Which of a row's texts there are, and the last of its records.
local HAS = { error = ERROR, message = MESSAGE, data = DATA }
local LAST = { metrics = METRICS, errors = ERRORS, logs = LOGS }

local rows = {}

-- Most jobs of a script share their names.
local names = {}

local function names_of(tail)
  local found = names[tail]
  if not found then
    found = {}
    found.queue, found.task, found.lane, found.schedule, found.key = parse(TAIL_FORMAT, tail)
    -- A line of ready jobs for each queue and lane. The length of the queue's name comes first,
    -- so that no two of them have one key, whatever the names are.
    found.line = #found.queue .. ':' .. found.queue .. found.lane
    found.ready = 'ready:' .. found.line
    found.of_task = 'task:' .. found.task
    found.crowds = {}
    for state = 1, 6 do found.crowds[state] = 'jobs:' .. state .. ':' .. found.queue end
    names[tail] = found
  end
  return found
end

local NUMBERS = string.sub(ROW, 1, -3)

local function row_of(id, raw)
  local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, aa, ab, ac, ad,
    worker, from = parse(NUMBERS, raw)
  local tail = string.sub(raw, from)
  return { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, aa, ab, ac,
    ad, #worker, worker, tail, names_of(tail), id, raw }
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
  for from = 1, n, MOST do
    local to = math.min(from + MOST - 1, n)
    local found = call('HMGET', P .. 'row', unpack(wanted, from, to))
    for place, raw in ipairs(found) do
      local id = wanted[from + place - 1]
      rows[id] = raw and row_of(id, raw)
    end
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

local function crowd(r)
  return r[NAMED].crowds[r[STATE]]
end

local function become(r, state)
  zset(crowd(r), r[ID], false)
  r[STATE] = state
  zset(crowd(r), r[ID], r[SEQ])
end

-- --- ends ------------------------------------------------------------------------------------

local function over(r, state)
  become(r, state)
  r[FINISHED_AT] = now
  if r[NAMED].schedule ~= '' then set('live:' .. r[NAMED].schedule, r[ID], false) end
  if r[TTL] >= 0 then
    zset('outliving', r[ID], now + r[TTL] * 1000)
  else
    zset('ended', r[ID], now)
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

-- Who has a text of a kind: all have a body, only complete jobs a result.
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
  for from = 1, #wanted, MOST do
    local values = call('HMGET', P .. what, unpack(wanted, from, math.min(from + MOST - 1, #wanted)))
    for place, value in ipairs(values) do found[wanted[from + place - 1]] = value end
  end
  return found
end

local WHAT = { 'body', 'error', 'message', 'data', 'result' }
-- constants: SEEN=7

-- Append the jobs to a reply, as many values for each: id, row, then what else there is of it.
-- What was changed must have been flushed.
local function show(ids, reply)
  load(ids)
  local found, n = {}, #reply
  for place, what in ipairs(WHAT) do found[place] = texts(ids, what) end
  for _, id in ipairs(ids) do
    reply[n + 1], reply[n + 2] = id, rows[id] and rows[id][RAW]
    for place = 1, #WHAT do reply[n + 2 + place] = found[place][id] or false end
    n = n + SEEN
  end
  return reply
end
