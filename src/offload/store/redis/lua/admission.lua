-- How jobs come in: once, under their keys, all of a batch or none.
--
-- A request is five arguments: id, terms, body, the ids of its parents and its tags, both as JSON
-- or ''.
-- constants: ASKED=5 WINDOW=3 REPLACE=2 REJECT=3

-- Who came in with this call.
local inserted = {}

local function holds(r)
  if r[SCOPE] == WINDOW then return now < r[KEY_UNTIL] end
  if r[SCOPE] == 1 then return r[STATE] == PENDING and r[LEASE] == 0 end
  return r[STATE] == PENDING or r[STATE] == RUNNING
end

local function holder_of(key)
  local id = hget('keys', key)
  local r = id and job(id)
  return r and holds(r) and r
end

local function fresh(id, t)
  local due = t.at == 1 and t.due or now + t.due
  local names = names_of(t.tail)
  local special = t.expires ~= NEVER or t.ttl >= 0 or names.lane ~= '' or names.schedule ~= ''
  return {
    PENDING, 0, 0, 0, 0, 0, 0, 0, 0, t.scope, t.policy, t.inputs, special and 1 or 0, -1, 1, 0, 0, 0,
    0, 0, '', 0, number('job'), math.max(due, now), 0, 0, t.priority, now,
    t.expires == NEVER and 0 or now + t.expires, t.window == NEVER and 0 or now + t.window, t.ttl,
    0, 0, t.tail, names, id, '',
  }
end

-- Link a job with its parents; return the first of them that has ended without what it needs.
local function adopt(r, parents)
  local lost, seen = nil, {}
  hset('parents', r[ID], cjson.encode(parents))
  r[PARENTS] = 1
  for _, id in ipairs(parents) do
    if not seen[id] then
      seen[id] = true
      local parent = rows[id]
      local others = children(parent)
      others[#others + 1] = r[ID]
      known[id] = others
      zset('children:' .. id, r[ID], r[SEQ])
      if parent[CHILDREN] == 0 then
        parent[CHILDREN] = 1
        keep(parent)
      end
      if parent[STATE] <= RUNNING then
        r[BLOCKERS] = r[BLOCKERS] + 1
      elseif not lost and orphans(parent, r[POLICY]) then
        lost = parent
      end
    end
  end
  return lost
end

local function index(r, tags)
  set('crowds', r[NAMED].crowd, true)
  if r[NAMED].schedule ~= '' then zset('schedule:' .. r[NAMED].schedule, r[ID], r[SEQ]) end
  if tags ~= '' then
    r[TAGGED] = 1
    for _, tag in ipairs(cjson.decode(tags)) do zset('tag:' .. tag, r[ID], r[SEQ]) end
  end
end

local function insert(id, t, body, parents, tags)
  local r = fresh(id, t)
  rows[id] = r
  inserted[id] = true
  hset('body', id, body)
  index(r, tags)
  if t.key ~= '' then hset('keys', t.key, id) end
  if t.lane ~= '' and (t.interval >= 0 or t.places >= 0) then
    hset('lanes', t.lane, pack('>dd', t.interval, t.places))
  end
  local lost = #parents > 0 and adopt(r, parents)
  join(r)
  if lost then
    over(r, CANCELLED)
    say(r, 'error', orphaned(lost))
  else
    if r[NAMED].schedule ~= '' then set('live:' .. r[NAMED].schedule, id, true) end
    if r[BLOCKERS] == 0 then feed(r) end
    wait(r)
  end
  keep(r)
  news.r = true
end

-- Answer one request: the id of the job that is there now, or nil and why it is refused.
local function admit(place, answers)
  local id, t = ARGV[place], terms_of(ARGV[place + 1])
  if job(id) then return id end
  local parents = ARGV[place + 3] == '' and {} or cjson.decode(ARGV[place + 3])
  for number, parent in ipairs(parents) do
    -- A parent that was itself answered with another job stands for that one.
    parents[number] = answers[parent] or parent
  end
  for _, parent in ipairs(parents) do
    if not job(parent) then return nil, { '', 'unknown', id, parent } end
  end
  local holder = t.key ~= '' and holder_of(t.key)
  if holder then
    if t.conflict == REJECT then return nil, { '', 'held', t.key, holder[ID] } end
    if t.conflict ~= REPLACE or holder[STATE] ~= PENDING then return holder[ID] end
    give_up(holder, 'cancelled')
    settle({ holder })
  end
  insert(id, t, ARGV[place + 2], parents, ARGV[place + 4])
  return id
end

-- Answer the requests from one argument up to another: the ids, or nil and a refusal.
local function admit_all(from, to)
  local ids, answers, n = {}, {}, 0
  for place = from, to, ASKED do
    n = n + 1
    ids[n] = ARGV[place]
  end
  load(ids)
  for number, id in ipairs(ids) do
    local answer, refusal = admit(from + (number - 1) * ASKED, answers)
    if not answer then return nil, refusal end
    answers[id] = answer
    ids[number] = answer
  end
  return ids
end
