-- Jobs. What scripts must know of one is its row, a packed line of numbers and names; the rest
-- (its body) is the client's. Texts that most jobs never have are in hashes of their own.
local ROW = '>BBBBBBBBBBBBbI4I4I4I4I4i8i8i8i8i8i8i8i8di8i8i8Hc0Hc0Hc0Hc0Hc0I4c0'

local rows, changed = {}, {}

local function row_of(id, raw)
  local r = { id = id }
  r.state, r.phase, r.cancel, r.error, r.message, r.data, r.parents, r.children, r.tagged,
    r.scope, r.policy, r.inputs, r.progress, r.version, r.attempt, r.lease, r.crashes,
    r.blockers, r.seq, r.priority, r.run_at, r.created_at, r.started_at, r.finished_at,
    r.expires_at, r.key_until, r.ttl, r.metrics, r.errors, r.logs, r.worker, r.queue, r.task,
    r.lane, r.schedule, r.key = parse(ROW, raw)
  return r
end

local function raw_of(r)
  return pack(ROW, r.state, r.phase, r.cancel, r.error, r.message, r.data, r.parents, r.children,
    r.tagged, r.scope, r.policy, r.inputs, r.progress, r.version, r.attempt, r.lease, r.crashes,
    r.blockers, r.seq, r.priority, r.run_at, r.created_at, r.started_at, r.finished_at,
    r.expires_at, r.key_until, r.ttl, r.metrics, r.errors, r.logs, #r.worker, r.worker, #r.queue,
    r.queue, #r.task, r.task, #r.lane, r.lane, #r.schedule, r.schedule, #r.key, r.key)
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
  hset('row', r.id, raw_of(r))
end

local function put(r)
  r.version = r.version + 1
  keep(r)
  news.c = true
end

local function say(r, what, text)
  r[what] = text and 1 or 0
  hset(what, r.id, text or false)
end

-- --- where a pending job waits -------------------------------------------------------------

-- A line of ready jobs for each queue and lane. The length of the queue's name comes first, so
-- that no two of them have one key, whatever the names are.
local function line_of(r)
  return #r.queue .. ':' .. r.queue .. r.lane
end

-- Members of one score (a priority) are ordered by their bytes: due time, then age.
local function place_of(r)
  return pack('>i8i8', r.run_at, r.seq) .. r.id
end

local function stand_in_line(r)
  local line = line_of(r)
  r.phase = READY
  zset('ready:' .. line, place_of(r), -r.priority)
  set('lines', line, true)
  news.r = true
end

local function wait(r)
  if r.blockers > 0 then
    r.phase = BLOCKED
  elseif r.run_at <= now then
    stand_in_line(r)
  else
    r.phase = LATER
    zset('later:' .. r.queue, r.id, r.run_at)
    set('laters', r.queue, true)
    news.r = true
  end
  if r.expires_at > 0 then zset('expiring', r.id, r.expires_at) end
end

local function wait_no_more(r)
  if r.phase == READY then zset('ready:' .. line_of(r), place_of(r), false) end
  if r.phase == LATER then zset('later:' .. r.queue, r.id, false) end
  if r.expires_at > 0 then zset('expiring', r.id, false) end
  r.phase = 0
end

local function crowd(r)
  return 'jobs:' .. r.state .. ':' .. r.queue
end

local function become(r, state)
  zset(crowd(r), r.id, false)
  r.state = state
  zset(crowd(r), r.id, r.seq)
end

-- --- ends ------------------------------------------------------------------------------------

local function over(r, state)
  become(r, state)
  r.finished_at = now
  if r.schedule ~= '' then set('live:' .. r.schedule, r.id, false) end
  if r.ttl >= 0 then
    zset('outliving', r.id, now + r.ttl * 1000)
  else
    zset('ended', r.id, now)
  end
end

local function give_up(r, reason)
  wait_no_more(r)
  over(r, CANCELLED)
  say(r, 'error', reason)
  put(r)
end

local function stop_running(r)
  set('held:' .. r.worker, r.id, false)
  if r.lane ~= '' then set('running:' .. r.lane, r.id, false) end
  r.worker = ''
end

-- --- reading ---------------------------------------------------------------------------------

local function texts(ids, what)
  local wanted, n, found = {}, 0, {}
  for _, id in ipairs(ids) do
    local r = rows[id]
    if r and (what == 'body' or what == 'result' and r.state == COMPLETE or r[what] == 1) then
      n = n + 1
      wanted[n] = id
    end
  end
  for from = 1, n, MOST do
    local to = math.min(from + MOST - 1, n)
    local values = call('HMGET', P .. what, unpack(wanted, from, to))
    for place, value in ipairs(values) do found[wanted[from + place - 1]] = value end
  end
  return found
end

local WHAT = { 'body', 'error', 'message', 'data', 'result' }
local SEEN = 7

-- Append the jobs to a reply, as many values for each: id, row, then what else there is of it.
-- What was changed must have been flushed.
local function show(ids, reply)
  load(ids)
  local found, n = {}, #reply
  for place, what in ipairs(WHAT) do found[place] = texts(ids, what) end
  for _, id in ipairs(ids) do
    reply[n + 1], reply[n + 2] = id, rows[id] and raw_of(rows[id])
    for place = 1, #WHAT do reply[n + 2 + place] = found[place][id] or false end
    n = n + SEEN
  end
  return reply
end
