import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { BootloomError } from '../src/config/errors.ts'
import { inside } from '../src/machine/namespace.ts'

export interface Page {
  readonly status: number
  readonly body: string
}

interface FetchOptions {
  /** Milliseconds in which to get an answer of status 200, trying again every 200 ms; default 5000. */
  readonly patience?: number
  readonly signal?: AbortSignal
}

/** GETs a URL from inside the namespace. LAB_TIMEOUT when nothing answered 200 in time, with the last reason. */
export async function fetchInside(namespace: string, url: string, options: FetchOptions = {}): Promise<Page> {
  const { patience = 5000, signal } = options
  const [file, ...args] = inside(namespace, [process.execPath, fileURLToPath(import.meta.url), url, String(patience)])
  const { stdout, exitCode } = await execa(file, args, {
    reject: false,
    stdin: 'ignore',
    timeout: patience + 10_000,
    ...(signal ? { cancelSignal: signal } : {}),
  })
  signal?.throwIfAborted()
  if (exitCode === 0) return JSON.parse(stdout) as Page
  throw new BootloomError('LAB_TIMEOUT', `${url} did not answer within ${patience / 1000} s`, {
    details: stdout === '' ? [] : [stdout.slice(0, 400)],
  })
}

/** The child: prints the page as JSON, or the reason why there was none. */
async function fetchHere(url: string, patience: number): Promise<void> {
  const deadline = Date.now() + patience
  for (;;) {
    let reason: string
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(5000) })
      const body = await response.text()
      if (response.status === 200) {
        process.stdout.write(JSON.stringify({ status: response.status, body } satisfies Page))
        return
      }
      reason = `status ${response.status}: ${body.slice(0, 200)}`
    } catch (error) {
      const cause = (error as Error).cause
      reason = cause instanceof Error ? cause.message : (error as Error).message
    }
    if (Date.now() >= deadline) {
      process.stdout.write(reason)
      process.exitCode = 1
      return
    }
    await sleep(200)
  }
}

if (import.meta.main) await fetchHere(process.argv[2]!, Number(process.argv[3]))
