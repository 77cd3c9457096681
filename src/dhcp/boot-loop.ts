import type { Client } from './firmware.ts'

/** How often some iPXE of another user class is given a boot program before it is taken for what it is. */
const patience = 2
const most = 10_000

/**
 * Ends the one loop that could be: a boot program which is an iPXE but goes by another user class, and so looks like the
 * firmware that has just loaded it, again and again. iPXE that says so is never given a boot program at all.
 */
export class BootLoops {
  readonly #given = new Map<string, number>()

  /** The client as it is to be treated. Call it for each REQUEST: that is when a boot program is loaded. */
  straighten(client: Client, isRequest: boolean): Client {
    if (client.speaker === 'ipxe' || client.speaker === 'os') {
      this.#given.delete(client.mac)
      return client
    }
    if (!client.hasIpxeOption) return client
    const given = this.#given.get(client.mac) ?? 0
    if (given >= patience) return { ...client, speaker: 'ipxe' }
    if (isRequest) {
      this.#given.delete(client.mac)
      this.#given.set(client.mac, given + 1)
      if (this.#given.size > most) this.#given.delete(this.#given.keys().next().value!)
    }
    return client
  }
}
