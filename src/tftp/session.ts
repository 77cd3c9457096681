import type { Socket } from 'node:dgram'
import type { Terms } from './negotiate.ts'
import { dataHeader, decodeTftp, encodeTftp, type TftpPacket, TftpPacketError, tftpErrors } from './packet.ts'

/** How a transfer ended. `aborted`: the client sent an ERROR; `lost`: it fell silent. */
export interface TransferEnd {
  readonly result: 'sent' | 'aborted' | 'lost'
  /** Bytes that the client acknowledged. */
  readonly bytes: number
  readonly reason?: string
}

interface Peer {
  readonly address: string
  readonly port: number
}

/** Silence is answered by sending again after 1, 2, 4, 8, 8, 8 s (or the client's own timeout, doubled likewise). */
const patience = { repeats: 6, longest: 8000 }
/** Milliseconds: a client that acknowledges a block now and then does not hold its session for ever. */
const lifetime = 30 * 60_000

/**
 * Sends one file to one client from a socket of its own (its transfer id). Blocks are numbered from 1 and the number rolls
 * over to 0. An acknowledgement of what was acknowledged already never causes a block to be sent again in lock-step: else
 * every delayed datagram would double the traffic from there on (RFC 1123 §4.2.3.1).
 */
export class Transfer {
  readonly ended: Promise<TransferEnd>
  readonly #socket: Socket
  readonly #peer: Peer
  readonly #content: Buffer
  readonly #terms: Terms
  readonly #blocks: number
  readonly #end: (end: TransferEnd) => void
  readonly #deadline: number
  /** Blocks acknowledged; -1 while the OACK is not. */
  #acknowledged: number
  /** Blocks sent, from the first without a gap. */
  #sent = 0
  /** The acknowledgement after which a window was sent again: once is enough, more would be the doubling. */
  #rewoundAt = -1
  #repeats = 0
  #timer: NodeJS.Timeout | undefined
  #over = false

  /** `socket` is bound and used by nobody else; it is closed at the end. */
  constructor(socket: Socket, peer: Peer, content: Buffer, terms: Terms) {
    this.#socket = socket
    this.#peer = peer
    this.#content = content
    this.#terms = terms
    // A last block shorter than the others, if need be empty, says that it is the last.
    this.#blocks = Math.floor(content.length / terms.blockSize) + 1
    this.#acknowledged = terms.accepted.size > 0 ? -1 : 0
    this.#deadline = performance.now() + lifetime
    const { promise, resolve } = Promise.withResolvers<TransferEnd>()
    this.ended = promise
    this.#end = resolve
    socket.on('message', (bytes, source) => this.#receive(bytes, source))
    socket.on('error', (error) => this.#finish('lost', error.message))
    this.#send()
  }

  /** Ends the transfer from our side; the client is told. */
  stop(reason: string): void {
    if (this.#over) return
    this.#transmit(encodeTftp({ op: 'error', code: tftpErrors.undefined, message: reason }))
    this.#finish('lost', reason)
  }

  #receive(bytes: Buffer, source: Peer): void {
    if (this.#over) return
    if (source.port !== this.#peer.port || source.address !== this.#peer.address) {
      const error = { op: 'error', code: tftpErrors.unknownTransfer, message: 'Unknown transfer ID' } as const
      this.#socket.send(encodeTftp(error), source.port, source.address, () => {})
      return
    }
    const packet = decodeOrNothing(bytes)
    if (packet?.op === 'error') this.#finish('aborted', `${packet.code} ${packet.message}`.trim())
    else if (packet?.op === 'ack') this.#acknowledge(packet.block)
  }

  #acknowledge(number: number): void {
    if (this.#acknowledged === -1) {
      if (number === 0) this.#advance(0)
      return
    }
    // How far past the last acknowledged block; more than was sent: an old one, come late.
    const step = (number - this.#acknowledged) & 0xffff
    if (step > this.#sent - this.#acknowledged) return
    if (step > 0) {
      this.#advance(this.#acknowledged + step)
      return
    }
    // RFC 7440 §4: with a window, the same again means that the first block of it was lost.
    if (this.#terms.window > 1 && this.#sent > this.#acknowledged + 1 && this.#rewoundAt !== this.#acknowledged) {
      this.#rewoundAt = this.#acknowledged
      this.#send()
    }
  }

  #advance(acknowledged: number): void {
    this.#acknowledged = acknowledged
    this.#repeats = 0
    if (acknowledged === this.#blocks) this.#finish('sent')
    else if (performance.now() > this.#deadline) this.stop('the transfer takes too long')
    else this.#send()
  }

  /** Sends all that may be sent before the next acknowledgement: the OACK, or a window of blocks. */
  #send(): void {
    if (this.#acknowledged === -1) {
      this.#transmit(encodeTftp({ op: 'options', options: this.#terms.accepted }))
    } else {
      const last = Math.min(this.#acknowledged + this.#terms.window, this.#blocks)
      for (let block = this.#acknowledged + 1; block <= last; block++) this.#transmitBlock(block)
      this.#sent = last
    }
    clearTimeout(this.#timer)
    const wait = Math.min(this.#terms.timeout * 2 ** this.#repeats, Math.max(this.#terms.timeout, patience.longest))
    this.#timer = setTimeout(() => this.#silence(), wait)
  }

  #transmitBlock(block: number): void {
    const from = (block - 1) * this.#terms.blockSize
    const part = this.#content.subarray(from, from + this.#terms.blockSize)
    this.#transmit([dataHeader(block & 0xffff), part])
  }

  #transmit(bytes: Buffer | Buffer[]): void {
    // A datagram that the kernel refuses is as good as lost on the way: the timer sends it again.
    this.#socket.send(bytes as Buffer, this.#peer.port, this.#peer.address, () => {})
  }

  #silence(): void {
    if (this.#repeats === patience.repeats) {
      this.#finish('lost', 'no acknowledgement')
      return
    }
    this.#repeats++
    this.#send()
  }

  #finish(result: TransferEnd['result'], reason?: string): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#socket.close()
    const bytes = Math.min(Math.max(this.#acknowledged, 0) * this.#terms.blockSize, this.#content.length)
    this.#end({ result, bytes, ...(reason === undefined ? {} : { reason }) })
  }
}

function decodeOrNothing(bytes: Buffer): TftpPacket | undefined {
  try {
    return decodeTftp(bytes)
  } catch (error) {
    if (error instanceof TftpPacketError) return undefined
    throw error
  }
}
