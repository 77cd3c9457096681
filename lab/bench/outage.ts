import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inside } from '../../src/machine/namespace.ts'

/** Milliseconds between two questions, for an answer, and between good answers so that it is told. */
const pace = { between: 20, answer: 250, gap: 150 }

/** A page was not answered between two good answers. Times are milliseconds since 1970. */
interface Gap {
  readonly from: number
  readonly to: number
}

/** Asks for a page from inside a namespace all the time; resolves once it is answered. */
export async function watchPage(namespace: string, url: string): Promise<{ longestGap(): Gap; end(): void }> {
  const [file, ...words] = inside(namespace, [process.execPath, fileURLToPath(import.meta.url), url])
  const child = spawn(file, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const begun = Promise.withResolvers<void>()
  let longest: Gap = { from: 0, to: 0 }
  createInterface({ input: child.stdout }).on('line', (line) => {
    const gap = JSON.parse(line) as Gap
    if (gap.to - gap.from > longest.to - longest.from) longest = gap
    begun.resolve()
  })
  child.once('exit', () => begun.reject(new Error('the watch over the page ended')))
  await begun.promise
  return { longestGap: () => longest, end: () => child.kill() }
}

/** The child: a line for the first good answer, and one for each gap. */
async function watch(url: string): Promise<void> {
  for (let last = 0; ; await new Promise((resolve) => setTimeout(resolve, pace.between))) {
    const good = await fetch(url, { signal: AbortSignal.timeout(pace.answer), headers: { connection: 'close' } })
      .then(async (response) => (await response.text()) !== '' && response.status === 200)
      // Also when its answer stops half-way.
      .catch(() => false)
    if (!good) continue
    const now = Date.now()
    if (last === 0 || now - last > pace.gap) process.stdout.write(`${JSON.stringify({ from: last || now, to: now })}\n`)
    last = now
  }
}

if (import.meta.main) await watch(process.argv[2]!)
