-- with: clock spread quick base rows
local ids = {}
for place = FIRST, #ARGV do ids[#ids + 1] = ARGV[place] end
return done(show(ids, { '' }))
