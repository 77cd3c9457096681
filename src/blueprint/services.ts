import { BootloomError } from '../config/errors.ts'
import type { Component } from '../repository/component.ts'
import type { Store } from '../store/store.ts'
import { Accounts } from './account.ts'
import { addedFiles } from './added-files.ts'
import type { Blueprint } from './schema.ts'
import { type Service, searchPath } from './service.ts'
import type { Start } from './service-schema.ts'
import { StackFiles } from './stack-files.ts'
import { unitInvalid, valuesOf } from './unit-file.ts'
import { findUnit, hasUnit, templatesIn, unitsIn } from './unit-find.ts'
import { serviceOfUnit } from './unit-service.ts'

/**
 * What a blueprint runs, resolved against its stack, in the order in which it is started: the unit that `service` names,
 * the `services` listed, the command of `start`, or the one unit that its packages bring. The blueprint's `writable`
 * directories are made with the first. `components` are those of the stack, in its order. Throws SERVICE_UNKNOWN,
 * SERVICE_AMBIGUOUS, UNIT_INVALID, ACCOUNT_UNKNOWN.
 */
export async function servicesOf(
  blueprint: Blueprint,
  components: readonly Component[],
  store: Store,
): Promise<readonly Service[]> {
  const added = await addedFiles(blueprint, store)
  const files = new StackFiles(added ? [...components, added.component] : components, store)
  const accounts = new Accounts((await files.read('/etc/passwd')) ?? '', (await files.read('/etc/group')) ?? '')
  const resolved = await Promise.all(
    (await entriesOf(blueprint, files)).map(async ({ name, unit, start, after = [], probe }): Promise<Service> => {
      const body = start ? serviceOfStart(start, accounts) : await fromUnit(unit ?? name, files, accounts)
      return { name, after, probe, ...body }
    }),
  )
  if (resolved.every(({ type }) => type === 'oneshot')) throw nothingStays(resolved[0]!, files)
  const [first, ...rest] = inOrder(resolved)
  const made = blueprint.writable.map(({ path, owner, mode }) => {
    const { uid, gid } = accounts.account(owner)
    return { path, uid, gid, mode: mode.padStart(4, '0') }
  })
  return [{ ...first!, directories: [...first!.directories, ...made] }, ...rest]
}

interface Entry {
  readonly name: string
  readonly unit?: string | undefined
  readonly start?: Start | undefined
  readonly after?: readonly string[]
  readonly probe?: Service['probe']
}

async function entriesOf(blueprint: Blueprint, files: StackFiles): Promise<readonly Entry[]> {
  const { name, start, service, services } = blueprint
  if (services) return services
  return [start ? { name, start } : { name, unit: service ?? (await onlyUnit(blueprint, files)) }]
}

const fromUnit = async (unit: string, files: StackFiles, accounts: Accounts) =>
  serviceOfUnit(await findUnit(unit, files), files, accounts)

function serviceOfStart(start: Start, accounts: Accounts): Omit<Service, 'name' | 'after' | 'probe'> {
  return {
    unit: undefined,
    directories: [],
    account: accounts.account(start.user),
    directory: start.directory,
    environment: { PATH: searchPath, ...start.environment },
    umask: undefined,
    openFiles: undefined,
    pre: [],
    start: { words: start.command, mayFail: false, asRoot: false },
    type: start.type,
    pidFile: start.pidFile,
    reload: [{ signal: start.reload }],
    stop: [{ signal: start.stop }],
    ignored: [],
  }
}

/** The unit that bears a named package's name, or the only one that the named packages ship and whose program stays. */
async function onlyUnit({ stack, name }: Blueprint, files: StackFiles): Promise<string> {
  const packages = stack.flatMap((source) => ('deb' in source ? source.deb.packages : []))
  const names = packages.map((text) => text.split('=')[0]!)
  const own = names.filter((candidate) => hasUnit(candidate, files)).map((candidate) => `${candidate}.service`)
  const candidates = own.length > 0 ? own : await staying(unitsIn(files, names), files)
  if (candidates.length === 1) return candidates[0]!
  if (candidates.length === 0) {
    throw new BootloomError('SERVICE_UNKNOWN', `${names.join(', ') || name} brings no systemd unit that starts it`, {
      where: name,
      details: unitsIn(files).slice(0, 40),
    })
  }
  throw new BootloomError('SERVICE_AMBIGUOUS', `several units may be meant: ${candidates.join(', ')}`.slice(0, 400), {
    where: name,
    details: candidates.slice(0, 40),
  })
}

/** Without those of Type=oneshot, where others are there. */
async function staying(units: readonly string[], files: StackFiles): Promise<readonly string[]> {
  const found = await Promise.all(units.map((unit) => findUnit(unit, files)))
  const left = units.filter((_, index) => valuesOf(found[index]!.assignments, 'Type').at(-1)?.value !== 'oneshot')
  return left.length > 0 ? left : units
}

/** postgresql.service, for one, only stands for the instances of postgresql@.service. */
function nothingStays({ unit = '', name }: Service, files: StackFiles): BootloomError {
  const templates = templatesIn(files).map((template) => `${template}INSTANCE`)
  const told = unitInvalid(
    unit || name,
    'its command runs to an end (Type=oneshot), so there is nothing to keep running',
  )
  return new BootloomError('UNIT_INVALID', told.message, {
    where: told.where ?? name,
    details: templates.slice(0, 40),
    ...(templates.length > 0 ? { hint: 'Name a unit whose program stays, such as an instance of those below.' } : {}),
  })
}

/** Each after those that it names; else as the blueprint has them. The format has refused circles. */
function inOrder(services: readonly Service[]): Service[] {
  const placed: Service[] = []
  const place = (service: Service) => {
    if (placed.includes(service)) return
    for (const name of service.after) place(services.find((other) => other.name === name)!)
    placed.push(service)
  }
  for (const service of services) place(service)
  return placed
}
