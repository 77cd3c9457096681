import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { environmentGivens, type Given } from './environment.ts'
import { BootloomError } from './errors.ts'
import { describeIssue } from './issues.ts'
import { type Settings, settingsSchema } from './settings.ts'
import { readSettingsFile, type SettingsFile } from './settings-file.ts'

/** Flags that carry a setting, by the path of the setting. Absent ones are undefined. */
interface SettingFlags {
  /** `--config`: the settings file. */
  readonly config?: string | undefined
  /** `--state` */
  readonly state?: string | undefined
  /** `serve --interface` */
  readonly interface?: string | undefined
}

interface LoadOptions {
  readonly flags?: SettingFlags
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Directory that ./bootloom.yaml and a relative --state count from. */
  readonly cwd?: string
  /** Also insist on what `serve` cannot do without. */
  readonly serving?: boolean
}

export interface LoadedSettings {
  readonly settings: Settings
  /** The settings file that was read, if there is one. */
  readonly file: string | undefined
  /** Where a setting comes from: `default`, `bootloom.yaml:12`, `BOOTLOOM_HTTP_PORT` or `--state`. */
  origin(path: readonly (string | number)[]): string
}

const systemFile = '/etc/bootloom/bootloom.yaml'

/**
 * Settings from the file, the environment and the flags, later over earlier, validated as a whole. Throws
 * SETTINGS_UNREADABLE, or SETTINGS_INVALID with every finding: its path in the settings and where it was said.
 */
export function loadSettings(options: LoadOptions = {}): LoadedSettings {
  const { flags = {}, env = process.env, cwd = process.cwd() } = options
  const path = findFile(flags, env, cwd)
  const file = path === undefined ? undefined : readSettingsFile(path)
  const { givens, findings } = environmentGivens(env)
  const overrides = [...givens, ...flagGivens(flags)]
  const values = merge(file?.values ?? {}, overrides)
  const origin = originOf(file, overrides)

  const parsed = settingsSchema.safeParse(values)
  if (!parsed.success) {
    findings.push(...parsed.error.issues.flatMap((issue) => describeIssue(issue, origin, values)))
  }
  if (options.serving) findings.push(...servingFindings(values, origin))
  if (findings.length > 0 || !parsed.success) {
    throw new BootloomError('SETTINGS_INVALID', `${count(findings.length)} in the settings`, {
      ...(path === undefined ? {} : { where: path }),
      details: findings,
    })
  }
  return { settings: { ...parsed.data, state: stateDirectory(parsed.data, file, overrides, cwd) }, file: path, origin }
}

function findFile(flags: SettingFlags, env: LoadOptions['env'], cwd: string): string | undefined {
  const named = flags.config ?? env?.BOOTLOOM_CONFIG
  if (named) return resolve(cwd, named)
  return [resolve(cwd, 'bootloom.yaml'), systemFile].find((path) => existsSync(path))
}

function flagGivens(flags: SettingFlags): Given[] {
  const given = (path: string[], value: string | undefined, origin: string) =>
    value === undefined ? [] : [{ path, value, origin }]
  return [
    ...given(['state'], flags.state, '--state'),
    ...given(['network', 'interface'], flags.interface, '--interface'),
  ]
}

/** The file's values with each override in its place. A value of the file that should be a mapping stays, to be reported. */
function merge(base: Readonly<Record<string, unknown>>, overrides: readonly Given[]): Record<string, unknown> {
  const merged = structuredClone(base) as Record<string, unknown>
  for (const { path, value } of overrides) {
    let place: unknown = merged
    for (const step of path.slice(0, -1)) {
      if (!isMapping(place)) break
      place[step] ??= {}
      place = place[step]
    }
    if (isMapping(place)) place[path.at(-1)!] = value
  }
  return merged
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

function originOf(file: SettingsFile | undefined, overrides: readonly Given[]): LoadedSettings['origin'] {
  return (path) =>
    overrides.findLast((given) => given.path.every((step, index) => step === path[index]))?.origin ??
    file?.line(path) ??
    'default'
}

function servingFindings(values: Record<string, unknown>, origin: LoadedSettings['origin']): string[] {
  const network = isMapping(values.network) ? values.network : {}
  const dhcp = isMapping(values.dhcp) ? values.dhcp : {}
  const findings: string[] = []
  if (network.interface === undefined) {
    findings.push('network.interface: serve needs the boot interface by name (or --interface); it never chooses one')
  }
  const hasSubnets = Array.isArray(dhcp.subnets) ? dhcp.subnets.length > 0 : dhcp.subnets !== undefined
  const mode = dhcp.mode ?? 'server'
  if ((mode === 'server' || mode === 'auto') && !hasSubnets) {
    const where = origin(['dhcp', 'mode'])
    findings.push(`dhcp.subnets (dhcp.mode ${mode}, ${where}): give at least one subnet, or set dhcp.mode to off`)
  }
  return findings
}

function stateDirectory(
  settings: Settings,
  file: SettingsFile | undefined,
  overrides: readonly Given[],
  cwd: string,
): string {
  const overridden = overrides.some((given) => given.path[0] === 'state')
  return resolve(overridden || !file ? cwd : dirname(file.path), settings.state)
}

const count = (findings: number): string => (findings === 1 ? 'one finding' : `${findings} findings`)
