-- with: clock spread quick base rows
-- ARGV[5]: kind of record; ARGV[6]: job; ARGV[7]: number to go on with, or ''; ARGV[8]: how many.
-- Answer: the number to go on with, 0 at the end; then numbers and records, newest first.
local kind, r = ARGV[FIRST], job(ARGV[FIRST + 1])
local this = tonumber(ARGV[FIRST + 2]) or (r and r[LAST[kind]]) or 0
local reply = { '', 0 }
while this > 0 and #reply < 2 * tonumber(ARGV[FIRST + 3]) do
  local raw = call('HGET', P .. kind, this)
  reply[#reply + 1], reply[#reply + 2] = this, raw
  this = parse('>i8', raw)
end
reply[2] = this
return done(reply)
