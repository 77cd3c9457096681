/** Caps in bytes a second; absent: as fast as the line takes it. */
export interface Bandwidth {
  readonly total?: number | undefined
  readonly perNode?: number | undefined
}

/** Bytes asked for at once where nothing is capped; a cap makes it a twentieth of a second of the cap, 16 KiB at least. */
const largestSlice = 16 * 1024 * 1024
const smallestSlice = 16 * 1024
/** A reader that leaves its slice lying for so long no longer stands in the way of its node's others. Milliseconds. */
const patience = 1000

/** One transfer to a node. */
export interface Transfer {
  /** Bytes to ask for at once, at most. */
  readonly slice: number
  /** The right to hand over so many bytes: undefined when it is given at once. Rejects when the transfer was closed. */
  ask(bytes: number): Promise<void> | undefined
  /** The reader has taken what it was last handed. */
  taken(): void
  close(): void
}

interface Waiting {
  readonly bytes: number
  readonly transfer: object
  readonly go: () => void
  readonly refuse: () => void
}

interface NodeState {
  readonly name: string
  readonly bucket: Bucket | undefined
  /** Bytes handed over, counted from the least served node of those that were there when it came. */
  served: number
  readonly transfers: Set<object>
  /** Transfers whose reader has a slice to take, and since when. */
  readonly lying: Map<object, number>
  readonly waiting: Waiting[]
}

/**
 * Shares the line among nodes, not among connections: the node that got least goes next, and a node with several
 * connections has one slice on the way at a time while others want theirs. Caps are token buckets that may go into debt,
 * so they hold on the average at any size of slice. What nobody contends for costs nothing.
 */
export class Delivery {
  readonly #bandwidth: Bandwidth
  readonly #total: Bucket | undefined
  readonly #slice: number
  readonly #nodes = new Map<string, NodeState>()
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  constructor(bandwidth: Bandwidth = {}) {
    this.#bandwidth = bandwidth
    this.#total = bandwidth.total === undefined ? undefined : new Bucket(bandwidth.total)
    const lowest = Math.min(bandwidth.total ?? Number.POSITIVE_INFINITY, bandwidth.perNode ?? Number.POSITIVE_INFINITY)
    this.#slice = Math.min(largestSlice, Math.max(smallestSlice, Math.floor(lowest / 20)))
  }

  /** Nodes that something is being sent to. */
  get nodes(): number {
    return this.#nodes.size
  }

  open(name: string): Transfer {
    const node = this.#nodes.get(name) ?? this.#enter(name)
    const transfer = {}
    node.transfers.add(transfer)
    return {
      slice: this.#slice,
      ask: (bytes) => this.#ask(node, transfer, bytes),
      taken: () => {
        node.lying.delete(transfer)
        if (this.#waiting > 0) this.#serve()
      },
      close: () => this.#close(node, transfer),
    }
  }

  #enter(name: string): NodeState {
    const { perNode } = this.#bandwidth
    const node: NodeState = {
      name,
      bucket: perNode === undefined ? undefined : new Bucket(perNode),
      served: this.#nodes.size === 0 ? 0 : Math.min(...[...this.#nodes.values()].map(({ served }) => served)),
      transfers: new Set(),
      lying: new Map(),
      waiting: [],
    }
    this.#nodes.set(name, node)
    return node
  }

  #ask(node: NodeState, transfer: object, bytes: number): Promise<void> | undefined {
    if (!node.transfers.has(transfer)) return Promise.reject(new Error('the transfer was closed'))
    const now = performance.now()
    const after = node.waiting.length > 0 || (this.#total !== undefined && this.#waiting > 0)
    if (!after && this.#may(node, now)) {
      this.#grant(node, transfer, bytes, now)
      return undefined
    }
    return new Promise((go, reject) => {
      node.waiting.push({ bytes, transfer, go, refuse: () => reject(new Error('the transfer was closed')) })
      this.#waiting++
      this.#serve()
    })
  }

  #may(node: NodeState, now: number): boolean {
    if ((this.#total?.wait(now) ?? 0) > 0 || (node.bucket?.wait(now) ?? 0) > 0) return false
    if (this.#nodes.size === 1 || node.transfers.size === 1) return true
    return [...node.lying.values()].every((since) => now - since > patience)
  }

  #grant(node: NodeState, transfer: object, bytes: number, now: number): void {
    node.served += bytes
    node.lying.set(transfer, now)
    node.bucket?.take(bytes, now)
    this.#total?.take(bytes, now)
  }

  #serve(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const now = performance.now(); ; ) {
      let least: NodeState | undefined
      for (const node of this.#nodes.values()) {
        if (node.waiting.length > 0 && (!least || node.served < least.served) && this.#may(node, now)) least = node
      }
      if (!least) break
      const { transfer, bytes, go } = least.waiting.shift()!
      this.#waiting--
      this.#grant(least, transfer, bytes, now)
      go()
    }
    if (this.#waiting > 0) this.#timer = setTimeout(() => this.#serve(), this.#pause()).unref()
  }

  /** Milliseconds after which somebody may go on, if nothing happens before. */
  #pause(): number {
    const now = performance.now()
    let pause = patience
    for (const { waiting, bucket } of this.#nodes.values()) {
      if (waiting.length > 0)
        pause = Math.min(pause, Math.max(bucket?.wait(now) ?? 0, this.#total?.wait(now) ?? 0) || 10)
    }
    return Math.max(1, Math.ceil(pause))
  }

  #close(node: NodeState, transfer: object): void {
    // Closed before: its node may be gone by now, and come again with others.
    if (!node.transfers.delete(transfer)) return
    node.lying.delete(transfer)
    for (let i = node.waiting.length - 1; i >= 0; i--) {
      if (node.waiting[i]!.transfer !== transfer) continue
      const [waiting] = node.waiting.splice(i, 1)
      this.#waiting--
      waiting!.refuse()
    }
    if (node.transfers.size === 0) this.#nodes.delete(node.name)
    if (this.#waiting > 0) this.#serve()
  }
}

/** Tokens are bytes; whoever finds a token left may take more than there are, and all wait until the debt is paid. */
class Bucket {
  readonly #rate: number
  #level: number
  #at = performance.now()

  /** Bytes a second. */
  constructor(rate: number) {
    this.#rate = rate
    this.#level = rate / 20
  }

  /** Milliseconds until something may be taken. */
  wait(now: number): number {
    this.#fill(now)
    return this.#level > 0 ? 0 : (1 - this.#level) / (this.#rate / 1000)
  }

  take(bytes: number, now: number): void {
    this.#fill(now)
    this.#level -= bytes
  }

  /** Unused time is not saved up beyond a twentieth of a second. */
  #fill(now: number): void {
    this.#level = Math.min(this.#rate / 20, this.#level + ((now - this.#at) / 1000) * this.#rate)
    this.#at = now
  }
}
