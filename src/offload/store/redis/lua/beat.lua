-- with: clock spread quick base rows
-- ARGV[5..7]: worker, lease in seconds, and what else it says of itself.
-- Answer: id, lease and whether it is to stop, of each job that it holds.
although_full()
local worker, lease = ARGV[FIRST], tonumber(ARGV[FIRST + 1])
local known = hget('workers', worker)
local _, _, started = parse('>ddi8', known or pack('>ddi8', 0, 0, now))
hset('workers', worker, pack('>ddi8Hc0', lease, ticks, started, #boot, boot) .. ARGV[FIRST + 2])
local ids = call('SMEMBERS', P .. 'held:' .. worker)
load(ids)
local reply = { '' }
for _, id in ipairs(ids) do
  local r, n = rows[id], #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = id, r[LEASE], r[CANCEL]
end
return done(reply)
