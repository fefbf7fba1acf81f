-- with: clock spread
-- Jobs that are alike, due, and kept out by nothing but their ids; see `quick`, and `inserting.py`
-- of the client, which has packed all of their rows but three numbers.
-- ARGV[5..8]: a row up to its number, from its due time to when it was made, and the rest; what
-- each body begins with. ARGV[9..11]: their line, their crowd, their score in the line. Then the
-- id and the rest of the body, of each job.
-- Answer: the time, or '' if any of the ids is there.
local ids, n = {}, 0
for place = FIRST + 7, #ARGV, 2 do
  n = n + 1
  ids[n] = ARGV[place]
end
for _, raw in ipairs(values_of(P .. 'row', ids)) do
  if raw then return { '', '' } end
end
-- The first write, which a server refuses that is full.
local last = call('HINCRBY', P .. 'numbers', 'job', n) - n
local stamp, begun, line, crowd = pack('>i8', now), ARGV[FIRST + 3], ARGV[FIRST + 4], ARGV[FIRST + 5]
local before, after = ARGV[FIRST], stamp .. ARGV[FIRST + 1] .. stamp .. ARGV[FIRST + 2]
local score, rows, bodies, ready, numbered = ARGV[FIRST + 6], {}, {}, {}, {}
for number, id in ipairs(ids) do
  local first, second, seq = 2 * number - 1, 2 * number, pack('>i8', last + number)
  rows[first], rows[second] = id, before .. seq .. after
  bodies[first], bodies[second] = id, begun .. ARGV[FIRST + 6 + second]
  ready[first], ready[second] = score, stamp .. seq .. id
  numbered[first], numbered[second] = last + number, id
end
many('HSET', P .. 'row', rows)
many('HSET', P .. 'body', bodies)
many('ZADD', P .. 'ready:' .. line, ready)
many('ZADD', P .. 'jobs:1:' .. crowd, numbered)
call('SADD', P .. 'lines', line)
call('SADD', P .. 'crowds', crowd)
if call('DEL', P .. 'hungry') == 1 then call('PUBLISH', P .. 'news', 'r') end
return { 'r', now }
