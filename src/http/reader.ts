import type { ServerResponse } from 'node:http'
import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { HotBlob } from '../store/hot-blobs.ts'
import type { Transfer } from './delivery.ts'
import { cork, sendFile } from './sendfile.ts'

/** Bytes written between two sendings from a file: when they have left Node, the kernel has room for more. */
const sounding = 4096

/** A reader that takes less than so many bytes in so many milliseconds is cut: 14 KB a second. */
const slowest = { bytes: 4 * 1024 * 1024, time: 300_000 }

/** The other end of a response. */
export class Reader {
  readonly #response: ServerResponse
  readonly #transfer: Transfer
  readonly #moving: (() => void) | undefined
  #corked = false
  /** The kernel took all of what it was last told to send. */
  #room = false
  #wake: (() => void) | undefined
  #fail: ((error: Error) => void) | undefined

  /** `moving`: told whenever the reader has taken something. */
  constructor(response: ServerResponse, transfer: Transfer, moving?: () => void) {
    this.#response = response
    this.#transfer = transfer
    this.#moving = moving
    response.on('drain', this.#onDrain).on('close', this.#onClose)
  }

  /** Resolves when the reader is ready for more. */
  async take(batch: readonly Buffer[]): Promise<void> {
    const response = this.#response
    this.#refuseGone()
    this.#room = false
    response.cork()
    let ready = true
    for (const bytes of batch) ready = response.write(bytes)
    response.uncork()
    const drained = () =>
      new Promise<void>((resolve, reject) => {
        this.#wake = resolve
        this.#fail = reject
      })
    if (!ready) await this.#patiently(drained)
    this.#taken()
  }

  /**
   * Has the kernel send bytes of a blob from where they are; resolves when it has taken them. It says in no other way when
   * it has room for more than by taking what is written: so a few of them are, before each sending.
   */
  async send({ bytes, descriptor }: Required<HotBlob>, from: number, count: number): Promise<void> {
    this.#cork(true)
    await this.#patiently(async (goOn) => {
      let marked = from
      for (let at = from, end = from + count; at < end; ) {
        if (!this.#room) {
          const sounded = Math.min(end, at + sounding)
          await this.#write(bytes.subarray(at, sounded))
          at = sounded
        }
        this.#refuseGone()
        at += sendFile(this.#response.socket!, descriptor, at, end - at)
        this.#room = at === end
        this.#moving?.()
        if (at - marked < slowest.bytes) continue
        marked = at
        goOn()
      }
    })
    // A reader as fast as this has had its turn.
    await turnOfOthers()
    this.#taken()
  }

  release(): void {
    this.#cork(false)
    this.#response.off('drain', this.#onDrain).off('close', this.#onClose)
  }

  #taken(): void {
    this.#transfer.taken()
    this.#moving?.()
  }

  #refuseGone(): void {
    if (this.#response.destroyed) throw new Error('the reader went away')
  }

  /** Resolves when the bytes have left Node. */
  #write(bytes: Buffer): Promise<void> {
    this.#refuseGone()
    return new Promise((resolve, reject) => {
      this.#fail = reject
      this.#response.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }

  #cork(on: boolean): void {
    const { socket } = this.#response
    if (on === this.#corked || !socket) return
    cork(socket, on)
    this.#corked = on
  }

  async #patiently(work: (goOn: () => void) => Promise<void>): Promise<void> {
    const timer = setTimeout(() => this.#fail?.(new Error('the reader is too slow')), slowest.time).unref()
    try {
      await work(() => timer.refresh())
    } finally {
      clearTimeout(timer)
    }
  }

  readonly #onDrain = (): void => this.#wake?.()

  readonly #onClose = (): void => {
    // Whoever waits for its turn is refused it, whoever waits for the reader learns that it is gone.
    this.#transfer.close()
    this.#fail?.(new Error('the reader went away'))
  }
}
