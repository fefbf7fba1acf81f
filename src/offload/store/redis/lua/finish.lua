-- with: base rows families records
-- Five arguments an ending: id, what is fixed in size (see FIXED), result or '', the failure's
-- type, message and traceback (packed, or ''), the text to show or '', the holder if known.
--
-- Answer: 1 for each ending that was applied, else 0.
although_full()
local FIXED = '>I4BBBi8di8'
local MOVE = { complete = 1, retry = 2, release = 3, fail = 4, bury = 5, cancel = 6 }
local LEADS = { COMPLETE, PENDING, PENDING, FAILED, DEAD, CANCELLED }
-- constants: ASKED=6
local STOPPED = 'cancelled while running'

local function fenced(id, lease, holder)
  local r = job(id)
  -- Numbers can come again when a server that lost its newest writes takes over, so the worker
  -- counts, too, where the caller knows to whom it was given.
  return r and r[STATE] == RUNNING and r[LEASE] == lease and (holder == '' or r[WORKER] == holder) and r
end

local function finish(place)
  local id, result, failure, shown, holder = ARGV[place], ARGV[place + 2], ARGV[place + 3],
    ARGV[place + 4], ARGV[place + 5]
  local lease, asked, crashed, failed, delay, ran, memory = parse(FIXED, ARGV[place + 1])
  local r = fenced(id, lease, holder)
  if not r then return 0 end
  local move = asked
  if r[CANCEL] == 1 and LEADS[asked] == PENDING then move, shown = MOVE.cancel, STOPPED end
  if failed == 1 and asked ~= MOVE.cancel then
    record(r, 'errors', 'I4i8c0c0', r[ATTEMPT], now, failure, id)
  end
  if ran >= 0 then
    record(r, 'metrics', 'I4Bi8di8i8Hc0c0', r[ATTEMPT], move, r[STARTED_AT] - r[RUN_AT], ran, memory,
      now, #r[NAMED].task, r[NAMED].task, id)
  end
  if r[NAMED].lane ~= '' then news.r = true end
  stop_running(r)
  r[CRASHES] = r[CRASHES] + crashed
  if move == MOVE.release then r[ATTEMPT] = r[ATTEMPT] - 1 end
  if move == MOVE.complete then
    if r[ERROR] == 1 then say(r, 'error') end
    r[PROGRESS] = 100
    hset('result', id, result)
  elseif failed == 1 or move ~= asked then
    say(r, 'error', shown)
  end
  local state = LEADS[move]
  if state == PENDING then
    -- A released job keeps its due time, and with it its place in the line.
    if move ~= MOVE.release or delay > 0 then r[RUN_AT] = now + delay end
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
  call('DEL', P .. 'letter:' .. id)
  call('HSET', P .. 'letter:' .. id, 'row', letters[from + 2])
  for at, what in ipairs(WHAT) do
    if letters[from + 2 + at] then call('HSET', P .. 'letter:' .. id, what, letters[from + 2 + at]) end
  end
end
return done(applied)
