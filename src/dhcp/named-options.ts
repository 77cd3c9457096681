import type { NamedOptions } from '../config/dhcp-settings.ts'
import { nearest } from '../config/nearest.ts'
import { encodeValue } from './option-kinds.ts'
import { ownOptions, settableOptions } from './option-table.ts'
import type { Options } from './options.ts'

/**
 * Options of the settings, of a group or of a node as bytes: by name with a typed value, or by number with hexadecimal
 * digits. What does not fit is reported with its path, and left out.
 */
export function readNamedOptions(
  named: NamedOptions,
  path: string,
  report: (finding: string) => void,
): Map<number, Buffer> {
  const options = new Map<number, Buffer>()
  for (const [name, value] of Object.entries(named)) {
    const [code, kind] = /^\d{1,3}$/.test(name)
      ? ([Number(name), 'hex'] as const)
      : Object.hasOwn(settableOptions, name)
        ? settableOptions[name]!
        : []
    if (code === undefined || kind === undefined) {
      const meant = nearest(name, Object.keys(settableOptions))
      report(`${path}.${name}: no such option${meant ? `; did you mean ${meant}?` : ''}; others go by number`)
      continue
    }
    if (ownOptions.has(code) || code > 254) {
      report(`${path}.${name}: option ${code} is the server's own to fill in`)
      continue
    }
    const bytes = encodeValue(kind, value)
    if (Buffer.isBuffer(bytes)) options.set(code, bytes)
    else report(`${path}.${name}: must be ${bytes.expected}`)
  }
  return options
}

/** Later ones over earlier ones. */
export function overlay(...layers: readonly (Options | undefined)[]): Map<number, Buffer> {
  const options = new Map<number, Buffer>()
  for (const layer of layers) for (const [code, value] of layer ?? []) options.set(code, value)
  return options
}
