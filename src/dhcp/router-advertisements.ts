import { type ChildProcess, spawn } from 'node:child_process'
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'

export interface RouterAdvertisementOptions {
  /** The boot interfaces. */
  readonly interfaces: readonly string[]
  readonly mode: Settings['network']['routerAdvertisements']
  /** The state directory: what radvd is told and its process id are kept there. */
  readonly state: string
  readonly log: Logger
}

const radvd = '/usr/sbin/radvd'

/** Milliseconds until radvd is started again after it ended; doubled each time, until it has run for the longest of them. */
const backoff = { first: 500, longest: 60_000 }

/**
 * Has radvd (Debian's) advertise a router of lifetime 0 on the boot interfaces. That makes it nobody's router, and no
 * prefix is announced either; but iPXE, which solicits routers after its DHCP and waits 13 to 16 s for one, goes on at
 * once. TOOL_MISSING when `on` and radvd is not there; `auto` then does without it.
 */
export async function startRouterAdvertisements(
  options: RouterAdvertisementOptions,
): Promise<{ close(): Promise<void> }> {
  const { mode, log } = options
  const nothing = { close: async () => {} }
  if (mode === 'off') return nothing
  const without = (reason: string) => {
    log.warn({ event: 'router-advertisements-off', reason, effect: 'iPXE waits 13 to 16 s for an IPv6 router' })
    return nothing
  }
  const installed = await access(radvd, constants.X_OK).then(
    () => true,
    () => false,
  )
  if (!installed) {
    if (mode === 'auto') return without('radvd is not installed')
    throw new BootloomError('TOOL_MISSING', 'radvd is not installed', { where: 'network.routerAdvertisements' })
  }
  const speaking: string[] = []
  for (const name of options.interfaces) if (await speaksIpv6(name)) speaking.push(name)
  if (speaking.length === 0) return without('the boot interface has no IPv6')
  const directory = join(options.state, 'radvd')
  await mkdir(directory, { recursive: true })
  const settings = join(directory, 'radvd.conf')
  await writeFile(settings, speaking.map(sectionOf).join(''))
  return supervise(['--nodaemon', '--config', settings, '--pidfile', join(directory, 'radvd.pid')], log, speaking)
}

/** Solicitations are answered at once, to who asked; what is sent unasked comes every 3 to 4 s (RFC 4861 §6.2.1). */
const sectionOf = (name: string) => `interface ${name} {
  AdvSendAdvert on;
  IgnoreIfMissing on;
  AdvDefaultLifetime 0;
  MinRtrAdvInterval 3;
  MaxRtrAdvInterval 4;
};
`

/** A router advertisement comes from the link-local address: without one, none can be sent. */
async function speaksIpv6(name: string): Promise<boolean> {
  const disabled = await readFile(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8').catch(() => '1')
  return disabled.trim() === '0'
}

function supervise(words: readonly string[], log: Logger, interfaces: readonly string[]): { close(): Promise<void> } {
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
      log.error({ event: 'router-advertisements-ended', ...details })
      again = setTimeout(start, wait)
      wait = Math.min(wait * 2, backoff.longest)
    }
    started.once('error', (error) => ended(error.message))
    started.once('close', (code, signal) => ended(`radvd ended with ${code ?? signal}`))
  }
  start()
  log.info({ event: 'router-advertisements', interfaces })
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
