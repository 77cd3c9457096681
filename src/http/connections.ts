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

const statusLines: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
}

/** What speaks no HTTP, or not soon enough, is counted and cut; who went away by itself is neither. */
export function cutBadClients(refusals: Refusals): (error: NodeJS.ErrnoException, socket: Socket) => void {
  return (error, socket) => {
    if (error.code === 'ECONNRESET' || socket.destroyed) return
    const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
    refusals.add(late ? 'REQUEST_LATE' : 'REQUEST_MALFORMED', socket.remoteAddress ?? '', { reason: error.message })
    const status = statusLines[error.code ?? ''] ?? '400 Bad Request'
    // In the middle of an answer another one would be taken for its bytes.
    if (socket.bytesWritten === 0) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    socket.destroySoon()
  }
}
