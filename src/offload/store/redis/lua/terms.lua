-- What jobs of one call mostly share, as a request has it.
local TERMS = '>BBBBBi8i8i8i8dddHc0Hc0Hc0Hc0I4c0'
-- constants: NEVER=-1

local parsed = {}

local function terms_of(raw)
  local t = parsed[raw]
  if not t then
    t = {}
    t.scope, t.conflict, t.policy, t.inputs, t.at, t.priority, t.due, t.expires, t.window, t.ttl,
      t.interval, t.places, t.queue, t.task, t.lane, t.schedule, t.key = parse(TERMS, raw)
    t.tail = pack(TAIL_FORMAT, #t.queue, t.queue, #t.task, t.task, #t.lane, t.lane, #t.schedule,
      t.schedule, #t.key, t.key)
    parsed[raw] = t
  end
  return t
end
