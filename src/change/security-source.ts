import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../config/errors.ts'
import { maskCredentials } from '../config/secrets.ts'

/** Bytes of one source in all (the tracker's JSON has 70 MB), files of a directory, milliseconds that a fetch may take. */
const limits = { bytes: 384 * 1024 ** 2, files: 200_000, whole: 5 * 60_000 }
/** Milliseconds after which a URL is asked again. */
const fresh = 3_600_000

export interface Fetched {
  readonly texts: readonly { readonly text: string; readonly where: string }[]
  /** What the source looked like; another one means that it must be read again. */
  readonly stamp: string
}

const isUrl = (from: string): boolean => /^https?:\/\//i.test(from)

/** What the source looks like now; of a URL that was asked within the last hour, the stamp that is known. */
export async function stampOf(from: string, known: string | undefined): Promise<string> {
  if (isUrl(from)) return known !== undefined && Date.now() - Number(known) < fresh ? known : String(Date.now())
  const found = await stat(from).catch(() => undefined)
  return found ? `${found.mtimeMs} ${found.size}` : 'gone'
}

/** The text of a file or a URL, or of all .json files of a directory. SECURITY_DATA when it cannot be had or is too large. */
export async function textsOf(from: string, signal?: AbortSignal): Promise<Fetched> {
  const stamp = await stampOf(from, undefined)
  try {
    if (isUrl(from)) return { stamp, texts: [{ text: await fetched(from, signal), where: maskCredentials(from) }] }
    const found = await stat(from)
    const names = found.isDirectory() ? (await readdir(from)).filter((name) => name.endsWith('.json')).sort() : ['']
    if (names.length > limits.files) throw refused(from, `it holds more than ${limits.files} files`)
    let left = limits.bytes
    const texts = []
    for (const name of names) {
      signal?.throwIfAborted()
      const path = name === '' ? from : join(from, name)
      left -= (await stat(path)).size
      if (left < 0) throw refused(from, `it is larger than ${limits.bytes} bytes`)
      texts.push({ text: await readFile(path, 'utf8'), where: path })
    }
    return { stamp, texts }
  } catch (error) {
    if (error instanceof BootloomError || signal?.aborted) throw error
    const { cause, message } = error as Error
    throw refused(from, cause instanceof Error ? cause.message : message, error)
  }
}

async function fetched(from: string, signal?: AbortSignal): Promise<string> {
  const bounds = AbortSignal.any([AbortSignal.timeout(limits.whole), ...(signal ? [signal] : [])])
  const answer = await fetch(from, { signal: bounds })
  if (!answer.ok || !answer.body) throw refused(from, `the server answers ${answer.status}`)
  const chunks: Uint8Array[] = []
  let left = limits.bytes
  for await (const chunk of answer.body) {
    left -= chunk.byteLength
    if (left < 0) throw refused(from, `it is larger than ${limits.bytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const refused = (from: string, why: string, cause?: unknown): BootloomError =>
  new BootloomError('SECURITY_DATA', `${maskCredentials(from)} cannot be read: ${why}`, {
    where: maskCredentials(from),
    ...(cause === undefined ? {} : { cause }),
  })
