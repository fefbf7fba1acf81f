-- with: clock spread quick base rows
-- ARGV[5]: how many. Answer: why, for each job; then the jobs.
although_full()
local left = tonumber(ARGV[FIRST])
local ids, reasons = {}, {}

local function silent(worker)
  local beat = call('HGET', P .. 'workers', worker)
  if not beat then return 'worker ' .. worker .. ' is gone' end
  local lease, at, _, of_boot = parse('>ddi8Hc0', beat)
  if of_boot ~= boot then return 'worker ' .. worker .. ' ended with its machine' end
  if ticks - at > lease then
    return string.format('worker %s was silent for %.0f s', worker, ticks - at)
  end
end

for _, worker in ipairs(call('SMEMBERS', P .. 'holders')) do
  local held = call('SCARD', P .. 'held:' .. worker)
  if held == 0 then set('holders', worker, false) end
  local reason = held > 0 and left > 0 and silent(worker)
  if reason then
    for _, id in ipairs(call('SRANDMEMBER', P .. 'held:' .. worker, left)) do
      ids[#ids + 1], reasons[#reasons + 1] = id, reason
    end
    left = tonumber(ARGV[FIRST]) - #ids
  end
end
local reply = { '', #ids }
for _, reason in ipairs(reasons) do reply[#reply + 1] = reason end
flush()
return done(show(ids, reply))
