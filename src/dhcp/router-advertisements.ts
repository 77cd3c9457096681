import { access, constants, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { findOtherRouter } from './other-router.ts'
import { radvd, superviseRadvd } from './radvd.ts'

export interface RouterAdvertisementOptions {
  /** The boot interfaces. */
  readonly interfaces: readonly string[]
  readonly mode: Settings['network']['routerAdvertisements']
  /** The state directory: what radvd is told and its process id are kept there. */
  readonly state: string
  readonly log: Logger
  /** Milliseconds between two looks for a router that was there. */
  readonly lookEvery?: number
}

interface Part {
  close(): Promise<void>
}

/** After so many looks in vain, a router that was there is gone. */
const looksInVain = 3

/**
 * Has radvd (Debian's) advertise a router of lifetime 0 on the boot interfaces. That makes it nobody's router, and no
 * prefix is announced either; but iPXE, which solicits routers after its DHCP and waits 13 to 16 s for one, goes on at
 * once. `auto` leaves an interface alone where another router advertises itself, and takes over when that one is gone.
 * TOOL_MISSING when `on` and radvd is not there; `auto` then does without it.
 */
export async function startRouterAdvertisements(options: RouterAdvertisementOptions): Promise<Part> {
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
  const start = (name: string) => superviseRadvd(name, directory, log)
  const parts =
    mode === 'on' ? await Promise.all(speaking.map(start)) : speaking.map((name) => follow(name, start, options))
  return { close: async () => void (await Promise.all(parts.map((part) => part.close()))) }
}

/** A router advertisement comes from the link-local address: without one, none can be sent. */
async function speaksIpv6(name: string): Promise<boolean> {
  const disabled = await readFile(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8').catch(() => '1')
  return disabled.trim() === '0'
}

/** `auto`: starts once no other router is there. Two of one address would take the real one's lifetime from it. */
function follow(
  name: string,
  start: (name: string) => Promise<Part>,
  { log, lookEvery = 60_000 }: RouterAdvertisementOptions,
): Part {
  const ending = new AbortController()
  const { signal } = ending
  let started: Part | undefined
  const looking = (async () => {
    let known: string | undefined
    for (let inVain = 0; ; await sleep(lookEvery, undefined, { signal })) {
      const router = await findOtherRouter(name, signal)
      if (router === undefined && (known === undefined || ++inVain === looksInVain)) break
      if (router === undefined) continue
      if (router !== known) {
        log.info({ event: 'router-advertisements-left', interface: name, router, reason: 'another router is there' })
      }
      known = router
      inVain = 0
    }
    if (!signal.aborted) started = await start(name)
  })().catch((error) => {
    if (!signal.aborted) log.error({ event: 'router-advertisements-off', interface: name, reason: String(error) })
  })
  return {
    async close() {
      ending.abort()
      await looking
      await started?.close()
    },
  }
}
