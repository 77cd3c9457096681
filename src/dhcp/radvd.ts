import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../config/log.ts'

export const radvd = '/usr/sbin/radvd'

/** Milliseconds until radvd is started again after it ended; doubled each time, until it has run for the longest of them. */
const backoff = { first: 500, longest: 60_000 }

/** Solicitations are answered at once, to who asked; what is sent unasked comes every 3 to 4 s (RFC 4861 §6.2.1). */
const settingsFor = (name: string) => `interface ${name} {
  AdvSendAdvert on;
  IgnoreIfMissing on;
  AdvDefaultLifetime 0;
  MinRtrAdvInterval 3;
  MaxRtrAdvInterval 4;
};
`

/**
 * Keeps a radvd running that advertises nobody's router on one interface. What it is told and its process id stand in
 * `directory`.
 */
export async function superviseRadvd(
  name: string,
  directory: string,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  await mkdir(directory, { recursive: true })
  const settings = join(directory, `${name}.conf`)
  await writeFile(settings, settingsFor(name))
  const words = ['--nodaemon', '--config', settings, '--pidfile', join(directory, `${name}.pid`)]
  let child: ChildProcess | undefined
  let again: NodeJS.Timeout | undefined
  let closed = false
  let wait = backoff.first

  const start = () => {
    const began = performance.now()
    // With the death of this process, however it comes, the kernel ends radvd too (prctl(2), PR_SET_PDEATHSIG).
    const started = spawn('setpriv', ['--pdeathsig', 'TERM', radvd, ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
    child = started
    let said = ''
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-1000)
    })
    const ended = (reason: string) => {
      if (child !== started) return
      child = undefined
      if (closed) return
      if (performance.now() - began > backoff.longest) wait = backoff.first
      const details = { reason, said: said.trimEnd().split('\n').slice(-3), again: wait }
      log.error({ event: 'router-advertisements-ended', interface: name, ...details })
      again = setTimeout(start, wait)
      wait = Math.min(wait * 2, backoff.longest)
    }
    started.once('error', (error) => ended(error.message))
    started.once('close', (code, signal) => ended(`radvd ended with ${code ?? signal}`))
  }
  start()
  log.info({ event: 'router-advertisements', interface: name })
  return {
    async close() {
      closed = true
      clearTimeout(again)
      const running = child
      if (!running) return
      const gone = new Promise((resolve) => running.once('close', resolve))
      running.kill('SIGTERM')
      await gone
    },
  }
}
