import type { CableFaults } from './cable.ts'

/** What befalls the server while nodes are in the middle of their transfers. */
export type Blow = 'kill-boot' | 'kill-redis' | 'clock-back'

export interface Condition {
  readonly name: string
  readonly cable: CableFaults
  readonly mtu?: number
  readonly blow?: Blow
  /** Also with a real machine in QEMU behind the same cable. */
  readonly machine?: true
  /** Part of the short form that `npm test` runs. */
  readonly short?: true
}

/** So slow that a blow meets nodes in mid-transfer. */
const slow: CableFaults = { rate: 16_000_000 }

export const conditions: readonly Condition[] = [
  { name: 'nothing wrong', cable: {} },
  { name: 'loss 1 %', cable: { loss: 1 } },
  { name: 'loss 5 %', cable: { loss: 5 }, machine: true },
  { name: 'loss 10 %', cable: { loss: 10 } },
  { name: 'loss 20 %', cable: { loss: 20 } },
  { name: 'duplication 20 %', cable: { duplicate: 20 } },
  { name: 'reordering 25 % at 10 ms', cable: { delay: 10, reorder: 25 } },
  { name: 'delay 200 ms', cable: { delay: 200 } },
  { name: 'jitter 0 to 50 ms', cable: { jitter: 50 } },
  { name: 'MTU 600', cable: {}, mtu: 600 },
  { name: 'link down 2 of every 5 s', cable: { ...slow, up: 3000, down: 2000 } },
  { name: 'all of it a little', cable: { loss: 3, duplicate: 3, reorder: 5, delay: 5, jitter: 10 } },
  { name: 'server killed and restarted', cable: slow, blow: 'kill-boot', machine: true, short: true },
  { name: 'Redis killed', cable: slow, blow: 'kill-redis', machine: true },
  { name: 'clock set back an hour', cable: slow, blow: 'clock-back' },
]
