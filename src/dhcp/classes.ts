import { BootloomError } from '../config/errors.ts'
import type { Settings } from '../config/settings.ts'
import type { Client } from './firmware.ts'
import { readNamedOptions } from './named-options.ts'
import type { Options } from './options.ts'

/** Clients that have something in common, and what they are told. */
export interface ClientClass {
  readonly name: string
  readonly lease: number | undefined
  readonly options: Options
  matches(client: Client): boolean
}

/** The classes of the settings, and the options of all clients. Throws DHCP_SETTINGS_INVALID. */
export function readClasses(settings: Pick<Settings['dhcp'], 'classes' | 'options'>): {
  readonly classes: readonly ClientClass[]
  readonly options: Options
} {
  const findings: string[] = []
  const report = (finding: string) => findings.push(finding)
  const options = readNamedOptions(settings.options, 'dhcp.options', report)
  const classes = settings.classes.map((each, at) => ({
    name: each.name,
    lease: each.lease,
    options: readNamedOptions(each.options, `dhcp.classes.${at}.options`, report),
    matches: matcher(each.match),
  }))
  if (findings.length === 0) return { classes, options }
  throw new BootloomError('DHCP_SETTINGS_INVALID', 'the DHCP options do not fit', { details: findings })
}

function matcher(match: Settings['dhcp']['classes'][number]['match']): (client: Client) => boolean {
  const vendor = pattern(match.vendorClass)
  const user = pattern(match.userClass)
  const mac = pattern(match.mac?.toLowerCase())
  return (client) =>
    (match.speaker === undefined || match.speaker === client.speaker) &&
    (match.arch === undefined || (client.architecture !== undefined && match.arch.includes(client.architecture))) &&
    vendor(client.vendorClass) &&
    user(client.userClass) &&
    mac(client.mac)
}

/** `*` stands for any characters; everything else for itself. */
function pattern(glob: string | undefined): (text: string | undefined) => boolean {
  if (glob === undefined) return () => true
  const parts = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  const expression = new RegExp(`^${parts.join('.*')}$`, 's')
  return (text) => text !== undefined && expression.test(text)
}
