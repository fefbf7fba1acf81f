-- Lua cannot spread more than some 8,000 values into one call.
local function many(command, key, values)
  local count = #values
  for from = 1, count, MOST do
    call(command, key, unpack(values, from, math.min(from + MOST - 1, count)))
  end
end

local function values_of(key, ids)
  local count, found = #ids, nil
  for from = 1, count, MOST do
    local some = call('HMGET', key, unpack(ids, from, math.min(from + MOST - 1, count)))
    if from == 1 then
      found = some
    else
      for place, value in ipairs(some) do found[from + place - 1] = value end
    end
  end
  return found or {}
end
