import { BootloomError } from '../../config/errors.ts'
import { getGroup } from '../../state/groups.ts'
import { getNode } from '../../state/nodes.ts'
import { type PowerLogin, powerLoginFor } from '../../state/power-logins.ts'
import type { Redis } from '../../state/redis.ts'
import { ipmi } from './ipmi.ts'
import { qmpPower } from './qmp.ts'
import { redfish } from './redfish.ts'

export type PowerAction = 'on' | 'off' | 'cycle'

/** What switches one machine on and off. Each call ends within half a minute; POWER_FAILED, never with the login in it. */
export interface PowerDriver {
  status(): Promise<'on' | 'off'>
  /** As its button does, the application not being asked; `cycle` of a machine that is off switches it on. */
  act(action: PowerAction): Promise<void>
}

/** A driver of a URL and what to log in with. */
type OpenDriver = (url: URL, login: PowerLogin | undefined) => PowerDriver

/** By the scheme of the URL. */
const drivers: Readonly<Record<string, OpenDriver>> = {
  'ipmi:': ipmi,
  'redfish:': redfish,
  'redfish+http:': redfish,
  'qmp:': qmpPower,
}

/** A power controller's URL, in the one form in which it is kept; USAGE for what is none, or holds a login. */
export function parsePower(text: string): string {
  const known = Object.keys(drivers).map((scheme) => `${scheme}//`)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !Object.hasOwn(drivers, url.protocol) || text.length > 400) {
    throw new BootloomError('USAGE', 'that is no power controller', {
      hint: `Its URL begins with ${known.join(', ')}.`,
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw new BootloomError('USAGE', "a power controller's URL takes no login", {
      hint: 'Give the login in a file, as USER:PASSWORD, with --power-login.',
    })
  }
  return text
}

/** The driver of a node: its own controller, else that of the first of its groups that has one. Undefined: it has none. */
export async function powerOf(redis: Redis, mac: string): Promise<PowerDriver | undefined> {
  const node = await getNode(redis, mac)
  const groups = await Promise.all((node?.groups ?? []).map((name) => getGroup(redis, name)))
  const text = node?.power ?? groups.find((group) => group?.power !== undefined)?.power
  if (text === undefined) return undefined
  const named = text.replaceAll('{mac}', mac.replaceAll(':', '-')).replaceAll('{hostname}', node?.hostname ?? '')
  if (!URL.canParse(named)) {
    throw new BootloomError('POWER_FAILED', `the power controller of ${mac} has no address`, { where: named })
  }
  const url = new URL(named)
  return drivers[url.protocol]!(url, await powerLoginFor(redis, mac, node?.groups ?? []))
}

/** As `powerOf`; POWER_UNSET when there is none. */
export async function requirePower(redis: Redis, mac: string): Promise<PowerDriver> {
  const driver = await powerOf(redis, mac)
  if (driver) return driver
  throw new BootloomError('POWER_UNSET', `${mac} has no power controller`, { where: mac })
}
