import { setTimeout as sleep } from 'node:timers/promises'
import type { OnProgress } from '../../config/progress.ts'
import { type ChangePart, getChange, isOpen, type PartName } from '../../state/changes.ts'
import type { Redis } from '../../state/redis.ts'

/** Between two looks, in milliseconds. */
const look = 100

/** Waits until shares have ended, or wait for a window; tells each step as it is done. */
export async function followChange(
  redis: Redis,
  shares: readonly PartName[],
  progress: OnProgress,
  signal: AbortSignal,
): Promise<readonly (ChangePart & { readonly change: string })[]> {
  const told = new Map<string, string>()
  for (;;) {
    const ids = [...new Set(shares.map(({ change }) => change))]
    const changes = await Promise.all(ids.map((id) => getChange(redis, id)))
    const own = shares.flatMap(({ change, blueprint }) =>
      (changes.find(({ id }) => id === change)?.parts ?? []).flatMap((part) =>
        part.blueprint === blueprint ? { ...part, change } : [],
      ),
    )
    for (const { blueprint, state, why } of own) {
      if (told.get(blueprint) === state) continue
      told.set(blueprint, state)
      progress({ step: state, detail: why ? `${blueprint}: ${why}` : blueprint })
    }
    if (own.every((part) => !isOpen(part) || part.state === 'waiting')) return own
    await sleep(look, undefined, { signal })
  }
}
