-- with: clock spread quick base rows
-- ARGV[5..6]: the first and the last place, newest first; or ARGV[5] '' and then ids.
local ids
if ARGV[FIRST] == '' then
  ids = {}
  for place = FIRST + 1, #ARGV do ids[#ids + 1] = ARGV[place] end
else
  ids = call('ZREVRANGE', P .. 'dead', ARGV[FIRST], ARGV[FIRST + 1])
end
local reply = { '' }
for _, id in ipairs(ids) do
  local n = #reply
  local rest = call('HMGET', P .. 'letter:' .. id, 'row', 'body', unpack(REST))
  local row, body = table.remove(rest, 1), table.remove(rest, 1)
  if row then reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = id, row, body, rest end
end
return done(reply)
