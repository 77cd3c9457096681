import { randomBytes } from 'node:crypto'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { type Boot, bootsOf, byKexec, recentBoots, type Stage } from '../state/boots.ts'
import type { Redis } from '../state/redis.ts'
import { BootJournal } from './boot-journal.ts'

type StageDetails = Omit<Stage, 'at' | 'times'>

interface Identity {
  readonly uuid?: string
  readonly serial?: string
}

interface Report extends Pick<Stage, 'uptime' | 'memTotal' | 'memAvailable'> {
  readonly stage: 'jump' | 'no-jump' | 'init' | 'network' | 'app' | 'ready' | 'failed'
  /** The first line says more; of `failed` it is the reason, and the rest what was printed last. */
  readonly text?: string
}

interface Assigned {
  readonly blueprint?: string
  readonly bundle?: string
  /** The bundle assigned, where the node gets another one because it did not come up with it. */
  readonly gaveUp?: string | undefined
  readonly detail?: string
  /** The node's, where it has one before it begins. */
  readonly address?: string
}

/** Milliseconds after which a silent boot is over when its firmware begins anew. */
const idleLimit = 120_000
/** Milliseconds between two looks for boots past their deadline. */
const overdueEvery = 5_000
const maxStages = 100
const maxNodes = 20_000

/**
 * The boots under way. Everything is decided in memory and written behind (`BootJournal`), so that no datagram ever
 * waits for Redis.
 *
 * One power-on is one boot, though firmware, iPXE and the running node each do DHCP in it. A new boot begins with
 * - a DISCOVER of firmware or iPXE, when the boot before got as far as a script, has ended, or was silent for two
 *   minutes: whoever loads a program anew has begun anew;
 * - a request for a script, when there is no boot, it has ended, or it got its overlay, which is the last thing that
 *   a node fetches before its kernel starts (DHCP may be another server's). A script asked again before that is a retry.
 * The running node's DHCP begins nothing: it may be a renewal.
 */
export class Boots {
  readonly #redis: Redis
  readonly #journal: BootJournal
  readonly #current = new Map<string, Boot>()
  readonly #addresses = new Map<string, string>()

  /** Seconds that a node has from its start to report ready. */
  readonly deadline: number
  readonly #watch: NodeJS.Timeout

  private constructor(redis: Redis, settings: Pick<Settings, 'unknown' | 'fleet'>, log: Logger) {
    this.#redis = redis
    this.#journal = new BootJournal(redis, settings, log)
    this.deadline = settings.fleet.deadline
    this.#watch = setInterval(() => this.#closeOverdue(), overdueEvery).unref()
  }

  /** Takes up again the boots that were under way when a server before this one ended. */
  static async open(redis: Redis, settings: Pick<Settings, 'unknown' | 'fleet'>, log: Logger): Promise<Boots> {
    const boots = new Boots(redis, settings, log)
    for (const boot of await recentBoots(redis, Date.now())) boots.#hold(boot)
    return boots
  }

  /** A DHCP DISCOVER. `by` tells whose: it decides whether this is a new boot. */
  discover(mac: string, by: 'firmware' | 'ipxe' | 'node', identity: Identity = {}): void {
    const boot = this.#current.get(mac)
    const anew = !boot || boot.outcome || has(boot, 'script') || Date.now() - boot.updatedAt > idleLimit
    if (by === 'node' ? boot && !boot.outcome : !anew) this.#append(boot!, { stage: 'discover', by })
    else if (by !== 'node') this.#append(this.#begin(mac), { stage: 'discover', by })
    // An operating system that we did not boot is nothing to us.
    if (by !== 'node' || boot) this.#journal.sighting(mac, identity)
  }

  /** Whatever else happens to a node on its way; without a boot under way it is not kept. */
  record(mac: string, details: StageDetails): void {
    const boot = this.#current.get(mac)
    if (details.stage === 'ack' && details.address) this.#place(details.address, mac)
    if (!boot || boot.outcome) return
    // The last thing that a node loads: from here on it is up to the bundle. A running node has yet to enter it.
    if (details.stage === 'overlay' && !byKexec(boot)) this.#journal.outcome({ kind: 'given', boot, at: Date.now() })
    this.#append(boot, details)
  }

  /** As `record`, of the boot named: what names another boot than the node's own is not kept. */
  transfer(mac: string, id: string, details: StageDetails): void {
    if (this.#current.get(mac)?.id === id) this.record(mac, details)
  }

  /** Who was last given this address: TFTP knows no MAC. */
  macAt(address: string): string | undefined {
    return this.#addresses.get(address)
  }

  /** The boot of a node, when it is under way. */
  underWay(mac: string): Boot | undefined {
    const boot = this.#current.get(mac)
    return boot?.outcome ? undefined : boot
  }

  /** A script is about to be handed out: returns the boot that it belongs to. */
  script(
    mac: string,
    action: 'boot' | 'kexec' | 'unassigned' | 'local' | 'not-ready' | 'waiting' | 'error',
    { detail, address, ...assigned }: Assigned = {},
    identity: Identity = {},
  ): Boot {
    const found = this.#current.get(mac)
    const boot = !found || found.outcome || has(found, 'overlay') ? this.#begin(mac) : found
    if (action === 'unassigned' && !boot.stages.some((stage) => stage.action === action)) {
      this.#journal.event({ event: 'node-unassigned', mac, boot: boot.id })
    }
    this.#journal.sighting(mac, identity)
    if (assigned.gaveUp !== undefined) this.#journal.outcome({ kind: 'spent', mac })
    return this.#append(
      { ...boot, ...assigned },
      {
        stage: 'script',
        action,
        ...(detail === undefined ? {} : { detail }),
        ...(address === undefined ? {} : { address }),
      },
    )
  }

  /** The node's boot under way, when it is the one named; BOOT_NOT_CURRENT otherwise. */
  async expect(mac: string, id: string): Promise<Boot> {
    const boot = this.#current.get(mac)
    if (boot?.id === id) return boot
    // Another server on the same Redis may have begun it.
    const [newest] = boot ? [] : await bootsOf(this.#redis, mac, 1)
    if (newest?.id !== id) throw new BootloomError('BOOT_NOT_CURRENT', `this is not the boot of ${mac} under way`)
    this.#hold(newest)
    return newest
  }

  /**
   * What the node says of itself. `ready` and `failed` close the boot; what comes after is not kept, but for `ready`
   * after `failed`: an application that was slow is up all the same.
   */
  async report(mac: string, id: string, { stage, text = '', ...measured }: Report): Promise<void> {
    const { reason: _failure, lines: _last, outcome, ...boot } = await this.expect(mac, id)
    if (outcome && !(outcome === 'failed' && stage === 'ready')) return
    const [reason = '', ...rest] = text.trimEnd().split('\n')
    const lines = rest[0] === '' ? rest.slice(1) : rest
    const ending =
      stage === 'ready'
        ? { outcome: stage }
        : stage === 'failed'
          ? { outcome: stage, reason: reason || 'no reason given', ...(lines.length > 0 ? { lines } : {}) }
          : {}
    const detail = reason === '' ? {} : { detail: reason.slice(0, 200) }
    if (stage === 'jump') this.#journal.outcome({ kind: 'given', boot, at: Date.now() })
    const closed = this.#append({ ...boot, ...ending }, { stage, ...measured, ...detail })
    if (!closed.outcome) return
    this.#close(closed)
    if (stage === 'ready') this.#journal.outcome({ kind: 'ready', boot: closed, at: Date.now() })
  }

  /** A foreign bundle was handed over whole, which is as far as its boot can be followed: closes it. */
  delivered(mac: string, id: string): void {
    const boot = this.#current.get(mac)
    if (boot?.id !== id || boot.outcome) return
    this.#close(this.#append({ ...boot, outcome: 'delivered' }, { stage: 'delivered' }))
  }

  /** Resolves when all that was recorded until now is in Redis, or could not be written. */
  flush(): Promise<void> {
    return this.#journal.flush()
  }

  async close(): Promise<void> {
    clearInterval(this.#watch)
    await this.#journal.close()
  }

  #close(boot: Boot): void {
    this.#journal.event({
      event: `boot-${boot.outcome}`,
      mac: boot.mac,
      boot: boot.id,
      blueprint: boot.blueprint,
      bundle: boot.bundle,
      seconds: (boot.updatedAt - boot.openedAt) / 1000,
      ...(boot.reason === undefined ? {} : { reason: boot.reason }),
    })
  }

  /** A node that hangs says nothing, and may never begin another boot. */
  #closeOverdue(): void {
    const silentSince = Date.now() - this.deadline * 1000
    for (const boot of this.#current.values()) {
      if (boot.outcome || boot.updatedAt > silentSince || !has(boot, 'overlay')) continue
      // With Redis away it is looked at again.
      this.#closeSilent(boot).catch(() => {})
    }
  }

  async #closeSilent(boot: Boot): Promise<void> {
    await this.#journal.flush()
    const [known] = await bootsOf(this.#redis, boot.mac, 1)
    if (this.#current.get(boot.mac) !== boot) return
    // The node may have told another server on the same Redis.
    if (known && (known.id !== boot.id || known.updatedAt > boot.updatedAt)) return this.#hold(known)
    const reason = `not ready within ${this.deadline} s`
    this.#close(this.#append({ ...boot, outcome: 'failed', reason }, { stage: 'failed', detail: reason }))
    this.#journal.outcome({ kind: 'spent', mac: boot.mac })
  }

  #begin(mac: string): Boot {
    const now = Date.now()
    // Whoever can guess it could report for the node: 96 bits.
    return { id: randomBytes(12).toString('hex'), mac, openedAt: now, updatedAt: now, stages: [] }
  }

  #append(boot: Boot, details: StageDetails): Boot {
    const at = Date.now()
    const last = boot.stages.at(-1)
    const stages = repeats(last, details)
      ? [...boot.stages.slice(0, -1), { ...last!, times: (last!.times ?? 1) + 1 }]
      : boot.stages.length < maxStages || boot.outcome
        ? [...boot.stages, { ...details, at }]
        : boot.stages
    const next = { ...boot, updatedAt: at, stages }
    this.#hold(next)
    this.#journal.boot(next)
    return next
  }

  #hold(boot: Boot): void {
    this.#current.delete(boot.mac)
    this.#current.set(boot.mac, boot)
    if (this.#current.size > maxNodes) this.#current.delete(this.#current.keys().next().value!)
    for (const { stage, address } of boot.stages) if (stage === 'ack' && address) this.#place(address, boot.mac)
  }

  #place(address: string, mac: string): void {
    this.#addresses.delete(address)
    this.#addresses.set(address, mac)
    if (this.#addresses.size > maxNodes) this.#addresses.delete(this.#addresses.keys().next().value!)
  }
}

const has = (boot: Boot, name: Stage['stage']): boolean => boot.stages.some(({ stage }) => stage === name)

function repeats(last: Stage | undefined, next: StageDetails): boolean {
  const same = ['stage', 'by', 'address', 'file', 'action', 'detail'] as const
  return last !== undefined && same.every((field) => last[field] === next[field])
}
