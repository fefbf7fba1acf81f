-- with: clock spread quick base rows families terms admission records texts arriving
-- ARGV[5..]: jobs as they were. Answer: 1 for each that was not there, else 0.

-- Of these parents, those that are here.
local function parents_here(packed)
  local here = {}
  if packed == '' then return here end
  for _, id in ipairs(cjson.decode(packed)) do
    if job(id) then here[#here + 1] = id end
  end
  return here
end

local function keep_records(r, packed)
  for place, kind in ipairs({ 'errors', 'logs', 'metrics' }) do
    for _, data in ipairs(texts_of(packed[place])) do record(r, kind, 'c0', data) end
  end
  for _, part in ipairs(texts_of(packed[4])) do
    call('XADD', P .. 'parts:' .. r[ID], number('part') .. '-0', 'v', part)
  end
  local repeats = texts_of(packed[5])
  if #repeats > 0 then lists['repeats:' .. r[ID]] = repeats end
end

local function hold(r, t, held)
  if held and not holder_of(t.key) then hset('keys', t.key, r[ID]) end
end

local function limit(t, started)
  local name = t.lane
  if name == '' or (t.interval < 0 and t.places < 0) or hget('lanes', name) then return end
  hset('lanes', name, pack('>dd', t.interval, t.places))
  if started > 0 then hset('starts', name, started) end
end

-- Where the job stands now: over as it was, or in the line, or what its parents make of it.
local function settle_in(r, lost, was_blocked)
  if r[STATE] > RUNNING then
    if r[TTL] >= 0 then
      zset('outliving', r[ID], r[FINISHED_AT] + r[TTL] * 1000)
    else
      zset('ended', r[ID], r[FINISHED_AT])
    end
    return
  end
  if lost then
    over(r, CANCELLED)
    say(r, 'error', orphaned(lost))
    return
  end
  if r[NAMED].schedule ~= '' then set('live:' .. r[NAMED].schedule, r[ID], true) end
  if was_blocked and r[BLOCKERS] == 0 then feed(r) end
  wait(r)
end

local function take(place)
  local id, t = ARGV[place], terms_of(ARGV[place + 1])
  if job(id) then return 0 end
  local r, held, blocked, started = as_it_was(place, t)
  rows[id] = r
  hset('body', id, ARGV[place + 2])
  index(r, ARGV[place + 4])
  hold(r, t, held)
  limit(t, started)
  local parents, lost = parents_here(ARGV[place + 3]), nil
  if #parents > 0 then lost = adopt(r, parents) end
  if not blocked then r[BLOCKERS], lost = 0, nil end
  for number, text in ipairs(texts_of(ARGV[place + 6])) do
    if text ~= '' and TEXTS[number] == 'result' then hset('result', id, sub(text, 2)) end
    if text ~= '' and TEXTS[number] ~= 'result' then say(r, TEXTS[number], sub(text, 2)) end
  end
  join(r)
  settle_in(r, lost, blocked)
  keep_records(r, texts_of(ARGV[place + 7]))
  keep(r)
  news.r, news.c = true, true
  return 1
end

local reply = { '' }
for place = FIRST, #ARGV, ARRIVING do reply[#reply + 1] = take(place) end
return done(reply)
