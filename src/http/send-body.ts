import type { ServerResponse } from 'node:http'
import type { Body, Part } from '../fleet/bundles.ts'
import type { HotBlobs } from '../store/hot-blobs.ts'
import type { Store } from '../store/store.ts'
import type { Transfer } from './delivery.ts'
import type { ByteRange } from './range.ts'

/** Bytes of its own that a reader of what is not held in memory can have lying here. */
const readAhead = 256 * 1024

/** A reader that takes less than a slice (4 MiB at most) in this time is cut: 14 KB a second. Milliseconds. */
const slowest = 300_000

/**
 * Sends a range of a body from the shared copies, never faster than the reader takes it and than its turn comes. Returns
 * the bytes handed over; rejects when the reader goes away, is too slow, or a blob turns out to be damaged, and then the
 * connection must be cut: with its content-length unmet, the reader knows.
 */
export async function sendBody(
  response: ServerResponse,
  body: Body,
  { start, end }: ByteRange,
  sources: { readonly store: Store; readonly hot: HotBlobs; readonly transfer: Transfer },
): Promise<number> {
  const { transfer, hot } = sources
  const reader = new Reader(response, transfer)
  let batch: Buffer[] = []
  let held = 0
  let sent = 0
  const flush = async () => {
    const turn = transfer.ask(held)
    if (turn) await turn
    await reader.take(batch)
    sent += held
    batch = []
    held = 0
  }
  try {
    for (const part of body.parts) {
      const to = Math.min(part.size, end + 1 - part.start)
      let from = Math.max(0, start - part.start)
      if (from >= to) continue
      const blob = await hot.get(part.digest, part.size)
      if (!blob) {
        for await (const bytes of fromDisk(part, from, to, sources)) {
          batch.push(bytes)
          held += bytes.length
          if (held >= Math.min(transfer.slice, readAhead)) await flush()
        }
        continue
      }
      // Views of the shared copy: nothing is copied before the kernel does. Small parts go together in one write.
      while (from < to) {
        const bytes = blob.subarray(from, Math.min(to, from + transfer.slice - held))
        batch.push(bytes)
        held += bytes.length
        from += bytes.length
        if (held >= transfer.slice) await flush()
      }
    }
    if (held > 0) await flush()
    response.end()
    return sent
  } finally {
    reader.release()
    transfer.close()
  }
}

function fromDisk(part: Part, from: number, to: number, { store }: { readonly store: Store }): AsyncIterable<Buffer> {
  return store.stream(part.digest, { start: from, end: to - 1 }) as AsyncIterable<Buffer>
}

/** The other end of a response. */
class Reader {
  readonly #response: ServerResponse
  readonly #transfer: Transfer
  #wake: (() => void) | undefined
  #fail: ((error: Error) => void) | undefined

  constructor(response: ServerResponse, transfer: Transfer) {
    this.#response = response
    this.#transfer = transfer
    response.on('drain', this.#onDrain).on('close', this.#onClose)
  }

  /** Resolves when the reader is ready for more. */
  take(batch: readonly Buffer[]): Promise<void> | undefined {
    const response = this.#response
    if (response.destroyed) throw new Error('the reader went away')
    response.cork()
    let ready = true
    for (const bytes of batch) ready = response.write(bytes)
    response.uncork()
    if (ready) {
      this.#transfer.taken()
      return undefined
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the reader is too slow')), slowest).unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#fail = (error) => {
        clearTimeout(timer)
        reject(error)
      }
    })
  }

  release(): void {
    this.#response.off('drain', this.#onDrain).off('close', this.#onClose)
  }

  readonly #onDrain = (): void => {
    this.#transfer.taken()
    this.#wake?.()
  }

  readonly #onClose = (): void => {
    // Whoever waits for its turn is refused it, whoever waits for the reader learns that it is gone.
    this.#transfer.close()
    this.#fail?.(new Error('the reader went away'))
  }
}
