import { posix } from 'node:path'
import type { Account, Accounts } from './account.ts'
import { type Command, type MadeDirectory, type Service, type Step, searchPath } from './service.ts'
import type { StackFiles } from './stack-files.ts'
import { bootDirectories, directoryKeys, octal, unitDirectories } from './unit-directories.ts'
import { type Assignment, unitInvalid, valuesOf } from './unit-file.ts'
import type { FoundUnit } from './unit-find.ts'
import { parseEnvironmentFile, type UnitName, withSpecifiers, withVariables, wordsOf } from './unit-words.ts'

/** What Bootloom acts on; every other setting of [Service] is told as ignored. */
const honoured = new Set([
  ...['Type', 'PIDFile', 'ExecStartPre', 'ExecStart', 'ExecReload', 'ExecStop', 'KillSignal', 'ReloadSignal'],
  ...['User', 'Group', 'DynamicUser', 'PermissionsStartOnly', 'WorkingDirectory', 'UMask', 'LimitNOFILE'],
  ...['Environment', 'EnvironmentFile', 'UnsetEnvironment', 'RemainAfterExit', ...directoryKeys],
])

const types: Readonly<Record<string, Service['type']>> = {
  ...{ simple: 'simple', exec: 'simple', notify: 'simple', 'notify-reload': 'simple', idle: 'simple', dbus: 'simple' },
  ...{ forking: 'forking', oneshot: 'oneshot' },
}

/** A service as its systemd unit describes it (systemd.service(5), systemd.exec(5)). UNIT_INVALID, ACCOUNT_UNKNOWN. */
export async function serviceOfUnit(
  { name, path, assignments }: FoundUnit,
  files: StackFiles,
  accounts: Accounts,
): Promise<Omit<Service, 'name' | 'after' | 'probe'>> {
  const settings = assignments.filter(({ section }) => section === 'Service')
  const last = (key: string) => valuesOf(settings, key).at(-1)
  const text = (key: string) => {
    const found = last(key)
    return found && withSpecifiers(found.value, name, found.where)
  }
  const isTrue = (key: string) => /^(1|yes|y|true|t|on)$/i.test(last(key)?.value ?? '')

  const type = types[last('Type')?.value ?? (last('ExecStart') ? 'simple' : 'oneshot')]
  if (type === undefined) throw unitInvalid(last('Type')!.where, `Type=${last('Type')!.value} is not known`)
  // An account of the moment has no name on a node; the one without rights of its own comes nearest.
  const user = text('User') ?? (isTrue('DynamicUser') ? 'nobody' : 'root')
  const account = accounts.account(user, text('Group'))
  const asked = unitDirectories(settings, name, account)
  const environment = await environmentOf(settings, name, files, {
    PATH: searchPath,
    ...(last('User') ? { HOME: account.home, LOGNAME: account.name, USER: account.name, SHELL: '/bin/sh' } : {}),
    ...asked.variables,
  })
  const startAsRoot = isTrue('PermissionsStartOnly')
  const commands = (key: string, asRoot = startAsRoot) =>
    valuesOf(settings, key).flatMap((assignment) => commandsIn(assignment, name, environment, asRoot))
  const starts = commands('ExecStart', false)
  const start = starts.at(-1)
  if (start === undefined) throw unitInvalid(path, `${name.full} has no ExecStart`)
  if (starts.length > 1 && type !== 'oneshot') throw unitInvalid(path, 'only Type=oneshot may have several ExecStart')
  const pidFile = type === 'forking' ? text('PIDFile') : undefined
  const reload = commands('ExecReload').map(asSignal)
  const stops = commands('ExecStop').map(asSignal)
  return {
    unit: path,
    account,
    environment,
    type,
    start,
    pre: [...commands('ExecStartPre'), ...starts.slice(0, -1)],
    directories: distinct([
      ...parentOf(last('PIDFile') && text('PIDFile'), account, files),
      ...(await bootDirectories(files.ownerOf(path) ?? '', files, accounts)),
      ...asked.made,
    ]),
    directory: workingDirectory(text('WorkingDirectory'), account),
    umask: last('UMask') && octal(last('UMask')!.value, last('UMask')!.where),
    openFiles: openFiles(last('LimitNOFILE')?.value),
    pidFile: pidFile && (pidFile.startsWith('/') ? pidFile : `/run/${pidFile}`).replace(/^\/var\/run\//, '/run/'),
    reload:
      reload.length === 0 && last('Type')?.value === 'notify-reload'
        ? [{ signal: signalName(last('ReloadSignal'), 'HUP') }]
        : reload,
    stop: [...stops, { signal: signalName(last('KillSignal'), 'TERM') }],
    ignored: [...new Set(settings.map(({ key }) => key).filter((key) => !honoured.has(key)))].sort(),
  }
}

async function environmentOf(
  settings: readonly Assignment[],
  name: UnitName,
  files: StackFiles,
  given: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const environment: Record<string, string> = { ...given }
  for (const { value, where } of valuesOf(settings, 'Environment')) {
    for (const word of wordsOf(value, where)) {
      const [, key, text] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(withSpecifiers(word, name, where)) ?? []
      if (key !== undefined) environment[key] = text!
    }
  }
  for (const { value, where } of valuesOf(settings, 'EnvironmentFile')) {
    const path = withSpecifiers(value, name, where).replace(/^(["'])(.*)\1$/, '$2')
    const text = await files.read(path.replace(/^-/, ''))
    if (text !== undefined) Object.assign(environment, parseEnvironmentFile(text))
    else if (!path.startsWith('-')) throw unitInvalid(where, `EnvironmentFile=${path} is not in the stack`)
  }
  for (const { value, where } of valuesOf(settings, 'UnsetEnvironment')) {
    for (const word of wordsOf(value, where)) delete environment[word]
  }
  return environment
}

/** Programs that speak to the running systemd. */
const toSystemd = /^((\/usr)?\/bin\/)?(systemctl|systemd-(notify|run|tmpfiles|sysusers))$/

/** The commands of one line; what speaks to systemd itself is left out, for it is not there. */
function commandsIn(
  { value, where }: Assignment,
  name: UnitName,
  environment: Readonly<Record<string, string>>,
  asRoot: boolean,
): Command[] {
  const lines: string[][] = [[]]
  for (const word of wordsOf(value, where)) {
    if (word === ';') lines.push([])
    else lines.at(-1)!.push(word === '\\;' ? ';' : word)
  }
  return lines.flatMap((words) => {
    const [, prefixes, program] = /^([-@:+!|]*)(.*)$/s.exec(words[0] ?? '') ?? []
    if (!program) {
      if (words.length === 0) return []
      throw unitInvalid(where, `no program is named: ${value.slice(0, 80)}`)
    }
    // `@`: the second word is the name that the program sees of itself; it is started by its own.
    const rest = prefixes!.includes('@') ? words.slice(2) : words.slice(1)
    const plain = [program, ...rest].map((word) => withSpecifiers(word, name, where))
    if (toSystemd.test(plain[0]!)) return []
    return {
      words: prefixes!.includes(':') ? plain : withVariables(plain, environment),
      mayFail: prefixes!.includes('-'),
      asRoot: asRoot || /[+!]/.test(prefixes!),
    }
  })
}

/** `kill -HUP $MAINPID` needs no program of the stack. */
function asSignal(command: Command): Step {
  const [program, ...rest] = command.words
  if (posix.basename(program!) !== 'kill' || rest.at(-1) !== '$MAINPID' || rest.length > 3) return command
  const signal =
    rest.length === 1
      ? 'TERM'
      : rest
          .slice(0, -1)
          .join(' ')
          .replace(/^-(s )?/, '')
  const known = signals[signal.replace(/^SIG/, '')]
  return known === undefined ? command : { signal: known }
}

const names = ['HUP', 'INT', 'QUIT', 'KILL', 'USR1', 'USR2', 'TERM', 'CONT', 'WINCH', 'ABRT'] as const
const signals: Readonly<Record<string, string>> = {
  ...Object.fromEntries(names.map((name) => [name, name])),
  ...{ 1: 'HUP', 2: 'INT', 3: 'QUIT', 6: 'ABRT', 9: 'KILL', 10: 'USR1', 12: 'USR2', 15: 'TERM', 28: 'WINCH' },
}

function signalName(setting: Assignment | undefined, fallback: string): string {
  if (setting === undefined) return fallback
  const known = signals[setting.value.replace(/^SIG/, '')]
  if (known === undefined)
    throw unitInvalid(setting.where, `${setting.key}=${setting.value} is no signal that is known`)
  return known
}

function workingDirectory(text: string | undefined, account: Account): string {
  const path = text?.replace(/^-/, '') ?? '/'
  return path === '~' ? account.home : path.startsWith('/') ? path : '/'
}

/** A soft limit, or the first of `SOFT:HARD`; `infinity` is what the kernel allows at most by default. */
function openFiles(value: string | undefined): number | undefined {
  const soft = value?.split(':')[0]
  if (soft === undefined || !/^(\d{1,9}|infinity)$/.test(soft)) return undefined
  return soft === 'infinity' ? 1_048_576 : Math.min(Number(soft), 1_048_576)
}

/** The directory of the PID file, where it is one below /run that nothing else makes. */
function parentOf(pidFile: string | undefined, { uid, gid }: Account, files: StackFiles): MadeDirectory[] {
  const parent = posix.dirname((pidFile ?? '').replace(/^\/var\/run\//, '/run/'))
  return /^\/run\/.+/.test(parent) && !files.has(parent) ? [{ path: parent, uid, gid, mode: '0755' }] : []
}

/** The last line about a path counts. */
const distinct = (made: readonly MadeDirectory[]): MadeDirectory[] => [
  ...new Map(made.map((directory) => [directory.path, directory])).values(),
]
