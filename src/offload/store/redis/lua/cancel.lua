-- with: clock spread quick base rows families
-- ARGV[5]: id; ARGV[6]: '1' to ask a running one to stop.
although_full()
local r, running = job(ARGV[FIRST]), ARGV[FIRST + 1] == '1'
if not r or r[STATE] ~= (running and RUNNING or PENDING) then return done({ '', 0 }) end
if running then
  r[CANCEL] = 1
  put(r)
  news.x = true
else
  give_up(r, 'cancelled')
  settle({ r })
end
return done({ '', 1 })
