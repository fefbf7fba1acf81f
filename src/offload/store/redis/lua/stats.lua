-- with: base
-- ARGV[5]: '1' for all queues; else those that follow. Answer: name, six counts, whether paused.
local queues = {}
if ARGV[FIRST] == '1' then
  queues = call('SUNION', P .. 'queues', P .. 'paused')
else
  for place = FIRST + 1, #ARGV do queues[#queues + 1] = ARGV[place] end
end
local reply = { '' }
for _, queue in ipairs(queues) do
  reply[#reply + 1] = queue
  for state = 1, 6 do reply[#reply + 1] = call('ZCARD', P .. 'jobs:' .. state .. ':' .. queue) end
  reply[#reply + 1] = call('SISMEMBER', P .. 'paused', queue)
end
return done(reply)
