import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Store } from '../store/store.ts'
import type { Body, Part } from './bundles.ts'
import type { HotBlobs } from './hot-blobs.ts'
import type { ByteRange } from './range.ts'

/** Bytes given to a connection at once: what a slow reader can hold beyond the shared copy. */
const slice = 256 * 1024

/**
 * Sends a range of a body from the shared copies, never faster than the reader takes it. Returns the bytes handed over;
 * rejects when the reader goes away or a blob turns out to be damaged, and then the connection must be cut: with its
 * content-length unmet, the reader knows.
 */
export async function sendBody(
  response: ServerResponse,
  body: Body,
  { start, end }: ByteRange,
  sources: { readonly store: Store; readonly hot: HotBlobs },
): Promise<number> {
  let sent = 0
  for (const part of body.parts) {
    const from = Math.max(0, start - part.start)
    const to = Math.min(part.size, end + 1 - part.start)
    if (from >= to) continue
    for await (const bytes of bytesOf(part, from, to, sources)) {
      if (response.destroyed) throw new Error('the reader went away')
      if (!response.write(bytes)) await drained(response)
      sent += bytes.length
    }
  }
  response.end()
  return sent
}

async function* bytesOf(
  part: Part,
  from: number,
  to: number,
  { store, hot }: { readonly store: Store; readonly hot: HotBlobs },
): AsyncGenerator<Buffer> {
  const blob = await hot.get(part.digest, part.size)
  if (!blob) {
    yield* store.stream(part.digest, { start: from, end: to - 1 }) as AsyncIterable<Buffer>
    return
  }
  for (let at = from; at < to; at += slice) yield blob.subarray(at, Math.min(at + slice, to))
}

async function drained(response: ServerResponse): Promise<void> {
  const waiting = new AbortController()
  try {
    await Promise.race([
      once(response, 'drain', { signal: waiting.signal }),
      once(response, 'close', { signal: waiting.signal }).then(() => {
        throw new Error('the reader went away')
      }),
    ])
  } finally {
    waiting.abort()
  }
}
