-- with: base rows
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
  local letter = call('HMGET', P .. 'letter:' .. id, 'row', unpack(WHAT))
  if letter[1] then
    reply[#reply + 1] = id
    for place = 1, SEEN - 1 do reply[#reply + 1] = letter[place] end
  end
end
return done(reply)
