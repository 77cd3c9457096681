import type { Account, Accounts } from './account.ts'
import type { MadeDirectory } from './service.ts'
import type { StackFiles } from './stack-files.ts'
import { type Assignment, unitInvalid, valuesOf } from './unit-file.ts'
import { type UnitName, withSpecifiers, wordsOf } from './unit-words.ts'

/** Kinds of directories that a unit asks for (systemd.exec(5)), where each stands, and the variable that names them. */
const kinds = [
  { key: 'RuntimeDirectory', base: '/run', variable: 'RUNTIME_DIRECTORY' },
  { key: 'StateDirectory', base: '/var/lib', variable: 'STATE_DIRECTORY' },
  { key: 'CacheDirectory', base: '/var/cache', variable: 'CACHE_DIRECTORY' },
  { key: 'LogsDirectory', base: '/var/log', variable: 'LOGS_DIRECTORY' },
  { key: 'ConfigurationDirectory', base: '/etc', variable: 'CONFIGURATION_DIRECTORY' },
] as const

export const directoryKeys: readonly string[] = kinds.flatMap(({ key }) => [key, `${key}Mode`])

/** The directories that a unit asks for, and the variables that tell the service of them. */
export function unitDirectories(
  settings: readonly Assignment[],
  name: UnitName,
  account: Account,
): { readonly made: MadeDirectory[]; readonly variables: Record<string, string> } {
  const made: MadeDirectory[] = []
  const variables: Record<string, string> = {}
  for (const { key, base, variable } of kinds) {
    const mode = valuesOf(settings, `${key}Mode`).at(-1)
    const names = valuesOf(settings, key).flatMap(({ value, where }) =>
      // What stands behind a colon is a second name for it.
      wordsOf(value, where).map((word) => relative(withSpecifiers(word, name, where).split(':')[0]!, where)),
    )
    const { uid, gid } = key === 'ConfigurationDirectory' ? { uid: 0, gid: 0 } : account
    for (const directory of names) {
      made.push({ path: `${base}/${directory}`, uid, gid, mode: mode ? octal(mode.value, mode.where) : '0755' })
    }
    if (names.length > 0) variables[variable] = names.map((directory) => `${base}/${directory}`).join(':')
  }
  return { made, variables }
}

export function octal(text: string, where: string): string {
  if (/^[0-7]{3,5}$/.test(text)) return text.slice(-4).padStart(4, '0')
  throw unitInvalid(where, `${JSON.stringify(text.slice(0, 40))} is no octal mode`)
}

function relative(name: string, where: string): string {
  const parts = name.split('/').filter(Boolean)
  if (name.startsWith('/') || parts.length === 0 || parts.some((part) => part === '.' || part === '..')) {
    throw unitInvalid(where, `${JSON.stringify(name.slice(0, 80))} must be a name without . or .., not a path`)
  }
  return parts.join('/')
}

/**
 * The directories below /run that the package which ships a unit wants made at boot (tmpfiles.d(5), lines of type d):
 * /run is empty on every boot. Lines that do not parse, or name an account that is not there, are passed over.
 */
export async function bootDirectories(owner: string, files: StackFiles, accounts: Accounts): Promise<MadeDirectory[]> {
  const made: MadeDirectory[] = []
  for (const file of files.namesIn('/usr/lib/tmpfiles.d')) {
    const path = `/usr/lib/tmpfiles.d/${file}`
    if (!file.endsWith('.conf') || files.ownerOf(path) !== owner) continue
    for (const line of ((await files.read(path)) ?? '').split('\n').slice(0, 1000)) {
      const [type = '', named = '', mode = '-', user = '-', group = '-'] = line.trim().split(/\s+/)
      const directory = named.replace(/^\/var\/run\//, '/run/').replace(/\/+$/, '')
      if (!/^[dDvqQ][!+-]*$/.test(type) || !/^\/run\/[^%]+$/.test(directory) || /\/\.\.?(\/|$)/.test(directory))
        continue
      const bits = mode.replace(/^[~:]+/, '')
      try {
        const { uid, gid } = accounts.account(user === '-' ? 'root' : user, group === '-' ? undefined : group)
        made.push({ path: directory, uid, gid, mode: bits === '-' ? '0755' : octal(bits, path) })
      } catch {}
    }
  }
  return made
}
