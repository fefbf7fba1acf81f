-- with: clock spread quick base
-- ARGV[5]: 'take' or 'drop'; ARGV[6..8]: name, owner, seconds. Answer: the token, or 0.
although_full()
local LOCK = '>i8ddHc0Hc0'
local what, name, owner, ttl = unpack(ARGV, FIRST, FIRST + 3)
local raw = hget('locks', name)
local token, lasts, taken, of_boot, holder = 0, 0, 0, '', ''
if raw then token, lasts, taken, of_boot, holder = parse(LOCK, raw) end
owner = '=' .. owner
local held = holder ~= '' and of_boot == boot and ticks - taken < lasts

local function keep(by)
  hset('locks', name, pack(LOCK, token, tonumber(ttl), ticks, #boot, boot, #by, by))
end

if what == 'drop' then
  if not held or holder ~= owner then return done({ '', 0 }) end
  keep('')
  news.l = true
  return done({ '', token })
end
if held and holder ~= owner then return done({ '', 0 }) end
-- The token goes on rising when the lock is let go of, for its name stays.
if not held then token = token + 1 end
keep(owner)
return done({ '', token })
