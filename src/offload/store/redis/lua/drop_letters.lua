-- with: clock spread quick base
-- ARGV[5..]: ids of dead letters.
although_full()
for place = FIRST, #ARGV do
  zset('dead', ARGV[place], false)
  gone['letter:' .. ARGV[place]] = true
end
return done({ '' })
