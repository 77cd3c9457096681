import { type Absent, parseAbsent } from '../compose/absent.ts'
import type { BundleConfig } from '../compose/bundle-format.ts'
import type { Logger } from '../config/log.ts'
import type { Boot } from '../state/boots.ts'
import { addEvent } from '../state/events.ts'
import { type Miss, missOutcomes, putMiss } from '../state/misses.ts'
import type { Redis } from '../state/redis.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

/** What a node tells of one miss. */
interface ReportedMiss extends Pick<Miss, 'path' | 'process' | 'pid' | 'count' | 'outcome' | 'uptime'> {
  readonly took?: number
  readonly page?: number
}

/** Lines of one report that are read; a node's own buffer holds fewer, for each has 24 bytes at least. */
const maxLines = 1400
const maxOpen = 8

/** Lines as boot/native/reports.c writes them; what does not fit is dropped. */
export function parseMissReport(text: string): ReportedMiss[] {
  return text.split('\n', maxLines).flatMap((line): ReportedMiss[] => {
    const [uptime = '', pid = '', process = '', count = '', outcome = '', took = '', path = '', page, more] =
      line.split('\t')
    const known = missOutcomes.find((one) => one === outcome)
    const numbers = [uptime, pid, count, took].every((number) => /^\d{1,9}(\.\d{1,3})?$/.test(number))
    if (page !== undefined && !/^\d{1,9}$/.test(page)) return []
    if (!known || !numbers || !path.startsWith('/') || path.length > 3 * 4096 || more !== undefined) return []
    return [
      {
        uptime: Number(uptime),
        pid: Number(pid),
        process: shown(unescaped(process)).slice(0, 16),
        count: Number(count),
        outcome: known,
        path: unescaped(path),
        ...(['missed', 'answered', 'written'].includes(known) ? {} : { took: Number(took) }),
        ...(page === undefined ? {} : { page: Number(page) }),
      },
    ]
  })
}

const unescaped = (text: string): string =>
  text.replace(/%([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** It is shown on terminals. */
const shown = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?')

/** What bundles lack, read once each, and what nodes tell of it. */
export class Misses {
  readonly #redis: Redis
  readonly #store: Store
  readonly #log: Logger
  readonly #open = new Map<Digest, Promise<Absent>>()

  constructor(redis: Redis, store: Store, log: Logger) {
    this.#redis = redis
    this.#store = store
    this.#log = log
  }

  /** What a node with this bundle may miss; empty when nothing was left out. */
  absentOf({ misses }: BundleConfig): Promise<Absent> {
    if (!misses) return Promise.resolve(new Map())
    const known = this.#open.get(misses.absent)
    if (known) return known
    const reading = this.#store.readVerified(misses.absent).then((bytes) => parseAbsent(bytes.toString()))
    this.#open.set(misses.absent, reading)
    reading.catch(() => this.#open.delete(misses.absent))
    if (this.#open.size > maxOpen) this.#open.delete(this.#open.keys().next().value!)
    return reading
  }

  /** Keeps what a node tells; of a path that its stack does not have, or that its bundle has, nothing. */
  async record(boot: Boot, config: BundleConfig, reported: readonly ReportedMiss[]): Promise<void> {
    const absent = await this.absentOf(config)
    for (const told of reported) {
      const file = absent.get(told.path)
      if (!file) continue
      const { type, component } = file
      const lastAt = Date.now()
      const about = { ...told, type, component, node: boot.mac, bundle: boot.bundle!, lastAt }
      const { miss, fresh } = await putMiss(this.#redis, config.blueprint, about)
      if (fresh) await this.#alert(config.blueprint, miss)
    }
  }

  /** Once for each path, and again when something else becomes of it: repeats only count. */
  async #alert(blueprint: string, { path, component, process, pid, node, outcome, took, page }: Miss): Promise<void> {
    const told = {
      blueprint,
      path,
      component,
      process,
      pid,
      mac: node,
      outcome,
      ...(took === undefined ? {} : { took }),
      ...(page === undefined ? {} : { page }),
    }
    const event = { event: 'file-missed', ...told }
    await addEvent(this.#redis, event)
    if (outcome === 'corrupt') this.#log.error(event)
    else this.#log.warn(event)
  }
}
