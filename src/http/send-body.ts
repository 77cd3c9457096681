import type { ServerResponse } from 'node:http'
import type { Body, Part } from '../fleet/bundles.ts'
import type { HotBlobs } from '../store/hot-blobs.ts'
import type { Store } from '../store/store.ts'
import type { Transfer } from './delivery.ts'
import type { ByteRange } from './range.ts'
import type { FileSender } from './sendfile.ts'

/** Bytes of its own that a reader of what is not held in memory can have lying here. */
const readAhead = 256 * 1024

/** A reader that takes less than a slice (4 MiB at most) in this time is cut: 14 KB a second. Milliseconds. */
const slowest = 300_000

/** Smaller pieces are written together: each by itself would cost more than the copy that it spares. */
const worthSending = 256 * 1024

/** What bodies are sent from. */
export interface Sources {
  readonly store: Store
  readonly hot: HotBlobs
  readonly sender: FileSender
}

/** Makes sure that a part is there and undamaged, as far as that is looked at before it is sent. BLOB_CORRUPT. */
export async function prepare({ digest, size }: Part, { hot, sender }: Sources): Promise<void> {
  if (sender.usable && size >= worthSending) await hot.verify(digest, size)
  else await hot.get(digest, size)
}

/**
 * Sends a range of a body from the files or the shared copies, never faster than the reader takes it and than its turn comes. Returns
 * the bytes handed over; rejects when the reader goes away, is too slow, or a blob turns out to be damaged, and then the
 * connection must be cut: with its content-length unmet, the reader knows.
 */
export async function sendBody(
  response: ServerResponse,
  body: Body,
  { start, end }: ByteRange,
  sources: Sources & { readonly transfer: Transfer },
): Promise<number> {
  const { transfer, hot, sender, store } = sources
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
      if (sender.usable && to - from >= worthSending && response.socket) {
        if (held > 0) await flush()
        await hot.verify(part.digest, part.size)
        while (from < to && sender.usable) {
          const length = Math.min(to - from, transfer.slice)
          const turn = transfer.ask(length)
          if (turn) await turn
          if (!(await reader.takeFile(sender, store.path(part.digest), from, length))) break
          sent += length
          from += length
        }
        if (from >= to) continue
      }
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
  readonly #gone = new AbortController()
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

  /** As `take`, of a piece of a file; false when nothing was sent of it. */
  async takeFile(sender: FileSender, path: string, start: number, length: number): Promise<boolean> {
    const response = this.#response
    const { socket } = response
    if (!socket || response.destroyed) throw new Error('the reader went away')
    response.flushHeaders()
    if (socket.writableLength > 0) await new Promise((resolve) => socket.write('', resolve))
    // Node sees nothing move meanwhile; the sender looks whether it does.
    const { timeout } = socket
    socket.setTimeout(0)
    try {
      return await sender.send(socket, path, start, length, this.#gone.signal)
    } finally {
      this.#transfer.taken()
      socket.setTimeout(timeout ?? 0)
    }
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
    this.#gone.abort()
    this.#fail?.(new Error('the reader went away'))
  }
}
