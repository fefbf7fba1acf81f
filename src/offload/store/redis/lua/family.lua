-- with: base rows families
-- Answer: how many parents; the parents; the dependents.
local r = M.job(ARGV[FIRST])
if not r then return M.done({ '', 0 }) end
local parents = M.parents_of(r)
local reply = { '', #parents }
for _, id in ipairs(parents) do reply[#reply + 1] = id end
for _, id in ipairs(M.children(r)) do reply[#reply + 1] = id end
return M.done(reply)
