-- with: clock spread quick base rows families terms admission
-- Answer: the time; then all jobs as they are now, unless each is as it was asked for.
local plain = ARGV[FIRST] == '1'
local ids, refusal = admit_all(FIRST + 1, #ARGV)
if not ids then return refusal end
if not plain then
  flush()
  return done(show(ids, { '', 'jobs', now }))
end
local old, places = {}, {}
for place, id in ipairs(ids) do
  -- Nothing but its id can have kept it out, so who was not there is as it was asked for.
  if not inserted[id] then
    old[#old + 1] = id
    places[#places + 1] = place - 1
  end
end
flush()
local reply = { '', 'places', now, #places }
for _, place in ipairs(places) do reply[#reply + 1] = place end
return done(show(old, reply))
