import { moment } from './awake.ts'
import type { Content } from './content.ts'
import type { Terms } from './negotiate.ts'
import { encodeTftp, tftpErrors } from './packet.ts'
import { RetransmissionTimer } from './timing.ts'

/** How a transfer ended. `aborted`: the client sent an ERROR; `lost`: it fell silent. */
export interface SessionEnd {
  readonly result: 'sent' | 'aborted' | 'lost'
  /** Bytes that the client has. */
  readonly bytes: number
  readonly reason?: string
}

/** Where a session's datagrams leave to its client. */
export interface Wire {
  /** Bytes of the datagrams into which the kernel cuts a longer send; undefined: it does not. */
  readonly segment: number | undefined
  /** What is refused is as good as lost on the way, unless `failed` is given. `bytes` may be written over later. */
  send(bytes: Buffer, failed?: () => void): void
  /** The next acknowledgement is due in a moment. */
  expect(now: number): void
}

const limits = {
  /** Milliseconds without any progress until the client is given up. */
  silence: 40_000,
  /**
   * Repeats to a client that never answered: its request may be forged, and each is a datagram to whom it names. An OACK
   * is no longer than the request, so three of them are within three times what was sent; a block is not.
   */
  unverified: { options: 2, block: 1 },
  /** Repeats of the last window: a client that has all of it, and whose acknowledgement was lost, is gone by then. */
  last: 3,
  /** Milliseconds: a client that acknowledges a block now and then does not hold its session for ever. */
  lifetime: 30 * 60_000,
  /** Datagrams and bytes of one send that the kernel cuts up (UDP_MAX_SEGMENTS; an IPv4 datagram). */
  segments: 64,
  segmented: 65_000,
}

/**
 * Sends one file to one client. Blocks are numbered from 1 and the number rolls over to 0. An acknowledgement of what was
 * acknowledged already never causes a block to be sent again in lock-step: else every delayed datagram would double the
 * traffic from there on (RFC 1123 §4.2.3.1). It has no timer of its own: `tick` is called every few milliseconds.
 */
export class Session {
  readonly #wire: Wire
  readonly #content: Content
  readonly #terms: Terms
  readonly #blocks: number
  readonly #onEnd: (end: SessionEnd) => void
  readonly #timer: RetransmissionTimer
  readonly #deadline: number
  /** A window of datagrams, headers in front, one after the other; written over by the next window. */
  readonly #packets: Buffer
  readonly #slots: readonly Buffer[]
  #segmented: boolean
  /** Blocks acknowledged; -1 while the OACK is not. */
  #acknowledged: number
  /** Blocks sent, from the first without a gap. */
  #sent = 0
  /** The acknowledgement after which a window was sent again: once is enough, more would be the doubling. */
  #rewoundAt = -1
  #verified = false
  #repeats = 0
  #progressAt: number
  #sentAt = 0
  #over = false

  /** `now` as in `performance.now()`. The first datagram leaves at once. */
  constructor(wire: Wire, content: Content, terms: Terms, now: number, onEnd: (end: SessionEnd) => void) {
    this.#wire = wire
    this.#content = content
    this.#terms = terms
    this.#onEnd = onEnd
    this.#timer = new RetransmissionTimer(terms.timeout)
    // A last block shorter than the others, if need be empty, says that it is the last.
    this.#blocks = Math.floor(content.size / terms.blockSize) + 1
    this.#acknowledged = terms.accepted.size > 0 ? -1 : 0
    this.#deadline = now + limits.lifetime
    this.#progressAt = now
    const size = terms.blockSize + 4
    this.#segmented = wire.segment === size
    this.#packets = Buffer.allocUnsafeSlow(size * Math.min(terms.window, this.#blocks))
    this.#slots = Array.from({ length: this.#packets.length / size }, (_, i) =>
      this.#packets.subarray(i * size, (i + 1) * size),
    )
    for (const slot of this.#slots) slot.writeUInt16BE(3)
    this.#send(now)
  }

  /** The client has answered: its address is its own. */
  get verified(): boolean {
    return this.#verified
  }

  /** Times in a row that nothing came in time. */
  get repeats(): number {
    return this.#repeats
  }

  /** A datagram of the client, whatever it holds. */
  receive(bytes: Buffer, now: number): void {
    if (this.#over || bytes.length < 4 || bytes[0] !== 0) return
    if (bytes[1] === 4) this.#acknowledge((bytes[2]! << 8) | bytes[3]!, now)
    else if (bytes[1] === 5) {
      const message = bytes.toString('latin1', 4, Math.min(bytes.length, 100)).replace(/[^\x20-\x7e].*$/s, '')
      this.#finish('aborted', `${bytes.readUInt16BE(2)} ${message}`.trim())
    }
  }

  /** Sends again when it is time, or gives up. */
  tick(now: number): void {
    if (this.#over || now - this.#sentAt < this.#timer.wait) return
    const allSent = this.#acknowledged > 0 || (this.#verified && this.#terms.window === 1)
    const lastWindow = allSent && this.#sent === this.#blocks
    if (lastWindow && this.#repeats >= limits.last) this.#finish('sent', 'the last acknowledgement was lost')
    else if (now - this.#progressAt > limits.silence || this.#repeats >= this.#mostRepeats) {
      this.#finish('lost', 'no acknowledgement')
    } else {
      this.#repeats++
      this.#timer.backOff()
      this.#send(now)
    }
  }

  /** Ends the transfer from our side; a client that has answered is told. */
  stop(reason: string): void {
    if (this.#over) return
    if (this.#verified) this.#wire.send(encodeTftp({ op: 'error', code: tftpErrors.undefined, message: reason }))
    this.#finish('lost', reason)
  }

  get #mostRepeats(): number {
    if (this.#verified) return Number.POSITIVE_INFINITY
    return this.#acknowledged === -1 ? limits.unverified.options : limits.unverified.block
  }

  #acknowledge(number: number, now: number): void {
    if (this.#acknowledged === -1) {
      if (number === 0) this.#advance(0, now)
      return
    }
    // How far past the last acknowledged block; more than was sent: an old one, come late.
    const step = (number - this.#acknowledged) & 0xffff
    if (step > this.#sent - this.#acknowledged) return
    this.#verified = true
    if (step > 0) {
      this.#advance(this.#acknowledged + step, now)
      return
    }
    // RFC 7440 §4: with a window, the same again means that the first block of it was lost.
    if (this.#terms.window > 1 && this.#sent > this.#acknowledged + 1 && this.#rewoundAt !== this.#acknowledged) {
      this.#rewoundAt = this.#acknowledged
      this.#send(now)
    }
  }

  #advance(acknowledged: number, now: number): void {
    const trip = now - this.#sentAt
    if (this.#repeats === 0 && this.#rewoundAt !== this.#acknowledged) this.#timer.measured(trip)
    this.#verified = true
    this.#acknowledged = acknowledged
    this.#repeats = 0
    this.#progressAt = now
    if (acknowledged === this.#blocks) this.#finish('sent')
    else if (now > this.#deadline) this.stop('the transfer takes too long')
    else {
      this.#send(now)
      if (trip < moment) this.#wire.expect(now)
    }
  }

  /** Sends all that may be sent before the next acknowledgement: the OACK, or a window of blocks. */
  #send(now: number): void {
    this.#sentAt = now
    if (this.#acknowledged === -1) {
      this.#wire.send(encodeTftp({ op: 'options', options: this.#terms.accepted }))
      return
    }
    // Whoever sent but a request is answered with one datagram (its address may be another's).
    const most = this.#verified ? this.#terms.window : 1
    const count = Math.min(most, this.#blocks - this.#acknowledged)
    this.#sent = this.#acknowledged + count
    const { blockSize } = this.#terms
    const full = this.#sent === this.#blocks ? count - 1 : count
    for (let i = 0; i < full; i++) this.#fill(this.#slots[i]!, this.#acknowledged + 1 + i, blockSize)
    if (this.#segmented && full > 1) this.#sendSegmented(full)
    else for (let i = 0; i < full; i++) this.#wire.send(this.#slots[i]!)
    if (full < count) {
      // Memory of its own: one that still waits in the queue of the kernel must not get a longer one's tail.
      const size = this.#content.size - (this.#blocks - 1) * blockSize
      const last = Buffer.allocUnsafe(4 + size)
      last.writeUInt16BE(3)
      this.#fill(last, this.#blocks, size)
      this.#wire.send(last)
    }
  }

  #fill(packet: Buffer, block: number, size: number): void {
    packet[2] = block >> 8
    packet[3] = block
    const from = (block - 1) * this.#terms.blockSize
    this.#content.copy(packet, 4, from, from + size)
  }

  /** Many datagrams with one call of the kernel, which cuts them apart (UDP_SEGMENT, udp(7)). */
  #sendSegmented(count: number): void {
    const size = this.#terms.blockSize + 4
    const most = Math.min(limits.segments, Math.floor(limits.segmented / size))
    for (let i = 0; i < count; i += most) {
      const part = this.#packets.subarray(i * size, Math.min(i + most, count) * size)
      this.#wire.send(part, () => {
        if (!this.#segmented || this.#over) return
        // The interface cannot, or its MTU is too small: one by one from now on, and soon.
        this.#segmented = false
        this.#timer.hurry()
      })
    }
  }

  #finish(result: SessionEnd['result'], reason?: string): void {
    this.#over = true
    const has = result === 'sent' ? this.#blocks : Math.max(this.#acknowledged, 0)
    const bytes = Math.min(has * this.#terms.blockSize, this.#content.size)
    this.#onEnd({ result, bytes, ...(reason === undefined ? {} : { reason }) })
  }
}
