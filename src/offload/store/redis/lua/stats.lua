-- with: clock spread quick base
-- ARGV[5]: '1' for all queues; else those that follow. Answer: name, six counts, whether paused.
local all, counts = ARGV[FIRST] == '1', {}

local function counts_of(queue)
  if not counts[queue] then
    local running = tonumber(call('HGET', P .. 'running', queue) or 0)
    counts[queue] = { 0, running, 0, 0, 0, 0 }
  end
  return counts[queue]
end

for place = FIRST + 1, #ARGV do counts_of(ARGV[place]) end
if all then
  for _, queue in ipairs(call('SMEMBERS', P .. 'paused')) do counts_of(queue) end
end
for _, crowd in ipairs(call('SMEMBERS', P .. 'crowds')) do
  local queue = parts_of(crowd)
  if all or counts[queue] then
    local each = counts_of(queue)
    for state = PENDING, CANCELLED do
      if state ~= RUNNING then each[state] = each[state] + call('ZCARD', P .. CROWD[state] .. crowd) end
    end
  end
end
local reply = { '' }
for queue, each in pairs(counts) do
  reply[#reply + 1] = queue
  for state = PENDING, CANCELLED do reply[#reply + 1] = each[state] end
  reply[#reply + 1] = call('SISMEMBER', P .. 'paused', queue)
end
return done(reply)
