import { BootloomError } from '../config/errors.ts'
import type { NodeContext } from './node-context.ts'

/**
 * Makes sure that who asks in the name of a MAC has the address that our lease gave to that MAC; NODE_NOT_YOU otherwise.
 * Where nodes have their addresses from elsewhere, only an address that we leased to another MAC is refused.
 */
export async function requireHolder(
  { holders }: Pick<NodeContext, 'holders'>,
  mac: string,
  address: string,
): Promise<void> {
  if (!holders) return
  const holder = await holders.of(address, mac)
  if (holder === mac || (holder === undefined && !holders.all)) return
  throw new BootloomError('NODE_NOT_YOU', `${address} is ${holder ?? 'not leased'}, and asks as ${mac}`, { where: mac })
}
