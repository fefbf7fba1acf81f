-- with: base rows families
-- ARGV[5]: id; ARGV[6]: '1' to ask a running one to stop.
M.although_full()
local r, running = M.job(ARGV[FIRST]), ARGV[FIRST + 1] == '1'
if not r or r[STATE] ~= (running and RUNNING or PENDING) then return M.done({ '', 0 }) end
if running then
  r[CANCEL] = 1
  M.put(r)
  news.x = true
else
  M.give_up(r, 'cancelled')
  M.settle({ r })
end
return M.done({ '', 1 })
