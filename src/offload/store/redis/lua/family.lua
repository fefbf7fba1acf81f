-- with: clock spread quick base rows families
-- Answer: how many parents; the parents; the dependents.
local r = job(ARGV[FIRST])
if not r then return done({ '', 0 }) end
local parents = parents_of(r)
local reply = { '', #parents }
for _, id in ipairs(parents) do reply[#reply + 1] = id end
for _, id in ipairs(children(r)) do reply[#reply + 1] = id end
return done(reply)
