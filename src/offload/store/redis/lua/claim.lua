-- with: clock spread quick quick_claim base rows families
-- ARGV[5..7]: worker, how many jobs, whether of all queues; then the names of the queues.
--
-- Answer: the instant at which time alone lets the next job start, or ''; the time; the jobs.
local worker, limit = ARGV[FIRST], tonumber(ARGV[FIRST + 1])
-- constants: PROMOTED=500

local is_open = open_queues()

local function expire()
  local ids = call('ZRANGEBYSCORE', P .. 'expiring', '-inf', now, 'LIMIT', 0, PROMOTED)
  if #ids == 0 then return false end
  load(ids)
  local expired = {}
  for place, id in ipairs(ids) do
    expired[place] = rows[id]
    give_up(rows[id], 'expired')
  end
  table.sort(expired, function(a, b) return a[SEQ] < b[SEQ] end)
  settle(expired)
  return #ids == PROMOTED
end

local function promote(queue, left)
  local key = P .. 'later:' .. queue
  local ids = call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, left)
  load(ids)
  for _, id in ipairs(ids) do
    local r = rows[id]
    zset('later:' .. queue, id, false)
    stand_in_line(r)
    keep(r)
  end
  local first = call('ZRANGE', key, #ids, #ids, 'WITHSCORES')[2]
  if not first then set('laters', queue, false) end
  return #ids, tonumber(first)
end

local due = nil
local function due_at(instant)
  if instant and (not due or instant < due) then due = instant end
end

-- Who has expired is not given, so all of them go first, some at a time.
if expire() then
  call('SET', P .. 'hungry', 1)
  return done({ '', now, now })
end
flush()
local left, freed = PROMOTED, news.r
for _, queue in ipairs(call('SMEMBERS', P .. 'laters')) do
  if is_open(queue) then
    local count, first = promote(queue, left)
    left = left - count
    due_at(first)
  end
end
flush()
news.r = freed  -- whoever was promoted is given now, and each worker knows when to look itself

-- The lines that are open to this worker, by lane.
local lanes = {}
for _, line in ipairs(call('SMEMBERS', P .. 'lines')) do
  local queue, lane = parts_of(line)
  if is_open(queue) then
    if not lanes[lane] then lanes[lane] = {} end
    table.insert(lanes[lane], line)
  end
end

-- What a lane allows: how many may start now, and when time opens it after `taken` starts.
local function allowed(lane)
  if lane == '' then return limit, function() end end
  local limits = call('HGET', P .. 'lanes', lane)
  if not limits then return limit, function() end end
  local interval, places = parse('>dd', limits)
  local free = limit + 1
  if places >= 0 then free = places - call('SCARD', P .. 'running:' .. lane) end
  local started = tonumber(call('HGET', P .. 'starts', lane))
  -- A last start that lies ahead was before the clock was set back: it closes nothing.
  local function opens(start)
    if interval < 0 or not start or start > now then return now end
    return start + math.ceil(interval * 1000)
  end
  local function next_after(taken)
    if free <= taken and places >= 0 then return nil end
    local at = opens(taken > 0 and now or started)
    return at > now and at or nil
  end
  if free <= 0 then return 0, next_after end
  if opens(started) > now then return 0, next_after end
  return math.min(limit, free, interval >= 0 and 1 or limit), next_after
end

-- A job at the head of a line; what only a comparison needs is read when there is one.
-- constants: MEMBER=1 SCORE=2 LINE=3 LANE=4 DUE=5 AGE=6

local function earlier(a, b)
  if a[SCORE] ~= b[SCORE] then return a[SCORE] < b[SCORE] end
  if a[DUE] ~= b[DUE] then return a[DUE] < b[DUE] end
  return a[AGE] < b[AGE]
end

local function put_in_order(found)
  for _, head in ipairs(found) do head[DUE], head[AGE] = parse('>i8i8', head[MEMBER]) end
  table.sort(found, earlier)
end

-- The first of some lines: one more than may start, to know whether anybody is left.
local function heads(lane, lines, most)
  local found, n = {}, 0
  for _, line in ipairs(lines) do
    local members = call('ZRANGE', P .. 'ready:' .. line, 0, most, 'WITHSCORES')
    if #members == 0 then set('lines', line, false) end
    for place = 1, #members, 2 do
      n = n + 1
      found[n] = { members[place], tonumber(members[place + 1]), line, lane, false, false }
    end
  end
  if #lines > 1 then put_in_order(found) end
  return found
end

local first, waiting, several = {}, {}, false
for lane, lines in pairs(lanes) do
  local places, next_after = allowed(lane)
  local found = heads(lane, lines, places)
  if #found > 0 then
    waiting[lane] = { count = #found, next_after = next_after, taken = 0 }
    several = several or #first > 0
    for place = 1, math.min(places, #found) do first[#first + 1] = found[place] end
  end
end
if several then put_in_order(first) end

local ids = {}
for place = 1, math.min(limit, #first) do
  local head = first[place]
  ids[place] = string.sub(head[MEMBER], 17)
  zset('ready:' .. head[LINE], head[MEMBER], false)
  waiting[head[LANE]].taken = waiting[head[LANE]].taken + 1
end
for lane, each in pairs(waiting) do
  if each.count > each.taken then due_at(each.next_after(each.taken)) end
  if lane ~= '' and each.taken > 0 then hset('starts', lane, now) end
end

load(ids)
for _, id in ipairs(ids) do
  local r = rows[id]
  r[PHASE] = 0
  if r[EXPIRES_AT] > 0 then zset('expiring', id, false) end
  become(r, RUNNING)
  r[ATTEMPT], r[LEASE] = r[ATTEMPT] + 1, r[LEASE] + 1
  r[LENGTH], r[WORKER], r[STARTED_AT], r[PROGRESS] = #worker, worker, now, -1
  if r[MESSAGE] == 1 then say(r, 'message') end
  if r[DATA] == 1 then say(r, 'data') end
  set('held:' .. worker, id, true)
  if r[NAMED].lane ~= '' then set('running:' .. r[NAMED].lane, id, true) end
  put(r)
end
if #ids > 0 then set('holders', worker, true) end
flush()
if #ids < limit then call('SET', P .. 'hungry', 1) end
return done(show(ids, { '', due or '', now }))
