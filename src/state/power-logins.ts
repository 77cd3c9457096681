import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/** Whose power controller a login is for. Apart from the records, since it is a secret: no list, event or log shows it. */
export type LoginOwner = { readonly node: string } | { readonly group: string }

/** As the controller takes it. */
export interface PowerLogin {
  readonly user: string
  readonly password: string
}

const field = (owner: LoginOwner): string => ('node' in owner ? `node ${owner.node}` : `group ${owner.group}`)

/** Undefined takes it away. */
export async function putPowerLogin(redis: Redis, owner: LoginOwner, login: PowerLogin | undefined): Promise<void> {
  if (login === undefined) await redis.hdel(keys.powerLogins(), field(owner))
  else await redis.hset(keys.powerLogins(), field(owner), `${login.user}:${login.password}`)
}

/** The node's own, else that of the first of its groups that has one. */
export async function powerLoginFor(
  redis: Redis,
  mac: string,
  groups: readonly string[],
): Promise<PowerLogin | undefined> {
  const owners = [field({ node: mac }), ...groups.map((group) => field({ group }))]
  const found = (await redis.hmget(keys.powerLogins(), ...owners)).find((text) => text !== null)
  if (!found) return undefined
  const colon = found.indexOf(':')
  return { user: found.slice(0, colon), password: found.slice(colon + 1) }
}
