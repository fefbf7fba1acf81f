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
local fronts_of = {}

-- Note all ends, and say whether each of them is for the quick way. Places are counted here, for
-- Lua looks for the end of a list each time that it is asked how long it is; and what is the same
-- for job after job is looked for once.
local function end_all(ids)
  local seen, measured, kept = {}, 0, 0
  local last_terms, t, fronts, size, of_holder, n_held = nil, nil, nil, nil, nil, nil
  local last_tail, named, crowd, n = nil, nil, nil, nil
  for number, raw in ipairs(values_of(P .. 'row', ids)) do
    local id, place, second = ids[number], FIRST + (number - 1) * ASKED, 2 * number
    local terms, measure, result = ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]
    if terms ~= last_terms then
      t, last_terms, fronts = terms_of(terms), terms, of_group(fronts_of, terms)
      size, of_holder = #t.holder, of_group(held, t.holder)
      n_held = #of_holder
    end
    if not raw or seen[id] or not t.is_quick then return false end
    seen[id] = true
    -- The front of the row that a job leaves, false if the quick way is not for it: few differ.
    local leading, tail = sub(raw, 1, FRONT_SIZE + size + 8), sub(raw, TAIL_AT + size)
    local front = fronts[leading]
    if front == nil then
      front = ended(leading, t)
      fronts[leading] = front
    end
    if not front then return false end
    if tail ~= last_tail then
      named, last_tail = names_of(tail), tail
      crowd = of_group(crowds, named.crowd)
      n = #crowd
    end
    local seq, due = parse('>i8c8', raw, SEQ_AT + size)
    local link = NONE
    if measure ~= '' then
      metric, measured = metric + 1, measured + 2
      link = pack('>i8', metric)
      metrics[measured - 1] = metric
      metrics[measured] = front.metric .. due .. measure .. named.of_metric .. id
    end
    rows[second - 1], rows[second] = id, front.row .. link .. sub(raw, SEQ_AT + size)
    if result ~= NOTHING then
      kept = kept + 2
      results[kept - 1], results[kept] = id, result
    end
    crowd[n + 1], crowd[n + 2] = seq, id
    n, n_held = n + 2, n_held + 1
    of_holder[n_held] = id
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
  call('PUBLISH', P .. 'changes', 'c')
  if once then call('SET', once, cmsgpack.pack(reply), 'PX', 60000) end
  return reply
end

although_full()
local all_ended = finish_quickly()
if all_ended then return all_ended end
