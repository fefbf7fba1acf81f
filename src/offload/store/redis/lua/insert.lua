-- with: clock quick terms
-- Jobs that are alike, due, and kept out by nothing but their ids; see `quick`.
-- ARGV[5..6]: terms; what each body begins with. Then id and the rest of the body, of each job.
-- Answer: the time, or '' if any of the ids is there.
local t, ids, n = terms_of(ARGV[FIRST]), {}, 0
for place = FIRST + 2, #ARGV, 2 do
  n = n + 1
  ids[n] = ARGV[place]
end
for _, raw in ipairs(values_of(P .. 'row', ids)) do
  if raw then return { '', '' } end
end
-- The first write, which a server refuses that is full.
local last = call('HINCRBY', P .. 'numbers', 'job', n) - n
local named = names_of(t.tail)
local row = pack(ROW, PENDING, READY, 0, 0, 0, 0, 0, 0, 0, 0, t.policy, t.inputs, t.ttl >= 0 and 1 or 0,
  -1, 1, 0, 0, 0, 0, 0, '', 0, 0, now, 0, 0, t.priority, now, 0, 0, t.ttl, 0, 0, t.tail)
local before, after, begun = sub(row, 1, SEQ_AT - 1), sub(row, RUN_AT_AT), ARGV[FIRST + 1]
local score, due = tostring(-t.priority), pack('>i8', now)
local rows, bodies, ready, crowd = {}, {}, {}, {}
for number, id in ipairs(ids) do
  local first, second, seq = 2 * number - 1, 2 * number, pack('>i8', last + number)
  rows[first], rows[second] = id, before .. seq .. after
  bodies[first], bodies[second] = id, begun .. ARGV[FIRST + second + 1]
  ready[first], ready[second] = score, due .. seq .. id
  crowd[first], crowd[second] = last + number, id
end
many('HSET', P .. 'row', rows)
many('HSET', P .. 'body', bodies)
many('ZADD', P .. named.ready, ready)
many('ZADD', P .. CROWD[PENDING] .. named.crowd, crowd)
call('SADD', P .. 'lines', named.line)
call('SADD', P .. 'crowds', named.crowd)
if call('DEL', P .. 'hungry') == 1 then call('PUBLISH', P .. 'news', 'r') end
return { 'r', now }
