-- What the end of a job means for those that wait for it.
local known = {}

local function children(r)
  if r[CHILDREN] == 0 then return {} end
  if not known[r[ID]] then known[r[ID]] = call('ZRANGE', P .. 'children:' .. r[ID], 0, -1) end
  return known[r[ID]]
end

local function parents_of(r)
  return r[PARENTS] == 1 and cjson.decode(hget('parents', r[ID])) or {}
end

-- `offload.core.job.fed`, on the payload that follows the body's head.
local function feed(r)
  if r[INPUTS] == 0 or r[PARENTS] == 0 then return end
  local results = {}
  for place, parent in ipairs(parents_of(r)) do
    results[place] = hget('result', parent) or 'null'
  end
  if #results == 0 then return end
  local body = hget('body', r[ID])
  local head = parse('>I4', body) + 4
  local first = r[INPUTS] == 2 and '[' .. table.concat(results, ',') .. ']' or results[1]
  local rest = string.sub(body, head + 1)
  if string.sub(rest, 1, 2) == '[[' then rest = string.sub(rest, 3) end
  local comma = string.sub(rest, 1, 1) == ']' and '' or ','
  hset('body', r[ID], string.sub(body, 1, head) .. '[[' .. first .. comma .. rest)
end

local function orphaned(parent)
  return 'dependency ' .. parent[ID] .. ' ' .. NAMES[parent[STATE]]
end

local function orphans(parent, policy)
  return parent[STATE] ~= COMPLETE and policy == 0
end

-- Tell the jobs that wait for these, then those that wait for whom that cancels, and so on.
local function settle(told)
  local place = 1
  while told[place] do
    local parent = told[place]
    local ids = children(parent)
    load(ids)
    for _, id in ipairs(ids) do
      local child = rows[id]
      if child and child[STATE] == PENDING then
        child[BLOCKERS] = child[BLOCKERS] - 1
        if orphans(parent, child[POLICY]) then
          give_up(child, orphaned(parent))
          told[#told + 1] = child
        else
          if child[BLOCKERS] == 0 then
            feed(child)
            wait(child)
          end
          put(child)
        end
      end
    end
    place = place + 1
  end
end
