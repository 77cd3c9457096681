import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { BootloomError } from '../config/errors.ts'
import type { OnProgress } from '../config/progress.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

interface ForeignSource {
  /** An absolute path, or a URL. */
  readonly from: string
  /** Hexadecimal digits. */
  readonly sha256?: string | undefined
}

/** Bytes of one file; milliseconds for all of it, and between two pieces of it. */
const limits = { bytes: 4 * 1024 ** 3, whole: 30 * 60_000, silence: 60_000 }

/**
 * Fetches a file into the store by http, https or from the disk. One whose digest is named and known is not fetched
 * again. FOREIGN_FETCH_FAILED, FOREIGN_DIGEST; nothing of a file that was refused can be seen.
 */
export async function fetchForeign(
  source: ForeignSource,
  store: Store,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<{ digest: Digest; size: number }> {
  if (source.sha256 !== undefined) {
    const digest: Digest = `sha256:${source.sha256}`
    const size = await store.size(digest)
    if (size !== undefined) return { digest, size }
  }
  const abort = new AbortController()
  const bounds = AbortSignal.any([abort.signal, AbortSignal.timeout(limits.whole), ...(signal ? [signal] : [])])
  try {
    const { bytes, total } = await open(source.from, bounds)
    const fetched = await store.writeStream(checked(bytes, total, source, { progress, abort, bounds }))
    if (fetched.size === 0) throw failed(source.from, 'it is empty')
    return fetched
  } catch (error) {
    if (error instanceof BootloomError || signal?.aborted) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw error
    throw failed(source.from, reasonOf(error), error)
  }
}

async function open(from: string, signal: AbortSignal): Promise<{ bytes: AsyncIterable<Uint8Array>; total?: number }> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(from)?.[1]?.toLowerCase()
  if (scheme === undefined || scheme === 'file') {
    const path = scheme === undefined ? from : decodeURIComponent(new URL(from).pathname)
    const found = await stat(path)
    if (!found.isFile()) throw failed(from, 'it is no file')
    return { bytes: createReadStream(path, { signal }) as AsyncIterable<Uint8Array>, total: found.size }
  }
  if (scheme !== 'http' && scheme !== 'https') throw failed(from, `${scheme} is not spoken: use http, https or a path`)
  // As it lies on the server: an initrd.gz must not be unpacked on the way.
  const answer = await fetch(from, { signal, headers: { 'accept-encoding': 'identity' } })
  if (!answer.ok || !answer.body) throw failed(from, `the server answers ${answer.status}`)
  const length = Number(answer.headers.get('content-length') ?? Number.NaN)
  return { bytes: answer.body, ...(Number.isSafeInteger(length) ? { total: length } : {}) }
}

async function* checked(
  bytes: AsyncIterable<Uint8Array>,
  total: number | undefined,
  { from, sha256 }: ForeignSource,
  { progress, abort, bounds }: { progress: OnProgress; abort: AbortController; bounds: AbortSignal },
): AsyncGenerator<Uint8Array> {
  if (total !== undefined && total > limits.bytes) throw failed(from, `it is larger than ${limits.bytes} bytes`)
  const hash = createHash('sha256')
  let size = 0
  let told = 0
  const watch = setTimeout(() => abort.abort(new Error('nothing came for a minute')), limits.silence)
  try {
    for await (const chunk of bytes) {
      watch.refresh()
      bounds.throwIfAborted()
      size += chunk.byteLength
      if (size > limits.bytes) throw failed(from, `it is larger than ${limits.bytes} bytes`)
      hash.update(chunk)
      yield chunk
      if (Date.now() - told < 200) continue
      told = Date.now()
      progress({ step: 'fetch', detail: from, ...(total ? { fraction: Math.min(1, size / total) } : {}) })
    }
  } finally {
    clearTimeout(watch)
  }
  if (total !== undefined && size !== total) throw failed(from, `${size} of ${total} bytes came`)
  const found = hash.digest('hex')
  if (sha256 !== undefined && found !== sha256) {
    throw new BootloomError('FOREIGN_DIGEST', `${from} is not the file that the blueprint names`, {
      where: from,
      details: [`named  ${sha256}`, `found  ${found}`],
    })
  }
}

const reasonOf = (error: unknown): string => {
  const { cause, message } = error as Error
  return cause instanceof Error ? cause.message : message
}

const failed = (from: string, why: string, cause?: unknown): BootloomError =>
  new BootloomError('FOREIGN_FETCH_FAILED', `${from} cannot be fetched: ${why}`, { where: from, cause })
