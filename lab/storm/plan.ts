/** What the simulating process is told, and what it tells: the two ends of one channel. */

export interface StormPlan {
  readonly nodes: number
  readonly seed: number
  /** Seconds over which the nodes are powered on: firmware never starts all of a rack in one instant. */
  readonly within: number
  /** Of 1: nodes whose ROM is no iPXE and fetches undionly.kpxe by TFTP first. */
  readonly tftpShare: number
  /** Of 1: nodes that hash what they fetch, beside counting it. */
  readonly hashShare: number
  /** Seconds from the kernel's start to its init's first request. */
  readonly kernelSeconds: number
  /** Seconds after its power-on when a node that is not ready is given up. */
  readonly patience: number
  /** The interface on which the nodes are, in the simulating process's namespace. */
  readonly interface: string
}

/** In the order in which a node goes through them. */
export const stageNames = [
  'rom-dhcp',
  'tftp',
  'dhcp',
  'script',
  'kernel',
  'initramfs',
  'overlay',
  'os-dhcp',
  'reports',
  'power-on to ready',
] as const

export type StageName = (typeof stageNames)[number]

export type StormEvent =
  | { readonly type: 'on'; readonly mac: string }
  /** `took` in milliseconds. */
  | { readonly type: 'stage'; readonly mac: string; readonly stage: StageName; readonly took: number }
  /** Something failed and the node tries again. */
  | { readonly type: 'trouble'; readonly mac: string; readonly stage: string; readonly reason: string }
  | { readonly type: 'ready'; readonly mac: string; readonly boot: string }
  | { readonly type: 'failed'; readonly mac: string; readonly stage: string; readonly reason: string }
  | { readonly type: 'bytes'; readonly tftp: number; readonly http: number; readonly hashed: number }
  | { readonly type: 'digest'; readonly what: string; readonly sha256: string }

/** A step of a node that did not work out; the node tries again, as its firmware would. */
export class StageFailure extends Error {
  readonly stage: string

  constructor(stage: string, reason: string) {
    super(reason)
    this.name = 'StageFailure'
    this.stage = stage
  }
}

/** A stream of numbers in [0, 1) that a seed repeats (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
