import type { RemoteInfo } from 'node:dgram'
import type { Terms } from './negotiate.ts'
import { encodeTftp } from './packet.ts'

/** A client. */
export interface Peer {
  readonly address: string
  readonly port: number
}

/** How a transfer ended. `aborted`: the client sent an ERROR; `lost`: it fell silent. */
export interface SessionEnd {
  readonly result: 'sent' | 'aborted' | 'lost'
  /** Bytes that the client has. */
  readonly bytes: number
  readonly reason?: string
}

/**
 * What is ordered from the carrier and told by it: a length (4 bytes), a kind (a letter), and what carry/orders.c and
 * carry/told.c say. Both ends are on one machine, which is little-endian.
 */
export type Told =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'received'; readonly bytes: Buffer; readonly from: RemoteInfo }
  | { readonly kind: 'state'; readonly id: number; readonly verified: boolean; readonly repeats: number }
  | { readonly kind: 'ended'; readonly id: number; readonly end: SessionEnd }
  | { readonly kind: 'uncut'; readonly bytes: number }

interface Begin {
  readonly id: number
  readonly content: number
  readonly socket: number
  readonly peer: Peer
  readonly terms: Terms
  /** Milliseconds. */
  readonly limits: { readonly longest: number; readonly silence: number; readonly lifetime: number }
}

const frame = (kind: string, ...pieces: readonly Buffer[]): Buffer => {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 1)
  return Buffer.concat([long(size), Buffer.from(kind), ...pieces])
}

const long = (value: number) => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const short = (value: number) => Buffer.of(value & 0xff, value >> 8)
const peerBytes = ({ address, port }: Peer) => Buffer.concat([Buffer.from(address.split('.').map(Number)), short(port)])

export const order = {
  /** The content's `size` bytes follow. */
  hold: (id: number, size: number) => Buffer.concat([long(5 + size), Buffer.from('H'), long(id)]),
  drop: (id: number) => frame('D', long(id)),
  begin({ id, content, socket, peer, terms, limits }: Begin): Buffer {
    const { accepted, blockSize, window, timeout = limits.longest } = terms
    const options = accepted.size > 0 ? encodeTftp({ op: 'options', options: accepted }) : Buffer.alloc(0)
    const times = [timeout, limits.silence, limits.lifetime].map(long)
    const whom = [Buffer.of(socket), peerBytes(peer), short(blockSize), short(window)]
    return frame('B', long(id), long(content), ...whom, ...times, options)
  },
  stop: (id: number, reason: string) => frame('S', long(id), Buffer.from(reason, 'latin1')),
  refuse: (peer: Peer, code: number, message: string) =>
    frame('E', peerBytes(peer), Buffer.of(code), Buffer.from(message, 'latin1')),
}

const results = ['sent', 'aborted', 'lost'] as const

/** Cuts what comes into frames. */
export class FrameReader {
  readonly #onTold: (told: Told) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor(onTold: (told: Told) => void) {
    this.#onTold = onTold
  }

  read(bytes: Buffer): void {
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes
    let at = 0
    while (all.length - at >= 4) {
      const end = at + 4 + all.readUInt32LE(at)
      if (end > all.length) break
      this.#onTold(decode(all.subarray(at + 4, end)))
      at = end
    }
    this.#rest = all.subarray(at)
  }
}

function decode(bytes: Buffer): Told {
  switch (String.fromCharCode(bytes[0]!)) {
    case 'R': {
      // Kept for longer than what it came in.
      const packet = Buffer.from(bytes.subarray(7))
      const address = bytes.subarray(1, 5).join('.')
      return {
        kind: 'received',
        bytes: packet,
        from: { address, port: bytes.readUInt16LE(5), family: 'IPv4', size: packet.length },
      }
    }
    case 'S':
      return { kind: 'state', id: bytes.readUInt32LE(1), verified: bytes[5] === 1, repeats: bytes.readUInt32LE(6) }
    case 'E': {
      const reason = bytes.toString('latin1', 14)
      const end = { result: results[bytes[5]!]!, bytes: Number(bytes.readBigUInt64LE(6)) }
      return { kind: 'ended', id: bytes.readUInt32LE(1), end: reason === '' ? end : { ...end, reason } }
    }
    case 'L':
      return { kind: 'listening', port: bytes.readUInt16LE(1) }
    case 'U':
      return { kind: 'uncut', bytes: bytes.readUInt16LE(1) }
    default:
      throw new Error(`the carrier told ${bytes.toString('hex', 0, 40)}`)
  }
}
