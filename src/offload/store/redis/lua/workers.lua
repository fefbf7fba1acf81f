-- with: clock spread quick base
-- Answer: name, seconds since its last beat, whether it is of this boot, and the beat, of each.
local reply, beats = { '' }, call('HGETALL', P .. 'workers')
for place = 1, #beats, 2 do
  local _, at, _, of_boot = parse('>ddi8Hc0', beats[place + 1])
  local n = #reply
  reply[n + 1], reply[n + 2] = beats[place], string.format('%.17g', ticks - at)
  reply[n + 3], reply[n + 4] = of_boot == boot and 1 or 0, beats[place + 1]
end
return done(reply)
