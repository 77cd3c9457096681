import type { MaintenanceWindow } from '../../blueprint/policy-schema.ts'

const minute = 60_000
/** Every window opens within a week; a clock that is set ahead may skip an hour of it. */
const horizon = 8 * 24 * 60

const names = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const

/** Minutes since midnight. */
const minutesOf = (clock: string): number => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3))

/** Tells whether a window is open at a time (milliseconds since 1970), by the clocks of its zone. */
function opening({ days, from, to, zone }: MaintenanceWindow): (at: number) => boolean {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  const [start, end] = [minutesOf(from), minutesOf(to)]
  const opensOn = (day: number) => days.includes(names[(day + 7) % 7]!)
  return (at) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
    const day = names.indexOf(parts.weekday!.toLowerCase() as (typeof names)[number])
    const now = Number(parts.hour) * 60 + Number(parts.minute)
    if (start < end) return opensOn(day) && now >= start && now < end
    // Past midnight it is still the window of the day before.
    return (opensOn(day) && now >= start) || (opensOn(day - 1) && now < end)
  }
}

/**
 * When channels may move by themselves: `now` where they may, else when the next window opens (milliseconds since 1970).
 * Without windows they always may.
 */
export function nextOpening(windows: readonly MaintenanceWindow[], now: number): number {
  const open = windows.map(opening)
  if (open.length === 0 || open.some((isOpen) => isOpen(now))) return now
  const first = Math.floor(now / minute) * minute
  for (let step = 1; step <= horizon; step++) {
    const at = first + step * minute
    if (open.some((isOpen) => isOpen(at))) return at
  }
  return first + horizon * minute
}
