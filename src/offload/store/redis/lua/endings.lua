-- How ends are asked for: five arguments each, of which the second is the same for many: id,
-- terms, what was measured (seconds and bytes, packed) or '', result or '', and of a failure its
-- type, message and traceback (packed, after their length) and the text to show, or ''.
-- Most tasks return nothing, so that result is not kept: a complete job without one has it.
local TERMS = '>I4BBBi8Hc0'
-- constants: ASKED=5 COMPLETING=1 RETRYING=2 RELEASING=3 CANCELLING=6

local NOTHING = 'null'

local parsed = {}

local function terms_of(raw)
  local t = parsed[raw]
  if not t then
    t = {}
    t.lease, t.move, t.crashed, t.failed, t.delay, t.holder = parse(TERMS, raw)
    t.is_quick = t.move == COMPLETING and t.failed + t.crashed == 0 and t.holder ~= ''
    parsed[raw] = t
  end
  return t
end
