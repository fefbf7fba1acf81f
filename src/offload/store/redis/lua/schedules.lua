-- with: clock spread quick base
-- Replace each schedule as it was read by what it is to be: name, before, after ('' for none).
-- Answer: 1, or 0 if one has changed since, and then nothing was written.
for place = FIRST, #ARGV, 3 do
  if (hget('schedules', ARGV[place]) or '') ~= ARGV[place + 1] then return { '', 0 } end
  hset('schedules', ARGV[place], ARGV[place + 2] ~= '' and ARGV[place + 2])
end
news.s = true
return done({ '', 1 })
