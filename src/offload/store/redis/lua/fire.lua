-- with: clock spread quick base rows families terms admission
-- For each fire: its schedule, tick and next tick, how many jobs it has, and their requests and
-- ticks, six arguments a job.
--
-- Answer: -1 for each fire that came too late, else how many jobs it made; then the jobs.
-- constants: ONE=6
local SCHEDULE = '>i8BBBi8Hc0'

-- What the script itself has just enqueued is not there yet, but it is live.
local function is_busy(name)
  local count = call('SCARD', P .. 'live:=' .. name)
  for _, there in pairs(sets['live:=' .. name] or {}) do count = count + (there and 1 or -1) end
  return count > 0
end

local function fire(place)
  local name, tick, next_at = ARGV[place], tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
  local raw = hget('schedules', name)
  if not raw then return -1 end
  local due, paused, edited, fired, last_at, last_job, rest = parse(SCHEDULE, raw)
  if paused == 1 or due ~= tick then return -1 end
  local jobs, from = tonumber(ARGV[place + 3]), place + 4
  if string.byte(raw, rest) == 1 and jobs > 0 then
    -- Its jobs may not overlap: the last of them, if no other is there.
    from = from + (jobs - 1) * ONE
    jobs = is_busy(name) and 0 or 1
  end
  local answers, ids = {}, {}
  for number = 1, jobs do
    local at = from + (number - 1) * ONE
    local id, refusal = admit(at, answers)
    if not id then return nil, refusal end
    answers[ARGV[at]] = id
    ids[number] = id
    fired, last_job = 1, '=' .. id
    last_at = ARGV[at + ASKED] == '' and tick or tonumber(ARGV[at + ASKED])
  end
  hset('schedules', name, pack(SCHEDULE, next_at, paused, edited, fired, last_at, #last_job, last_job)
    .. string.sub(raw, rest))
  return jobs, ids
end

-- What a fire made as it left it: a later one of the same call may replace it again.
local function glimpse(ids, seen)
  for _, id in ipairs(ids) do
    local n = #seen
    local rest = {}
    for place, what in ipairs(REST) do rest[place] = hget(what, id) end
    seen[n + 1], seen[n + 2], seen[n + 3], seen[n + 4] = id, rows[id][RAW], hget('body', id), rest
  end
end

local reply, seen, place = { '', 0 }, {}, FIRST
while place <= #ARGV do
  local count, ids = fire(place)
  if not count then return ids end
  reply[2] = reply[2] + 1
  reply[#reply + 1] = count
  glimpse(ids or {}, seen)
  place = place + 4 + tonumber(ARGV[place + 3]) * ONE
end
for _, value in ipairs(seen) do reply[#reply + 1] = value end
return done(reply)
