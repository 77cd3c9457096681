import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../src/config/errors.ts'

/** What is waited for is there; or what there is in its place, in words, for whoever reads why it never came. */
export type Look<T> = { readonly found: T } | { readonly seen: string }

interface WaitOptions {
  /** Milliseconds in all; a look that hangs counts, too. */
  readonly timeout: number
  /** Milliseconds for which what is seen may stay the same; default: as long as it takes. */
  readonly silence?: number
  /** Milliseconds between two looks; default 250. */
  readonly every?: number
  readonly signal?: AbortSignal | undefined
  /** For the error. */
  readonly where?: string
  readonly details?: () => readonly string[]
}

/** Looks until it is there, but never for ever: then LAB_TIMEOUT, with what was seen last, and since when. */
export async function until<T>(what: string, look: () => Promise<Look<T>>, options: WaitOptions): Promise<T> {
  const { timeout, silence = timeout, every = 250, signal, where, details } = options
  const began = Date.now()
  let [seen, since] = ['nothing', began]
  for (;;) {
    signal?.throwIfAborted()
    const left = Math.min(began + timeout, since + silence) - Date.now()
    const looked = left > 0 ? await within(look(), left) : undefined
    if (looked && 'found' in looked) return looked.found
    if (looked === undefined) {
      const seconds = (from: number) => Math.round((Date.now() - from) / 1000)
      throw new BootloomError('LAB_TIMEOUT', `${what}: not within ${seconds(began)} s`, {
        ...(where === undefined ? {} : { where }),
        details: [`seen last, ${seconds(since)} s ago: ${seen}`, ...(details?.() ?? [])],
      })
    }
    if (looked.seen !== seen) [seen, since] = [looked.seen, Date.now()]
    await sleep(every, undefined, signal ? { signal } : {})
  }
}

/** Undefined when it takes longer. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const stop = new AbortController()
  const late = sleep(milliseconds, undefined, { signal: stop.signal }).catch(() => undefined)
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
    promise.catch(() => {})
  }
}
