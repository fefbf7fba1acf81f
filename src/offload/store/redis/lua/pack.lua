-- with: clock spread quick base rows families terms admission
-- ARGV[5]: the number behind which to begin; ARGV[6]: how many at most.
-- Answer: for each job, oldest first, the job, and then whether it holds its key, the limits of its
-- lane and when a job of that started last, how many parts and how many repeats there are.
local after, limit = ARGV[FIRST], tonumber(ARGV[FIRST + 1])

local found = {}
for _, crowd in ipairs(call('SMEMBERS', P .. 'crowds')) do
  for state = PENDING, CANCELLED do
    if state ~= RUNNING then
      local members = call('ZRANGEBYSCORE', P .. CROWD[state] .. crowd, '(' .. after, '+inf',
        'WITHSCORES', 'LIMIT', 0, limit)
      for place = 1, #members, 2 do
        found[#found + 1] = { id = members[place], seq = tonumber(members[place + 1]) }
      end
    end
  end
end
table.sort(found, function(a, b) return a.seq < b.seq end)

local ids = {}
for place = 1, math.min(limit, #found) do ids[place] = found[place].id end
load(ids)
local reply = show(ids, { '' })
for _, id in ipairs(ids) do
  local r = rows[id]
  local key, lane = r[NAMED].key, r[NAMED].lane
  local holds_it = key ~= '' and hget('keys', key) == id and holds(r)
  reply[#reply + 1] = {
    holds_it and 1 or 0,
    lane ~= '' and hget('lanes', lane) or '',
    lane ~= '' and hget('starts', lane) or '',
    call('XLEN', P .. 'parts:' .. id),
    call('LLEN', P .. 'repeats:' .. id),
  }
end
return done(reply)
