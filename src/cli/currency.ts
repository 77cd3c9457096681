import colors from 'picocolors'
import type { Currency } from '../fleet/currency.ts'
import type { PendingPatch } from '../state/pending.ts'
import { shortDigest } from '../store/digest.ts'
import { ageText } from './output.ts'

/** Columns of a list of nodes: the bundle assigned, the one running, the age of that one, and how they compare. */
export function currencyText(currency: Currency | undefined): [string, string, string, string] {
  const { bundle, running } = currency ?? {}
  const age = running?.madeAt === undefined ? '' : ageText(Date.now() - running.madeAt)
  return [bundle ? shortDigest(bundle) : '–', running ? shortDigest(running.bundle) : '–', age, stateOf(currency)]
}

function stateOf(currency: Currency | undefined): string {
  if (!currency?.assigned) return ''
  const { running, stale, gaveUp, held } = currency
  const words = [
    gaveUp ? colors.red(stale ? 'fell back' : 'does not come up') : '',
    gaveUp ? '' : !running ? 'not ready yet' : stale ? colors.yellow('stale') : 'current',
    held ? colors.yellow('held') : '',
  ]
  return words.filter((word) => word !== '').join(', ')
}

/** Patches told by name in a list of nodes. */
const mostPatches = 3

/** What a node's blueprint has before it: `libssl3 3.0.22 mends CVE-2031-1 (change 7 held)`. */
export function pendingText(patches: readonly PendingPatch[]): string {
  const words = patches.slice(0, mostPatches).map(({ name, to, fixes, change, state }) => {
    const mends = fixes.length > 0 ? colors.yellow(` mends ${fixes[0]}${fixes.length > 1 ? ' and others' : ''}`) : ''
    return `${name} ${to}${mends} (change ${change} ${state})`
  })
  const more = patches.length - mostPatches
  return [...words, ...(more > 0 ? [`${more} more`] : [])].join('; ')
}
