-- with: clock spread quick base rows families terms admission texts arriving
-- ARGV[5..]: the jobs of dead letters as they were, oldest first.
for place = FIRST, #ARGV, ARRIVING do
  local id = ARGV[place]
  local key = P .. 'letter:' .. id
  if call('EXISTS', key) == 0 then
    local r, texts = as_it_was(place, terms_of(ARGV[place + 1])), texts_of(ARGV[place + 6])
    for number, what in ipairs(TEXTS) do
      if texts[number] ~= '' then
        call('HSET', key, what, sub(texts[number], 2))
        if HAS[what] then r[HAS[what]] = 1 end
      end
    end
    call('HSET', key, 'row', pack(ROW, unpack(r, 1, TAIL)), 'body', ARGV[place + 2])
    zset('dead', id, number('dead'))
  end
end
return done({ '' })
