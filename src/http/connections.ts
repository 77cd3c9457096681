import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Refusals } from './refusals.ts'

export interface ConnectionLimits {
  readonly perAddress: number
  readonly total: number
}

/** Whoever has not said what it wants after this long is cut; so slow talkers hold little. Milliseconds. */
export const patience = { headers: 10_000, request: 30_000, idle: 60_000, checking: 2000 } as const

/** Closes what goes beyond the limits at once, before a byte of it is read. */
export function limitConnections(server: Server, limits: ConnectionLimits, refusals: Refusals): void {
  const held = new Map<string, number>()
  let total = 0
  server.prependListener('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (held.get(address) ?? 0) + 1
    const kind =
      count > limits.perAddress ? 'CONNECTIONS_OF_ADDRESS' : total >= limits.total ? 'CONNECTIONS_TOTAL' : undefined
    if (kind) {
      refusals.add(kind, address)
      // A reset, so that nothing of it stays here in TIME_WAIT.
      socket.resetAndDestroy()
      return
    }
    held.set(address, count)
    total++
    socket.once('close', () => {
      total--
      const left = held.get(address)! - 1
      if (left === 0) held.delete(address)
      else held.set(address, left)
    })
  })
}
