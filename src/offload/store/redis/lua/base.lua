-- A unit of work.
--
-- A script that fails half-way is not rolled back. So nothing is written before `flush`: what a
-- script changes is kept here until it is sure of all of it, which also makes few commands of it.
local NAMES = { 'pending', 'running', 'complete', 'failed', 'dead', 'cancelled' }

local news = {}
local zsets, sets, hashes, lists, gone, counts, numbers = {}, {}, {}, {}, {}, {}, nil

local function note(kind, key, member, value)
  of_group(kind, key)[member] = value
end

local function zset(key, member, score) note(zsets, key, member, score) end
local function set(key, member, there) note(sets, key, member, there) end
local function hset(key, field, value) note(hashes, key, field, value) end

local function push(key, value)
  local ops = of_group(lists, key)
  ops[#ops + 1] = value
end

-- Add to a count.
local function tally(key, field, more)
  local ops = of_group(counts, key)
  ops[field] = (ops[field] or 0) + more
end

local function hget(key, field)
  local ops = hashes[key]
  local value = ops and ops[field]
  if value ~= nil then return value end
  return call('HGET', P .. key, field)
end

-- The next number of a kind of thing; none is ever used again.
local function number(kind)
  if not numbers then numbers = {} end
  local last = numbers[kind] or tonumber(call('HGET', P .. 'numbers', kind) or 0)
  numbers[kind] = last + 1
  return last + 1
end

local function split(ops, pairwise, score_first)
  local put, drop, n, m = {}, {}, 0, 0
  for member, value in pairs(ops) do
    if not value then
      m = m + 1
      drop[m] = member
    elseif not pairwise then
      n = n + 1
      put[n] = member
    elseif score_first then
      put[n + 1], put[n + 2] = value, member
      n = n + 2
    else
      put[n + 1], put[n + 2] = member, value
      n = n + 2
    end
  end
  return put, drop
end

local function write(kind, adding, removing, pairwise, score_first)
  for key, ops in pairs(kind) do
    local put, drop = split(ops, pairwise, score_first)
    many(removing, P .. key, drop)
    many(adding, P .. key, put)
  end
end

local function flush()
  write(hashes, 'HSET', 'HDEL', true, false)
  write(zsets, 'ZADD', 'ZREM', true, true)
  write(sets, 'SADD', 'SREM', false, false)
  for key, values in pairs(lists) do many('RPUSH', P .. key, values) end
  for key in pairs(gone) do call('DEL', P .. key) end
  for key, changes in pairs(counts) do
    for field, more in pairs(changes) do
      if more ~= 0 then call('HINCRBY', P .. key, field, more) end
    end
  end
  if numbers then
    for kind, last in pairs(numbers) do call('HSET', P .. 'numbers', kind, last) end
  end
  zsets, sets, hashes, lists, gone, counts, numbers = {}, {}, {}, {}, {}, {}, nil
end

-- Codes of the channels that have moved; a ring is a hint, so it need not survive a failure. That
-- jobs have changed is told on a channel of its own, to those who wait for it.
--
-- That there is something to claim is only told to others if one of them has come short since it
-- was told last: who is busy would be woken, with every process that listens, for nothing.
local function rung()
  local codes, told = '', ''
  if news.c then call('PUBLISH', P .. 'changes', 'c') end
  if news.r and call('DEL', P .. 'hungry') == 1 then told = 'r' end
  for code in pairs(news) do
    codes = codes .. code
    if code ~= 'c' and code ~= 'r' then told = told .. code end
  end
  if told ~= '' then call('PUBLISH', P .. 'news', told) end
  return codes
end

-- Write all of it, ring, and answer; what was rung for comes first.
local function done(reply)
  flush()
  reply[1] = rung()
  if once then call('SET', once, cmsgpack.pack(reply), 'PX', 60000) end
  return reply
end
