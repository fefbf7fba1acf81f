-- with: clock spread quick base rows families terms admission
-- ARGV[5]: 'dead' or 'ended'; then for each job its id, its row as it was read, and a request.
--
-- Answer: the new jobs, each after the place of its origin among those asked for.
local kind = ARGV[FIRST]
-- constants: EACH=7

local function take(id, row)
  if kind == 'ended' then
    local r = job(id)
    return r and r[STATE] > RUNNING
  end
  if call('HGET', P .. 'letter:' .. id, 'row') ~= row then return false end
  zset('dead', id, false)
  gone['letter:' .. id] = true
  return true
end

local taken = {}
for place = FIRST + 1, #ARGV, EACH do
  local origin, new = ARGV[place], ARGV[place + 2]
  if take(origin, ARGV[place + 1]) then
    taken[#taken + 1] = place
    if not job(new) then
      push('repeats:' .. origin, pack('>i8', now) .. new)
      -- Nothing else would take the record of a job that is gone along.
      if not job(origin) then hset('orphans', new, origin) end
    end
  end
end
local ids, places = {}, {}
for number, place in ipairs(taken) do
  ids[number] = admit(place + 2, {})
  places[number] = (place - FIRST - 1) / EACH
end
flush()
local reply = { '', #places }
for _, place in ipairs(places) do reply[#reply + 1] = place end
return done(show(ids, reply))
