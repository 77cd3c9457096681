import type { ServerResponse } from 'node:http'
import type { Body, Part } from '../fleet/bundles.ts'
import type { HotBlob, HotBlobs } from '../store/hot-blobs.ts'
import type { Store } from '../store/store.ts'
import type { Transfer } from './delivery.ts'
import type { ByteRange } from './range.ts'
import { Reader } from './reader.ts'

/** Bytes of its own that a reader of what is not held in memory can have lying here. */
const readAhead = 256 * 1024

/** Bytes: less is written sooner than it is sent from a file. */
const smallestSending = 256 * 1024

interface Sources {
  readonly store: Store
  readonly hot: HotBlobs
  readonly transfer: Transfer
  /** Told whenever the reader has taken something. */
  readonly moving?: () => void
}

/**
 * Sends a range of a body from the shared copies, never faster than the reader takes it and than its turn comes. Returns
 * the bytes handed over; rejects when the reader goes away, is too slow, or a blob turns out to be damaged, and then the
 * connection must be cut: with its content-length unmet, the reader knows.
 */
export async function sendBody(
  response: ServerResponse,
  body: Body,
  { start, end }: ByteRange,
  sources: Sources,
): Promise<number> {
  const { transfer, hot } = sources
  const reader = new Reader(response, transfer, sources.moving)
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
      // Views of the shared copy: the kernel copies them or sends them as they are. Small parts go together in one write.
      while (from < to) {
        const count = Math.min(to - from, transfer.slice)
        if (isFile(blob) && count >= smallestSending) {
          if (held > 0) await flush()
          const turn = transfer.ask(count)
          if (turn) await turn
          await reader.send(blob, from, count)
          sent += count
          from += count
          continue
        }
        const bytes = blob.bytes.subarray(from, Math.min(to, from + transfer.slice - held))
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

const isFile = (blob: HotBlob): blob is Required<HotBlob> => blob.descriptor !== undefined

function fromDisk(part: Part, from: number, to: number, { store }: Sources): AsyncIterable<Buffer> {
  return store.stream(part.digest, { start: from, end: to - 1 }) as AsyncIterable<Buffer>
}
