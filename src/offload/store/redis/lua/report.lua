-- with: clock spread quick base rows families records texts
-- Eight arguments a report: id, lease, holder if known, progress or '', message ('' or '=' and the
-- text), data (likewise), log lines and parts (packed, see `texts`).
although_full()
-- constants: ASKED=8

local function report(place)
  local r = job(ARGV[place])
  local lease, holder = tonumber(ARGV[place + 1]), ARGV[place + 2]
  if not r or r[STATE] ~= RUNNING or r[LEASE] ~= lease then return 0 end
  if holder ~= '' and r[WORKER] ~= holder then return 0 end
  if ARGV[place + 3] ~= '' then r[PROGRESS] = tonumber(ARGV[place + 3]) end
  if ARGV[place + 4] ~= '' then say(r, 'message', string.sub(ARGV[place + 4], 2)) end
  if ARGV[place + 5] ~= '' then say(r, 'data', string.sub(ARGV[place + 5], 2)) end
  for _, line in ipairs(texts_of(ARGV[place + 6])) do
    record(r, 'logs', 'I4i8Hc0Hc0c0', r[ATTEMPT], now, #r[NAMED].task, r[NAMED].task, #r[ID], r[ID],
      line)
  end
  for _, part in ipairs(texts_of(ARGV[place + 7])) do
    -- A stream, whose order is by number: a reader goes on from the last that it has seen.
    call('XADD', P .. 'parts:' .. r[ID], number('part') .. '-0', 'v', pack('>I4i8', r[ATTEMPT], now) .. part)
  end
  put(r)
  return 1
end

local accepted = { '' }
for place = FIRST, #ARGV, ASKED do accepted[#accepted + 1] = report(place) end
return done(accepted)
