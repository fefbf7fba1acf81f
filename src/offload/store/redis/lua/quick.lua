-- The quick way, for jobs that have no lane, schedule, expiry, time to live of their own nor
-- dependents, have said nothing, and succeed at once: most. What a claim or an end changes in
-- their rows is in front, and the same for all of a batch, so it is worked out once and put before
-- what stays. It is for a whole batch or not at all: one with any other job is left to the files
-- that follow, from which this must differ in nothing but time.
--
-- constants: PENDING=1 RUNNING=2 COMPLETE=3 FAILED=4 DEAD=5 CANCELLED=6 READY=1 LATER=2 BLOCKED=3
-- A row is the flags, what a claim and an end change, the worker's name after its length, the last
-- metric, and what seldom changes; at the end, the names. The flag SPECIAL says that there is a lane,
-- a schedule, an expiry or a time to live.
local ROW = '>BBBBBBBBBBBBBbI4I4I4i8i8Hc0i8i8i8I4I4i8i8i8i8di8i8c0'
-- Its front, how long that is without the worker's name, and what lies where behind no name.
local FRONT = '>BBBBBBBBBBBBBbI4I4I4i8i8H'
-- constants: FRONT_SIZE=44 SEQ_AT=53 RUN_AT_AT=61 AFTER_RUN_AT=69 TAIL_AT=133
local NONE = string.rep('\0', 8)
local sub = string.sub

local TAIL_FORMAT = '>Hc0Hc0Hc0Hc0I4c0'
local CROWD = { 'jobs:1:', 'jobs:2:', 'jobs:3:', 'jobs:4:', 'jobs:5:', 'jobs:6:' }

-- Most jobs of a script share their names.
local names = {}

local function names_of(tail)
  local found = names[tail]
  if not found then
    found = {}
    found.queue, found.task, found.lane, found.schedule, found.key = parse(TAIL_FORMAT, tail)
    -- A line of ready jobs for each queue and lane, a crowd for each queue and task. The length of
    -- the queue's name comes first, so that no two of them have one key, whatever the names are.
    local queue = #found.queue .. ':' .. found.queue
    found.line, found.crowd = queue .. found.lane, queue .. found.task
    found.ready = 'ready:' .. found.line
    found.of_metric = pack('>Hc0', #found.task, found.task)
    names[tail] = found
  end
  return found
end

-- The queue of a line or crowd, and the lane or task.
local function parts_of(line)
  local colon = string.find(line, ':', 1, true)
  local stop = colon + tonumber(sub(line, 1, colon - 1))
  return sub(line, colon + 1, stop), sub(line, stop + 1)
end

local function of_group(groups, key)
  local group = groups[key]
  if not group then
    group = {}
    groups[key] = group
  end
  return group
end
