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

-- What is written: lists that are written as a whole, some of them for each crowd, worker, queue.
local rows, results, metrics = {}, {}, {}
local crowds, held, queues = {}, {}, {}
local metric = tonumber(call('HGET', P .. 'numbers', 'metrics') or 0)

-- The front of the row that a job leaves, false if the quick way is not for it. Few fronts differ.
local fronts = {}
local function front_of(raw, size, terms, t)
  local leading, of_terms = sub(raw, 1, FRONT_SIZE + size + 8), of_group(fronts, terms)
  local new = of_terms[leading]
  if new == nil then
    new = ended(leading, t)
    of_terms[leading] = new
  end
  return new
end

-- Note all ends, and say whether each of them is for the quick way. Places are counted here, for
-- Lua looks for the end of a list each time that it is asked how long it is.
local function end_all(ids)
  local seen, in_crowd, measured, kept = {}, {}, 0, 0
  for number, raw in ipairs(values_of(P .. 'row', ids)) do
    local id, place, second = ids[number], FIRST + (number - 1) * ASKED, 2 * number
    local terms, measure, result = ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]
    local t = terms_of(terms)
    if not raw or seen[id] or not t.is_quick then return false end
    seen[id] = true
    local size = #t.holder
    local front = front_of(raw, size, terms, t)
    if not front then return false end
    local named, link = names_of(sub(raw, TAIL_AT + size)), NONE
    if measure ~= '' then
      metric, measured = metric + 1, measured + 2
      link = pack('>i8', metric)
      metrics[measured - 1] = metric
      metrics[measured] = front.metric .. sub(raw, RUN_AT_AT + size, AFTER_RUN_AT + size - 1) .. measure
        .. named.of_metric .. id
    end
    rows[second - 1], rows[second] = id, front.row .. link .. sub(raw, SEQ_AT + size)
    if result ~= NOTHING then
      kept = kept + 2
      results[kept - 1], results[kept] = id, result
    end
    local crowd, n = of_group(crowds, named.crowd), (in_crowd[named.crowd] or 0) + 2
    crowd[n - 1], crowd[n], in_crowd[named.crowd] = parse('>i8', raw, SEQ_AT + size), id, n
    local of_holder = of_group(held, t.holder)
    of_holder[#of_holder + 1] = id
    queues[named.queue] = (queues[named.queue] or 0) + 1
  end
  return true
end

local function finish_quickly()
  local ids, reply = {}, { 'c' }
  for place = FIRST, #ARGV, ASKED do ids[#ids + 1] = ARGV[place] end
  if #ids == 0 or not end_all(ids) then return nil end
  many('HSET', P .. 'row', rows)
  many('HSET', P .. 'result', results)
  many('RPUSH', P .. 'ends', ids)
  if #metrics > 0 then
    many('HSET', P .. 'metrics', metrics)
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
