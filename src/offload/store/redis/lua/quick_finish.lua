-- End quickly; see `quick`.

-- What is in front of the rest of a row that ends, and of its metric; or false.
local function ended(front, t)
  local state, _, cancel, erred, message, data, parents, children, tagged, scope, policy, inputs, special,
    _, version, attempt, lease, started, _, length = parse(FRONT, front)
  if state ~= RUNNING or lease ~= t.lease or special + children + erred > 0 then return false end
  if sub(front, FRONT_SIZE + 1, FRONT_SIZE + length) ~= t.holder then return false end
  if sub(front, FRONT_SIZE + length + 1) ~= NONE then return false end
  return {
    row = pack(FRONT, COMPLETE, 0, cancel, 0, message, data, parents, children, tagged, scope, policy,
      inputs, 0, 100, version + 1, attempt, lease, started, now, 0),
    metric = NONE .. NONE .. pack('>I4Bi8i8', attempt, COMPLETING, now, started),
  }
end

-- What is written for all of them, under the keys of lists that are written as a whole.
local writes = { row = {}, result = {}, metrics = {}, ended = {} }
local crowds, held, queues = {}, {}, {}
local metric = tonumber(call('HGET', P .. 'numbers', 'metrics') or 0)

local function append(list, first, second)
  local n = #list
  list[n + 1], list[n + 2] = first, second
end

-- Note how a job's metric is to be stored, and return its number as rows have it.
local function measured(id, raw, size, named, front, measure)
  if measure == '' then return NONE end
  metric = metric + 1
  append(writes.metrics, metric, front.metric .. sub(raw, RUN_AT_AT + size, AFTER_RUN_AT + size - 1)
    .. measure .. named.of_metric .. id)
  return pack('>i8', metric)
end

local function end_one(id, raw, size, front, place)
  local named = names_of(sub(raw, TAIL_AT + size))
  local number = measured(id, raw, size, named, front, ARGV[place + 2])
  append(writes.row, id, front.row .. number .. sub(raw, SEQ_AT + size))
  append(writes.result, id, ARGV[place + 3])
  append(writes.ended, now, id)
  append(of_group(crowds, named.crowd), parse('>i8', raw, SEQ_AT + size), id)
  queues[named.queue] = (queues[named.queue] or 0) + 1
end

-- Note all ends, and say whether each of them is for the quick way.
local function end_all(ids)
  local fronts, seen = {}, {}
  for number, raw in ipairs(values_of(P .. 'row', ids)) do
    local id, place = ids[number], FIRST + (number - 1) * ASKED
    local terms = ARGV[place + 1]
    local t = terms_of(terms)
    if not raw or seen[id] or not t.is_quick then return false end
    seen[id] = true
    local size = #t.holder
    local leading = sub(raw, 1, FRONT_SIZE + size + 8)
    local of_terms = of_group(fronts, terms)
    if of_terms[leading] == nil then of_terms[leading] = ended(leading, t) end
    if not of_terms[leading] then return false end
    append(of_group(held, t.holder), id)
    end_one(id, raw, size, of_terms[leading], place)
  end
  return true
end

local function finish_quickly()
  local ids, reply = {}, { 'c' }
  for place = FIRST, #ARGV, ASKED do ids[#ids + 1] = ARGV[place] end
  if #ids == 0 or not end_all(ids) then return nil end
  many('HSET', P .. 'row', writes.row)
  many('HSET', P .. 'result', writes.result)
  many('ZADD', P .. 'ended', writes.ended)
  if #writes.metrics > 0 then
    many('HSET', P .. 'metrics', writes.metrics)
    call('HSET', P .. 'numbers', 'metrics', metric)
  end
  for crowd, pairs_ in pairs(crowds) do many('ZADD', P .. CROWD[COMPLETE] .. crowd, pairs_) end
  for worker, members in pairs(held) do many('SREM', P .. 'held:' .. worker, members) end
  for queue, count in pairs(queues) do call('HINCRBY', P .. 'running', queue, -count) end
  for place = 1, #ids do reply[place + 1] = 1 end
  call('PUBLISH', P .. 'news', 'c')
  if once then call('SET', once, cmsgpack.pack(reply), 'PX', 60000) end
  return reply
end

although_full()
local all_ended = finish_quickly()
if all_ended then return all_ended end
