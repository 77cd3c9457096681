import { type StageName, type StormEvent, stageNames } from './plan.ts'

/** Milliseconds, of one stage over all nodes that went through it. */
export interface StageFigures {
  readonly stage: StageName
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** How often something went wrong in the same way. */
export interface Trouble {
  readonly stage: string
  readonly reason: string
  readonly count: number
}

/** What became of a storm's nodes, kept up while it rages. */
export class Account {
  readonly on = new Set<string>()
  readonly ready = new Map<string, string>()
  readonly failed = new Set<string>()
  bytes = { tftp: 0, http: 0, hashed: 0 }
  /** Things fetched that had other bytes the next time. */
  readonly differing = new Set<string>()
  #firstOn = 0
  #lastReady = 0
  readonly #took = new Map<StageName, number[]>(stageNames.map((stage) => [stage, []]))
  readonly #troubles = new Map<string, Trouble>()
  readonly #failures = new Map<string, Trouble>()
  readonly #digests = new Map<string, string>()

  take(event: StormEvent): void {
    switch (event.type) {
      case 'on':
        this.#firstOn ||= performance.now()
        this.on.add(event.mac)
        break
      case 'stage':
        this.#took.get(event.stage)!.push(event.took)
        break
      case 'trouble':
        addTo(this.#troubles, event)
        break
      case 'failed':
        this.failed.add(event.mac)
        addTo(this.#failures, event)
        break
      case 'ready':
        this.#lastReady = performance.now()
        this.ready.set(event.mac, event.boot)
        break
      case 'bytes':
        this.bytes = event
        break
      case 'digest': {
        const known = this.#digests.get(event.what)
        if (known !== undefined && known !== event.sha256) this.differing.add(event.what)
        this.#digests.set(event.what, event.sha256)
      }
    }
  }

  /** Seconds from the first power-on to the last node's ready. */
  get seconds(): number {
    return Math.max(0, this.#lastReady - this.#firstOn) / 1000
  }

  get troubles(): readonly Trouble[] {
    return byCount(this.#troubles)
  }

  get failures(): readonly Trouble[] {
    return byCount(this.#failures)
  }

  /** How many nodes are past each stage. */
  passed(stage: StageName): number {
    return this.#took.get(stage)!.length
  }

  get stages(): readonly StageFigures[] {
    return stageNames.flatMap((stage) => {
      const sorted = this.#took.get(stage)!.toSorted((a, b) => a - b)
      if (sorted.length === 0) return []
      const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!
      return [{ stage, count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1)! }]
    })
  }
}

/** Numbers and names that differ from node to node would make each failure a kind of its own. */
const kindOf = (reason: string) => reason.replace(/\b\d+ of \d+ bytes/, 'some of its bytes').slice(0, 160)

function addTo(map: Map<string, Trouble>, { stage, reason }: { stage: string; reason: string }): void {
  const kind = kindOf(reason)
  const key = `${stage} ${kind}`
  map.set(key, { stage, reason: kind, count: (map.get(key)?.count ?? 0) + 1 })
}

const byCount = (map: ReadonlyMap<string, Trouble>) => [...map.values()].sort((a, b) => b.count - a.count)
