import { posix } from 'node:path'
import { BootloomError } from '../config/errors.ts'
import { nearest } from '../config/nearest.ts'
import type { StackFiles } from './stack-files.ts'
import { type Assignment, parseUnitFile, unitInvalid } from './unit-file.ts'
import type { UnitName } from './unit-words.ts'

/** Where systemd looks for units, the first winning (systemd.unit(5), "Unit File Load Path"). */
const unitDirectories = ['/etc/systemd/system', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system']
const maximumDropIns = 256

/** A unit as the stack has it: its file and drop-ins read into one list, drop-ins last. */
export interface FoundUnit {
  readonly name: UnitName
  readonly path: string
  readonly assignments: readonly Assignment[]
}

/** Reads a unit by its name, `.service` or not. SERVICE_UNKNOWN with what there is; UNIT_INVALID. */
export async function findUnit(given: string, files: StackFiles): Promise<FoundUnit> {
  const full = /\.[a-z]+$/.test(given) && !given.endsWith('.service') ? refuseKind(given) : withSuffix(given)
  const { prefix, instance } = split(full)
  const template = instance === '' ? undefined : `${prefix}@.service`
  const path = pathOf(full, files) ?? (template && pathOf(template, files))
  if (path === undefined) throw unknown(full, files)
  const real = files.real(path)
  const text = await files.read(real)
  if (real === '/dev/null' || text === '') throw unitInvalid(path, `${full} is masked`)
  if (text === undefined) throw unitInvalid(path, `${full} is no file of at most 1 MiB`)
  // Another name for a unit is a link to it: its own name is the one that counts.
  const own = instance === '' ? posix.basename(real) : full
  const assignments = parseUnitFile(text, real)
  for (const dropIn of dropInsOf([...new Set([own, full, ...(template ? [template] : [])])], files)) {
    assignments.push(...parseUnitFile((await files.read(dropIn)) ?? '', dropIn))
  }
  return { name: { full: own, ...split(own) }, path: real, assignments }
}

/** The units of a stack that are no templates, each once, under its own name; those of `packages` alone if given. */
export function unitsIn(files: StackFiles, packages?: readonly string[]): string[] {
  const found = new Set<string>()
  for (const directory of unitDirectories) {
    for (const name of files.namesIn(directory)) {
      const path = files.real(`${directory}/${name}`)
      if (!name.endsWith('.service') || name.endsWith('@.service') || !path.endsWith('.service')) continue
      if (packages === undefined || packages.includes(files.ownerOf(path) ?? '')) found.add(posix.basename(path))
    }
  }
  return [...found].sort()
}

/** Instances are named by whoever starts them, so all that can be told is the template: `postgresql@`. */
export function templatesIn(files: StackFiles): string[] {
  const names = unitDirectories.flatMap((directory) => files.namesIn(directory))
  return [...new Set(names.filter((name) => name.endsWith('@.service')).map((name) => name.slice(0, -8)))].sort()
}

export const hasUnit = (name: string, files: StackFiles): boolean => pathOf(withSuffix(name), files) !== undefined

const withSuffix = (name: string): string => (name.endsWith('.service') ? name : `${name}.service`)

function pathOf(name: string, files: StackFiles): string | undefined {
  const paths = unitDirectories.map((directory) => `${directory}/${name}`)
  return paths.find((path) => files.has(path) || files.real(path) === '/dev/null')
}

function split(full: string): { prefix: string; instance: string } {
  const stem = full.slice(0, -'.service'.length)
  const at = stem.indexOf('@')
  return at < 0 ? { prefix: stem, instance: '' } : { prefix: stem.slice(0, at), instance: stem.slice(at + 1) }
}

/** NAME.d of every name that it goes by; of files with the same name the first directory's counts; sorted by name. */
function dropInsOf(names: readonly string[], files: StackFiles): string[] {
  const found = new Map<string, string>()
  for (const directory of unitDirectories) {
    for (const dropIns of [...names.map((name) => `${directory}/${name}.d`), `${directory}/service.d`]) {
      for (const name of files.namesIn(dropIns)) {
        if (name.endsWith('.conf') && !found.has(name)) found.set(name, `${dropIns}/${name}`)
      }
    }
  }
  if (found.size > maximumDropIns) throw unitInvalid(names[0]!, 'the unit has more than 256 drop-ins')
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)
}

function refuseKind(given: string): never {
  throw unitInvalid(given, `only units that end in .service start something: ${given} is of another kind`)
}

function unknown(full: string, files: StackFiles): BootloomError {
  const known = [...unitsIn(files), ...templatesIn(files).map((name) => `${name}INSTANCE`)]
  const close = nearest(full, known)
  return new BootloomError('SERVICE_UNKNOWN', `no package of the stack has the unit ${full}`, {
    where: full,
    details: known.slice(0, 40),
    ...(close === undefined ? {} : { hint: `Did you mean ${close}?` }),
  })
}
