-- with: clock spread quick base rows families terms admission records removing
-- ARGV[5..]: ids, each with the version in which it may go. Answer: 1 for each that went, else 0.
although_full()
local reply = { '' }
for place = FIRST, #ARGV, 2 do
  local r = job(ARGV[place])
  local may_go = r and r[VERSION] == tonumber(ARGV[place + 1]) and r[STATE] ~= RUNNING
  if may_go and #children(r) == 0 then
    remove(r)
    -- A parent that comes later must not find it among its children.
    flush()
    known = {}
    reply[#reply + 1] = 1
    news.c = true
  else
    reply[#reply + 1] = 0
  end
end
close_empty_crowds()
return done(reply)
