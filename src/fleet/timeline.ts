import type { Boot, Stage } from '../state/boots.ts'

/** One line of a boot's timeline. Times are milliseconds. */
export interface TimelineEntry extends Stage {
  /** Since the boot began. */
  readonly since: number
  /** Since the entry before; of a transfer, its own duration. */
  readonly took: number
}

/** A boot from first DISCOVER to ready, with what each stage took and a few words on it. */
export function timeline(boot: Boot): TimelineEntry[] {
  return boot.stages.map((stage, i) => {
    const before = boot.stages[i - 1]?.at ?? boot.openedAt
    const detail = detailOf(stage)
    return {
      ...stage,
      since: stage.at - boot.openedAt,
      took: stage.took ?? stage.at - before,
      ...(detail === '' ? {} : { detail }),
    }
  })
}

function detailOf({ by, address, file, action, detail, uptime, times }: Stage): string {
  const said = [by, address, file, action, detail, uptime === undefined ? undefined : `up ${uptime} s`]
  return [...said, times === undefined ? undefined : `${times} times`].filter((part) => part !== undefined).join(', ')
}
