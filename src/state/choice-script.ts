/** Lua: `contentOf(key of the contents, bundle)`, by which bundles of the same content are one. */
export const sameContent = `
local function contentOf(key, bundle) return redis.call('HGET', key, bundle) or bundle end
`

/**
 * Lua that chooses what a node boots; scripts that need the choice begin with it. KEYS: nodes, groups, runs, contents. ARGV: MAC,
 * blueprint of unknown MACs or '', tries that a bundle has, prefixes of the keys of channels, tries, ready bundles and turns.
 *
 * A node whose turn has come in a rollout of the channel that it follows is assigned the rollout's bundle.
 *
 * `choose()` returns the node's record or '', where the assignment stands, the assignment, the bundle assigned or '',
 * the one given, and whether the node had its tries with the one assigned and was not ready. Then it gets the one that it
 * last was ready with, else the newest that any node of its groups was, else any node of the blueprint; and the one
 * assigned when there is no other left. A node that learns gets the full stack before all, until it had its tries with it.
 */
export const choice = `${sameContent}
local function spentBy(json)
  local boots = {}
  for _, one in ipairs(cjson.decode(json)) do
    local content = contentOf(KEYS[4], one.bundle)
    boots[content] = (boots[content] or 0) + #one.boots
  end
  local function count(bundle) return boots[contentOf(KEYS[4], bundle)] or 0 end
  return function(bundle) return count(bundle) >= tonumber(ARGV[3]) end, count
end

local function other(blueprint, node, spent)
  local run = redis.call('HGET', KEYS[3], ARGV[1])
  run = run and cjson.decode(run)
  if run and run.blueprint == blueprint and not spent(run.bundle) then return run.bundle end
  local places = {}
  for _, group in ipairs(node.groups or {}) do places[#places + 1] = ':' .. group end
  places[#places + 1] = ''
  for _, place in ipairs(places) do
    for _, bundle in ipairs(redis.call('ZREVRANGE', ARGV[6] .. blueprint .. place, 0, -1)) do
      if not spent(bundle) then return bundle end
    end
  end
end

local function turnOf(blueprint, channel)
  local turn = redis.call('HGET', ARGV[7] .. blueprint, ARGV[1])
  local of, bundle = (turn or ''):match('^(%S+) (%S+)$')
  return of == channel and bundle or nil
end

local function choose()
  local json = redis.call('HGET', KEYS[1], ARGV[1]) or ''
  local node = json ~= '' and cjson.decode(json) or {}
  local learning = node.learning
  if learning then
    local tried = redis.call('HGET', ARGV[5] .. learning.blueprint, ARGV[1])
    if not tried or not spentBy(tried)(learning.bundle) then
      local pinned = { blueprint = learning.blueprint, bundle = learning.bundle }
      return json, 'learning', pinned, learning.bundle, learning.bundle, false
    end
  end
  local assignment, via = node.assignment, 'node'
  if not assignment then
    for _, group in ipairs(node.groups or {}) do
      local found = redis.call('HGET', KEYS[2], group)
      assignment = found and cjson.decode(found).assignment
      if assignment then via = 'group ' .. group break end
    end
  end
  if not assignment and ARGV[2] ~= '' then
    assignment, via = { blueprint = ARGV[2], channel = 'stable' }, 'unknown'
  end
  if not assignment then return json end
  local blueprint = assignment.blueprint
  local bundle = assignment.bundle or turnOf(blueprint, assignment.channel)
    or redis.call('HGET', ARGV[4] .. blueprint, assignment.channel) or ''
  local tried = bundle ~= '' and redis.call('HGET', ARGV[5] .. blueprint, ARGV[1])
  if not tried then return json, via, assignment, bundle, bundle, false end
  local spent = spentBy(tried)
  if not spent(bundle) then return json, via, assignment, bundle, bundle, false end
  return json, via, assignment, bundle, other(blueprint, node, spent) or bundle, true
end
`
