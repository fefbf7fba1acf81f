-- with: clock spread quick base rows
-- ARGV[5..]: states as '1,3' or ''; task, queue, tag and schedule, each '' or '=' and its name;
-- created after and before, or ''; below which seq, or ''; how many.
--
-- Answer: the seq to go on below, or '' at the end; then the jobs.
local states, task, queue, tag, schedule = unpack(ARGV, FIRST, FIRST + 4)
local after, before, below = unpack(ARGV, FIRST + 5, FIRST + 7)
local limit = tonumber(ARGV[FIRST + 8])
-- constants: CHUNK=200 LOOKED=1000

local wanted = {}
for state in string.gmatch(states, '%d') do wanted[tonumber(state)] = true end

local function name(option) return string.sub(option, 2) end

-- Who runs, with their numbers: few, and in no list of the kind that is searched.
local function running_jobs()
  local ids, found = {}, {}
  for _, worker in ipairs(call('SMEMBERS', P .. 'holders')) do
    for _, id in ipairs(call('SMEMBERS', P .. 'held:' .. worker)) do ids[#ids + 1] = id end
  end
  load(ids)
  for place, id in ipairs(ids) do found[place] = { id = id, seq = rows[id][SEQ] } end
  return found
end

-- What to look through: the shortest lists that have every job that may be meant.
local function lists_to_read()
  local crowds, total = {}, 0
  for _, crowd in ipairs(call('SMEMBERS', P .. 'crowds')) do
    local of_queue, of_task = parts_of(crowd)
    local is_meant = (queue == '' or of_queue == name(queue)) and (task == '' or of_task == name(task))
    for state = PENDING, CANCELLED do
      if is_meant and (states == '' or wanted[state]) then
        local count = call('ZCARD', P .. CROWD[state] .. crowd)
        if count > 0 then crowds[#crowds + 1] = CROWD[state] .. crowd end
        total = total + count
      end
    end
  end
  local best = nil
  local function try(key)
    local count = call('ZCARD', P .. key)
    if count < total then best, total = { key }, count end
  end
  if tag ~= '' then try('tag:' .. name(tag)) end
  if schedule ~= '' then try('schedule:' .. schedule) end
  if best then return best, {} end
  return crowds, (states == '' or wanted[RUNNING]) and running_jobs() or {}
end

local function matches(r)
  return (states == '' or wanted[r[STATE]])
    and (task == '' or r[NAMED].task == name(task))
    and (queue == '' or r[NAMED].queue == name(queue))
    and (schedule == '' or r[NAMED].schedule == schedule)
    and (after == '' or r[CREATED_AT] >= tonumber(after))
    and (before == '' or r[CREATED_AT] < tonumber(before))
    and (tag == '' or call('ZSCORE', P .. 'tag:' .. name(tag), r[ID]))
end

local keys, running = lists_to_read()

local function chunk_below(seq)
  local found = {}
  local top = seq == '' and '+inf' or '(' .. seq
  for _, each in ipairs(running) do
    if seq == '' or each.seq < tonumber(seq) then found[#found + 1] = each end
  end
  for _, key in ipairs(keys) do
    local members = call('ZREVRANGEBYSCORE', P .. key, top, '-inf', 'WITHSCORES', 'LIMIT', 0, CHUNK)
    for place = 1, #members, 2 do
      found[#found + 1] = { id = members[place], seq = tonumber(members[place + 1]) }
    end
  end
  table.sort(found, function(a, b) return a.seq > b.seq end)
  return found
end

local ids, looked = {}, 0
while below ~= 'end' and #ids < limit and looked < LOOKED do
  local found = chunk_below(below)
  -- Beyond a chunk's length there may be gaps, for each list was read only so far.
  local count = math.min(CHUNK, #found)
  local chunk = {}
  for place = 1, count do chunk[place] = found[place].id end
  load(chunk)
  for place = 1, count do
    local r = rows[chunk[place]]
    if #ids < limit and matches(r) then ids[#ids + 1] = r[ID] end
  end
  looked = looked + count
  below = count < CHUNK and 'end' or found[count].seq
end
if #ids >= limit or below == 'end' then below = '' end
return done(show(ids, { '', below }))
