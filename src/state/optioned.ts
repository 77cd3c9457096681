import type { NamedOptions } from '../config/dhcp-settings.ts'
import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/** Which nodes and groups carry DHCP options: while none does, no DHCP message looks for any. */
export async function noteOptions(redis: Redis, who: `node ${string}` | `group ${string}`, options?: NamedOptions) {
  const has = options !== undefined && Object.keys(options).length > 0
  await (has ? redis.sadd(keys.optioned(), who) : redis.srem(keys.optioned(), who))
}

export const countOptioned = (redis: Redis): Promise<number> => redis.scard(keys.optioned())

/** KEYS: nodes, groups. ARGV: MAC. Groups from the last to the first, then the node: later ones stand over earlier. */
const lookUp = `
local json = redis.call('HGET', KEYS[1], ARGV[1])
if not json then return {} end
local node, layers = cjson.decode(json), {}
local groups = node.groups or {}
for i = #groups, 1, -1 do
  local found = redis.call('HGET', KEYS[2], groups[i])
  local options = found and cjson.decode(found).options
  if options then layers[#layers + 1] = cjson.encode(options) end
end
if node.options then layers[#layers + 1] = cjson.encode(node.options) end
return layers`

/** The options of a node's groups and of the node, the strongest last. */
export async function optionsOfNode(redis: Redis, mac: string): Promise<NamedOptions[]> {
  const layers = (await redis.eval(lookUp, 2, keys.nodes(), keys.groups(), mac)) as string[]
  return layers.map((json) => JSON.parse(json) as NamedOptions)
}
