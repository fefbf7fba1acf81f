-- with: clock spread quick base
-- ARGV[5]: kind of record; ARGV[6]: the number to go on below, or ''; ARGV[7]: how many to look at.
-- Answer: the first number that was looked at, or 0 at the end; then numbers and records.
local kind = ARGV[FIRST]
local last = tonumber(ARGV[FIRST + 1]) or tonumber(call('HGET', P .. 'numbers', kind) or 0) + 1
local first = math.max(tonumber(call('HGET', P .. 'numbers', kind .. ' from') or 1), last - ARGV[FIRST + 2])
local reply = { '', last > first and first or 0 }
if last > first then
  local wanted = {}
  for this = last - 1, first, -1 do wanted[#wanted + 1] = this end
  for place, raw in ipairs(call('HMGET', P .. kind, unpack(wanted))) do
    if raw then
      reply[#reply + 1], reply[#reply + 2] = wanted[place], raw
    end
  end
end
return done(reply)
