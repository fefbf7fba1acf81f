-- with: clock spread quick base
-- ARGV[5]: queue; ARGV[6]: '1' to close it. Answer whether that changed anything.
although_full()
local command = ARGV[FIRST + 1] == '1' and 'SADD' or 'SREM'
local changed = call(command, P .. 'paused', ARGV[FIRST])
if changed == 1 then news.r = true end
return done({ '', changed })
