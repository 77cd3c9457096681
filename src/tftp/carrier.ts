import type { RemoteInfo } from 'node:dgram'
import type { Logger } from '../config/log.ts'
import { CarrierProcess } from './carrier-process.ts'
import { Contents } from './contents.ts'
import { order, type Peer, type SessionEnd, type Told } from './frames.ts'
import type { Terms } from './negotiate.ts'

/** A transfer under way. */
export interface Session {
  /** The client has answered: its address is its own. */
  readonly verified: boolean
  /** Times in a row that nothing came in time. */
  readonly repeats: number
  /** Ends it from our side; a client that has answered is told. */
  stop(reason: string): void
}

export interface CarrierOptions {
  readonly address: string
  /** 0: any free one, see `Carrier.port`. */
  readonly port: number
  /** Further sockets, which transfers are spread over in turn; 0: they run over the port for requests. */
  readonly sockets: number
  readonly log: Logger
  /** What came to the port for requests from nobody with a transfer there. */
  readonly onRequest: (bytes: Buffer, from: RemoteInfo) => void
}

/** Milliseconds. */
export const patience = {
  /** Without any progress until a client is given up. */
  silence: 40_000,
  /** Of a whole transfer: who acknowledges a block now and then does not hold a session for ever. */
  lifetime: 30 * 60_000,
  /** Until a retransmission at most, where the client named no time. */
  longest: 8000,
}
/** Milliseconds before a process that ended is started again. */
const restartAfter = 500
/** How many times the length of what an unverified source sent an answer to it may have. */
const mostTimes = 3
/** Of an ERROR without its message. Bytes. */
const errorFrame = 5

const gone: SessionEnd = { result: 'lost', bytes: 0, reason: 'what carries transfers ended' }

interface Carried {
  verified: boolean
  repeats: number
  end(end: SessionEnd): void
}

/**
 * The process that sends and receives all datagrams (carry/carry.c), and the transfers that it carries. It is told who is
 * sent what, and tells how that goes. Should it end, so do its transfers; it is started again, and clients ask again.
 */
export class Carrier {
  readonly #options: CarrierOptions
  readonly #limits: typeof patience
  #process: CarrierProcess
  #contents: Contents
  readonly #carried = new Map<number, Carried>()
  #lastId = 0
  #turn = 0
  #closed = false

  private constructor(options: CarrierOptions, limits: typeof patience, process: CarrierProcess) {
    this.#options = options
    this.#limits = limits
    this.#process = process
    this.#contents = this.#attend(process)
  }

  /** Opens the sockets. Throws SOCKET_UNAVAILABLE, NATIVE_MISSING. */
  static async open(options: CarrierOptions, limits = patience): Promise<Carrier> {
    return new Carrier(options, limits, await CarrierProcess.start(options))
  }

  /** For requests. */
  get port(): number {
    return this.#process.port
  }

  /** Sends `parts`, one after the other, to one client. */
  begin(peer: Peer, parts: readonly Buffer[], terms: Terms, onEnd: (end: SessionEnd) => void): Session {
    this.#lastId = (this.#lastId + 1) >>> 0
    const id = this.#lastId
    const { sockets } = this.#options
    const socket = sockets === 0 ? 0 : 1 + (this.#turn++ % sockets)
    const contents = this.#contents
    const content = contents.use(parts)
    const carried: Carried = {
      verified: false,
      repeats: 0,
      end: (how) => {
        this.#carried.delete(id)
        contents.release(content)
        onEnd(how)
      },
    }
    this.#carried.set(id, carried)
    this.#process.order(order.begin({ id, content: content.id, socket, peer, terms, limits: this.#limits }))
    if (this.#process.ended) queueMicrotask(() => carried.end(gone))
    return {
      get verified() {
        return carried.verified
      },
      get repeats() {
        return carried.repeats
      },
      stop: (reason) => this.#process.order(order.stop(id, reason)),
    }
  }

  /** Answers a request by an ERROR, its message cut to what a forged address may be sent for it. */
  refuse(to: RemoteInfo, code: number, message: string): void {
    this.#process.order(order.refuse(to, code, message.slice(0, Math.max(0, mostTimes * to.size - errorFrame))))
  }

  /** Resolves when what was ordered until now is done, and the sockets are closed. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#process.close()
  }

  #attend(process: CarrierProcess): Contents {
    process.onTold = (told) => this.#told(told)
    process.onEnd = (reason) => {
      if (this.#closed) return
      this.#options.log.error({ event: 'tftp-carrier-ended', transfers: this.#carried.size, reason })
      setTimeout(() => void this.#restart(), restartAfter)
      for (const { end } of [...this.#carried.values()]) end(gone)
    }
    return new Contents((bytes) => process.order(bytes))
  }

  async #restart(): Promise<void> {
    if (this.#closed) return
    try {
      this.#process = await CarrierProcess.start({ ...this.#options, port: this.port })
      this.#contents = this.#attend(this.#process)
      if (this.#closed) await this.#process.close()
    } catch (error) {
      this.#options.log.error({ event: 'tftp-carrier-unavailable', reason: String(error) })
      setTimeout(() => void this.#restart(), 10 * restartAfter)
    }
  }

  #told(told: Told): void {
    if (told.kind === 'received') this.#options.onRequest(told.bytes, told.from)
    else if (told.kind === 'uncut') {
      const reason = 'the kernel cuts no send into datagrams of so many bytes: is the MTU smaller?'
      this.#options.log.warn({ event: 'tftp-unsegmented', bytes: told.bytes, reason })
    } else if (told.kind !== 'listening') {
      const carried = this.#carried.get(told.id)
      if (told.kind === 'ended') carried?.end(told.end)
      else if (carried) Object.assign(carried, { verified: told.verified, repeats: told.repeats })
    }
  }
}
