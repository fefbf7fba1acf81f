-- with: clock spread quick base
-- ARGV[5]: the layout that this version knows, which can work with all that are older. Answer the
-- one that is there now.
local there, known = tonumber(call('GET', P .. 'layout') or 0), tonumber(ARGV[FIRST])
if there < known then
  there = known
  call('SET', P .. 'layout', there)
end
return done({ '', there })
