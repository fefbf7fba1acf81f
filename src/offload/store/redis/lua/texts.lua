-- Several texts in one argument, each after its length.
local function texts_of(packed)
  local found, from = {}, 1
  while from <= #packed do
    local text, after = parse('>I4c0', packed, from)
    found[#found + 1] = text
    from = after
  end
  return found
end
