import { BootloomError } from '../config/errors.ts'
import type { NodeContext } from './node-context.ts'

/**
 * Makes sure that who asks in the name of a MAC has the address that our lease gave to that MAC; NODE_NOT_YOU otherwise.
 * `own` insists on that lease where every node has its address from us, `others` only refuses an address that is leased
 * to another MAC: a script can be asked for by who has its address from elsewhere, a node's own secrets cannot.
 */
export async function requireHolder(
  { holders }: Pick<NodeContext, 'holders'>,
  mac: string,
  address: string,
  strictness: 'own' | 'others',
): Promise<void> {
  if (!holders) return
  const holder = await holders.of(address, mac)
  if (holder === mac || (holder === undefined && !(holders.all && strictness === 'own'))) return
  throw new BootloomError('NODE_NOT_YOU', `${address} is ${holder ?? 'not leased'}, and asks as ${mac}`, { where: mac })
}
