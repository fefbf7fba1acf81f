-- with: clock spread quick endings quick_finish base rows families records
-- Answer: 1 for each ending that was applied, else 0.
local LEADS = { COMPLETE, PENDING, PENDING, FAILED, DEAD, CANCELLED }
local STOPPED = 'cancelled while running'

local function fenced(id, lease, holder)
  local r = job(id)
  -- Numbers can come again when a server that lost its newest writes takes over, so the worker
  -- counts, too, where the caller knows to whom it was given.
  return r and r[STATE] == RUNNING and r[LEASE] == lease and (holder == '' or r[WORKER] == holder) and r
end

local function finish(place)
  local id, t, said, shown = ARGV[place], terms_of(ARGV[place + 1]), '', ''
  local r = fenced(id, t.lease, t.holder)
  if not r then return 0 end
  if ARGV[place + 4] ~= '' then
    local failure, after = parse('>I4c0', ARGV[place + 4])
    said, shown = failure, sub(ARGV[place + 4], after)
  end
  local move = t.move
  if r[CANCEL] == 1 and LEADS[move] == PENDING then move, shown = CANCELLING, STOPPED end
  if t.failed == 1 and t.move ~= CANCELLING then
    record(r, 'errors', 'I4i8c0c0', r[ATTEMPT], now, said, id)
  end
  if ARGV[place + 2] ~= '' then
    record(r, 'metrics', 'I4Bi8i8i8c0c0c0', r[ATTEMPT], move, now, r[STARTED_AT], r[RUN_AT],
      ARGV[place + 2], r[NAMED].of_metric, id)
  end
  if r[NAMED].lane ~= '' then news.r = true end
  stop_running(r)
  r[CRASHES] = r[CRASHES] + t.crashed
  if move == RELEASING then r[ATTEMPT] = r[ATTEMPT] - 1 end
  if move == COMPLETING then
    if r[ERROR] == 1 then say(r, 'error') end
    r[PROGRESS] = 100
    if ARGV[place + 3] ~= NOTHING then hset('result', id, ARGV[place + 3]) end
  elseif t.failed == 1 or move ~= t.move then
    say(r, 'error', shown)
  end
  local state = LEADS[move]
  if state == PENDING then
    -- A released job keeps its due time, and with it its place in the line.
    if move ~= RELEASING or t.delay > 0 then r[RUN_AT] = now + t.delay end
    become(r, PENDING)
    wait(r)
    news.r = true
  else
    over(r, state)
  end
  put(r)
  return 1, r
end

local ids, applied, dead = {}, { '' }, {}
for place = FIRST, #ARGV, ASKED do ids[#ids + 1] = ARGV[place] end
load(ids)
for place = FIRST, #ARGV, ASKED do
  local yes, r = finish(place)
  applied[#applied + 1] = yes
  if r and r[STATE] > RUNNING then settle({ r }) end
  if r and r[STATE] == DEAD then dead[#dead + 1] = r[ID] end
end
for _, id in ipairs(dead) do zset('dead', id, number('dead')) end
flush()
-- A letter is a copy of the whole job, which may be purged before it.
local letters = show(dead, {})
for place, id in ipairs(dead) do
  local from = (place - 1) * SEEN
  local extra = letters[from + 4] or {}
  call('DEL', P .. 'letter:' .. id)
  call('HSET', P .. 'letter:' .. id, 'row', letters[from + 2])
  call('HSET', P .. 'letter:' .. id, 'body', letters[from + 3])
  for at, what in ipairs(REST) do
    if extra[at] then call('HSET', P .. 'letter:' .. id, what, extra[at]) end
  end
end
return done(applied)
