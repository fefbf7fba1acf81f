-- What every script begins with: the time and the names.
--
-- KEYS[1]: the queue's prefix, which has a hash tag. Every key begins with it, so all of a queue
-- is in one slot of a cluster, and nothing of another queue is ever named.
-- ARGV[1..3]: the wall clock, the ticks and the boot of a test's clock, or ''.
-- ARGV[4]: the name of this call, or '' if it may be carried out twice.
-- constants: FIRST=5 MOST=4000
local P = KEYS[1]
local call, pack, parse = redis.call, struct.pack, struct.unpack
local now, ticks, boot = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if not now then
  -- The server's clock: workers on many machines need not agree on the time.
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
  ticks = time[1] + time[2] / 1000000
end

-- A caller whose reply was lost asks again under the same name, and gets the reply.
local once = ARGV[4] ~= '' and P .. 'once:' .. ARGV[4]
if once then
  local said = call('GET', once)
  if said then return cmsgpack.unpack(said) end
end

-- A server whose memory is full lets a script write that has written something already, if only
-- that takes no memory. Ends must get through, or it would stay full; requests must not.
local function although_full()
  call('DEL', P .. 'room')
end
