-- Claim quickly; see `quick`. Nothing is due or expires, and one line is open, which has no lane.
local function open_queues()
  local wanted, paused = {}, {}
  for place = FIRST + 3, #ARGV do wanted[ARGV[place]] = true end
  for _, queue in ipairs(call('SMEMBERS', P .. 'paused')) do paused[queue] = true end
  local all = ARGV[FIRST + 2] == '1'
  return function(queue) return not paused[queue] and (all or wanted[queue]) end
end

-- When time has something to do next; that a job has expired is due at once.
local function next_due(is_open)
  local due = nil
  for _, queue in ipairs(call('SMEMBERS', P .. 'laters')) do
    local at = is_open(queue) and tonumber(call('ZRANGE', P .. 'later:' .. queue, 0, 0, 'WITHSCORES')[2])
    if at and (not due or at < due) then due = at end
  end
  local expires = tonumber(call('ZRANGE', P .. 'expiring', 0, 0, 'WITHSCORES')[2])
  if expires and expires <= now then return now end
  return due
end

-- The one open line; nil if there is none, false if this is not for the quick way.
local function only_line(is_open)
  local only = nil
  for _, line in ipairs(call('SMEMBERS', P .. 'lines')) do
    local queue, lane = parts_of(line)
    if is_open(queue) then
      if only or lane ~= '' then return false end
      only = line
    end
  end
  return only
end

-- The front that a row has once this worker has it, or false.
local function claimed(front, worker)
  local _, _, cancel, erred, message, data, parents, children, tagged, scope, policy, inputs, special,
    _, version, attempt, lease, _, finished = parse(FRONT, front)
  if special + erred + message + data > 0 then return false end
  return pack(FRONT, RUNNING, 0, cancel, 0, 0, 0, parents, children, tagged, scope, policy, inputs,
    0, -1, version + 1, attempt + 1, lease + 1, now, finished, #worker) .. worker
end

-- The rows once this worker has them, by turns with their ids; nil if one is not for the quick way.
local function claimed_rows(ids, worker, crowds)
  local fronts, put = {}, {}
  for place, raw in ipairs(values_of(P .. 'row', ids)) do
    local front, id = sub(raw, 1, FRONT_SIZE), ids[place]
    if fronts[front] == nil then fronts[front] = claimed(front, worker) end
    if not fronts[front] then return nil end
    put[2 * place - 1], put[2 * place] = id, fronts[front] .. sub(raw, FRONT_SIZE + 1)
    local crowd = of_group(crowds, names_of(sub(raw, TAIL_AT)).crowd)
    crowd[#crowd + 1] = id
  end
  return put
end

local function shown(ids, put, due)
  local bodies = values_of(P .. 'body', ids)
  local reply, n = { 'c', due or '', now }, 3
  for place, id in ipairs(ids) do
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = id, put[2 * place], bodies[place], false
    n = n + 4
  end
  return reply
end

local function nothing(due)
  call('SET', P .. 'hungry', 1)
  return { '', due or '', now }
end

local function claim_quickly()
  local worker, limit = ARGV[FIRST], tonumber(ARGV[FIRST + 1])
  local is_open = open_queues()
  local due = next_due(is_open)
  if limit < 1 or due and due <= now then return nil end
  local line = only_line(is_open)
  if line == false then return nil end
  if line == nil then return nothing(due) end
  local ids, crowds = call('ZRANGE', P .. 'ready:' .. line, 0, limit - 1), {}
  if #ids == 0 then
    call('SREM', P .. 'lines', line)
    return nothing(due)
  end
  for place, member in ipairs(ids) do ids[place] = sub(member, 17) end
  local put = claimed_rows(ids, worker, crowds)
  if not put then return nil end
  call('ZREMRANGEBYRANK', P .. 'ready:' .. line, 0, #ids - 1)
  many('HSET', P .. 'row', put)
  for crowd, members in pairs(crowds) do many('ZREM', P .. CROWD[PENDING] .. crowd, members) end
  many('SADD', P .. 'held:' .. worker, ids)
  call('SADD', P .. 'holders', worker)
  call('HINCRBY', P .. 'running', (parts_of(line)), #ids)
  if #ids < limit then call('SET', P .. 'hungry', 1) end
  call('PUBLISH', P .. 'changes', 'c')
  return shown(ids, put, due)
end

although_full()
local given = claim_quickly()
if given then return given end
