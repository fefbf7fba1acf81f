-- with: clock spread quick base
-- ARGV[5]: the layout that this version knows. Answer the one that is there now.
local there = tonumber(call('GET', P .. 'layout'))
if not there then
  there = tonumber(ARGV[FIRST])
  call('SET', P .. 'layout', there)
end
return done({ '', there })
