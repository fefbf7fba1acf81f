-- with: clock spread quick base rows families terms admission records removing
-- ARGV[5]: a kind: jobs, dead, records, workers. ARGV[6]: an age in seconds, or ''. ARGV[7]: how
-- many at most. Answer: how many went, how many records that is, whether there may be more.
although_full()
local kind, age, left = ARGV[FIRST], tonumber(ARGV[FIRST + 1]), tonumber(ARGV[FIRST + 2])
local before = age and now - age * 1000
local AT = { errors = LINKS + 5, logs = LINKS + 5, metrics = LINKS + 6 }
-- constants: LOOKED=2000

local function needed(r)
  if r[NAMED].key ~= '' and hget('keys', r[NAMED].key) == r[ID] and holds(r) then return true end
  local ids = children(r)
  load(ids)
  for _, id in ipairs(ids) do
    local child = rows[id]
    if child and child[STATE] == PENDING and child[BLOCKERS] > 0 then return true end
  end
  return false
end

local function prune_jobs()
  local count, records = 0, 0
  local function take(r)
    records = records + remove(r)
    count, left = count + 1, left - 1
  end
  local function sweep(key, until_)
    local from = 0
    while left > 0 and from < LOOKED do
      local ids = call('ZRANGEBYSCORE', P .. key, '-inf', '(' .. string.format('%.17g', until_), 'LIMIT', from, 100)
      if #ids == 0 then return end
      from = from + #ids
      load(ids)
      for _, id in ipairs(ids) do
        local r = rows[id]
        if left > 0 and r and not needed(r) then take(r) end
      end
    end
  end
  -- The list is only ever read from its beginning: who must stay leaves it for `ended`, and so does
  -- whom a clock that was wrong has put there. An entry may be of a job that is gone, or back.
  local function passes(id)
    local r = rows[id]
    if not r or r[STATE] <= RUNNING or r[TTL] >= 0 then return true end
    local at = r[FINISHED_AT]
    if left == 0 or at >= before and at <= now then return false end
    if at >= before or needed(r) then zset('ended', id, at) else take(r) end
    return true
  end
  local function sweep_ends()
    local passed = 0
    while passed < LOOKED do
      local ids = call('LRANGE', P .. 'ends', passed, passed + 99)
      load(ids)
      for _, id in ipairs(ids) do
        if not passes(id) then return passed end
        passed = passed + 1
      end
      if #ids == 0 then return passed end
    end
    return passed
  end
  sweep('outliving', now)
  local passed = 0
  if before then
    sweep('ended', before)
    passed = sweep_ends()
  end
  flush()
  if passed > 0 then call('LTRIM', P .. 'ends', passed, -1) end
  close_empty_crowds()
  if count > 0 then news.c = true end
  return count, records
end

local function prune_dead()
  local count = 0
  for _, id in ipairs(call('ZRANGE', P .. 'dead', 0, LOOKED - 1)) do
    if count == left then break end
    local r = row_of(id, call('HGET', P .. 'letter:' .. id, 'row'))
    if r[FINISHED_AT] < before then
      zset('dead', id, false)
      gone['letter:' .. id] = true
      count = count + 1
    end
  end
  return count, 0
end

-- The id of a record's job is its end, but of a log line that follows it.
local function owner(what, raw)
  if what == 'logs' then
    local _, _, _, id = parse('>I4i8Hc0Hc0', raw, LINKS + 1)
    return id
  end
  if what == 'errors' then
    local _, _, _, _, _, after = parse('>I4i8I4c0I4c0I4c0', raw, LINKS + 1)
    return string.sub(raw, after)
  end
  local _, _, _, _, _, _, _, _, after = parse('>I4Bi8i8i8di8Hc0', raw, LINKS + 1)
  return string.sub(raw, after)
end

local function prune_records_of(what)
  local count = 0
  local first = tonumber(call('HGET', P .. 'numbers', what .. ' from') or 1)
  local last = tonumber(call('HGET', P .. 'numbers', what) or 0)
  local leading = true
  for this = first, math.min(last, first + LOOKED - 1) do
    if count == left then break end
    local raw = hget(what, this)
    local old = raw and parse('>i8', raw, AT[what]) < before
    if old then
      local id = owner(what, raw)
      job(id)
      unlink(what, this, raw, id)
      count = count + 1
    end
    leading = leading and (old or not raw)
    if leading then first = this + 1 end
  end
  call('HSET', P .. 'numbers', what .. ' from', first)
  left = left - count
  return count
end

local function prune_workers()
  local forget = age
  local beats = call('HGETALL', P .. 'workers')
  for place = 1, #beats, 2 do
    local lease, at, _, of_boot = parse('>ddi8Hc0', beats[place + 1])
    local dead = of_boot ~= boot or ticks - at > lease + forget
    if dead and call('SCARD', P .. 'held:' .. beats[place]) == 0 then
      call('HDEL', P .. 'workers', beats[place])
    end
  end
  return 0, 0
end

local count, records = 0, 0
if kind == 'jobs' then count, records = prune_jobs() end
if kind == 'dead' and before then count, records = prune_dead() end
if kind == 'records' and before then
  for _, what in ipairs(RECORDS) do count = count + prune_records_of(what) end
end
if kind == 'workers' then count, records = prune_workers() end
return done({ '', count, records })
