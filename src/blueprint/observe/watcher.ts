import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Touch } from '../profile.ts'
import { startBeside } from './beside.ts'
import type { Stage } from './stage.ts'
import type { Touched } from './touched.ts'
import { Trace } from './trace.ts'

/** Tells what is touched on a stage while a run goes on. */
export interface Watcher extends AsyncDisposable {
  /** After the run: returns once all of it was told. */
  finish(): Promise<void>
}

/** `live`: tells within a quarter of a second; otherwise at the end, where that costs less. */
export function startWatcher(
  stage: Stage,
  method: 'strace' | 'fanotify',
  touched: Touched,
  live: boolean,
): Promise<Watcher> {
  return method === 'strace' ? Promise.resolve(watchTrace(stage, touched, live)) : watchOpens(stage, touched)
}

function watchTrace(stage: Stage, touched: Touched, live: boolean): Watcher {
  const trace = new Trace(join(stage.directory, 'trace'), `${stage.inside}/root`, (named, by) =>
    touched.named(named, by),
  )
  const read = async () => trace.read(await stage.pids())
  const ended = new AbortController()
  const following = live ? follow(read, ended.signal) : Promise.resolve()
  return {
    async finish() {
      ended.abort()
      await following
      await read()
    },
    async [Symbol.asyncDispose]() {
      ended.abort()
      await following
    },
  }
}

async function follow(read: () => Promise<void>, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    // What goes wrong in between goes wrong at the end too, and is told then.
    await read().catch(() => {})
    await sleep(250, undefined, { signal: ended }).catch(() => {})
  }
}

function watchOpens(stage: Stage, touched: Touched): Promise<Watcher> {
  let rest: Buffer = Buffer.alloc(0)
  let isReady = false
  const onOutput = (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    if (!isReady && rest.includes('\n')) {
      rest = rest.subarray(rest.indexOf('\n') + 1)
      isReady = true
    }
    for (let end = thirdZero(rest); isReady && end >= 0; end = thirdZero(rest)) {
      const [how, process, path] = rest.toString('utf8', 0, end).split('\0')
      tell(touched, how!, process!, path!)
      rest = rest.subarray(end + 1)
    }
  }
  return startBeside(stage, { name: 'opens', does: 'watches by fanotify', words: [`${stage.inside}/root`], onOutput })
}

/** Where the first three words end, or -1. */
function thirdZero(bytes: Buffer): number {
  let at = -1
  for (let word = 0; word < 3; word++) {
    at = bytes.indexOf(0, at + 1)
    if (at < 0) return -1
  }
  return at
}

const touches: Readonly<Record<string, Touch>> = { open: 'open', exec: 'exec', readdir: 'readdir' }

/** Opened, it was there: what the stack did not have, the application made. */
function tell(touched: Touched, how: string, process: string, path: string): void {
  const touch = touches[how]
  if (touch === undefined) return
  touched.named(
    { path: path.replace(/ \(deleted\)$/, ''), touch, followLast: false, creates: true, fresh: false },
    // Of a process that has ended in the meantime nothing more is known.
    process === '' ? undefined : { process, call: how, error: undefined },
  )
}
