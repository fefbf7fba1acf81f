-- How a job goes, with all that is kept of it.
local RECORDS = { 'errors', 'logs', 'metrics' }

local function without(list, unwanted)
  local rest = {}
  for _, each in ipairs(list) do
    if each ~= unwanted then rest[#rest + 1] = each end
  end
  return rest
end

-- Forget whom this job waited for, and who waited for it.
local function cut(r)
  for _, parent in ipairs(parents_of(r)) do zset('children:' .. parent, r[ID], false) end
  for _, id in ipairs(children(r)) do
    local child = rows[id]
    if child then
      local rest = without(parents_of(child), r[ID])
      hset('parents', id, #rest > 0 and cjson.encode(rest) or false)
      if #rest == 0 then
        child[PARENTS] = 0
        keep(child)
      end
    end
  end
  gone['children:' .. r[ID]] = true
end

local function drop_records(r)
  local count = 0
  for _, what in ipairs(RECORDS) do
    local this = r[LAST[what]]
    while this > 0 do
      local raw = hget(what, this)
      hset(what, this, false)
      this = parse('>i8', raw)
      count = count + 1
    end
  end
  return count
end

local function drop_index(r)
  leave(r)
  wait_no_more(r)
  if r[NAMED].schedule ~= '' then
    zset('schedule:' .. r[NAMED].schedule, r[ID], false)
    set('live:' .. r[NAMED].schedule, r[ID], false)
  end
  if r[TAGGED] == 1 then
    local body = call('HGET', P .. 'body', r[ID])
    local head = cjson.decode((parse('>I4c0', body)))
    for _, tag in ipairs(head.tags) do zset('tag:' .. tag, r[ID], false) end
  end
  zset(r[TTL] >= 0 and 'outliving' or 'ended', r[ID], false)
  if r[NAMED].key ~= '' and hget('keys', r[NAMED].key) == r[ID] then hset('keys', r[NAMED].key, false) end
end

local crowds = {}

local function remove(r)
  local count = drop_records(r)
  drop_index(r)
  cut(r)
  for _, what in ipairs({ 'row', 'body', 'error', 'message', 'data', 'result', 'parents' }) do
    hset(what, r[ID], false)
  end
  gone['parts:' .. r[ID]] = true
  gone['repeats:' .. r[ID]] = true
  local origin = hget('orphans', r[ID])
  if origin then
    if not job(origin) then gone['repeats:' .. origin] = true end
    hset('orphans', r[ID], false)
  end
  rows[r[ID]] = false
  crowds[r[NAMED].crowd] = true
  return count
end

local function close_empty_crowds()
  for crowd in pairs(crowds) do
    local count = tonumber(call('HGET', P .. 'running', (parts_of(crowd))) or 0)
    for state = PENDING, CANCELLED do count = count + call('ZCARD', P .. CROWD[state] .. crowd) end
    if count == 0 then call('SREM', P .. 'crowds', crowd) end
  end
end
