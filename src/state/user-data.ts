import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/**
 * What the admin hands to cloud-init, Ignition and the like on a node. Apart from the node's record, since it may hold
 * secrets: no list, event or log ever shows it.
 */
export type UserDataOwner = { readonly node: string } | { readonly group: string }

const field = (owner: UserDataOwner): string => ('node' in owner ? `node ${owner.node}` : `group ${owner.group}`)

/** Empty text takes it away. */
export async function putUserData(redis: Redis, owner: UserDataOwner, text: string): Promise<void> {
  if (text === '') await redis.hdel(keys.userData(), field(owner))
  else await redis.hset(keys.userData(), field(owner), text)
}

/** The node's own, else that of the first of its groups that has one. */
export async function userDataFor(redis: Redis, mac: string, groups: readonly string[]): Promise<string | undefined> {
  const owners = [field({ node: mac }), ...groups.map((group) => field({ group }))]
  return (await redis.hmget(keys.userData(), ...owners)).find((text) => text !== null) ?? undefined
}
