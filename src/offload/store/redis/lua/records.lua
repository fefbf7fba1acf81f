-- What is kept beside jobs, by number. A job's own are linked both ways, so that they are found
-- without an index and any of them can be taken out.
-- constants: LINKS=16

-- `format` is that of the data, which are what follows.
local function record(r, kind, format, ...)
  local last, this = r[LAST[kind]], number(kind)
  if last > 0 then
    local before = hget(kind, last)
    hset(kind, last, string.sub(before, 1, 8) .. pack('>i8', this) .. string.sub(before, LINKS + 1))
  end
  hset(kind, this, pack('>i8i8' .. format, last, 0, ...))
  r[LAST[kind]] = this
end

-- Take one out; the job that it is of must be loaded, or gone.
local function unlink(kind, this, raw, id)
  local before, after = parse('>i8i8', raw)
  hset(kind, this, false)
  if before > 0 then
    local other = hget(kind, before)
    hset(kind, before, string.sub(other, 1, 8) .. pack('>i8', after) .. string.sub(other, LINKS + 1))
  end
  if after > 0 then
    local other = hget(kind, after)
    hset(kind, after, pack('>i8', before) .. string.sub(other, 9))
  elseif rows[id] then
    rows[id][LAST[kind]] = before
    keep(rows[id])
  end
end
