import { BootloomError } from '../config/errors.ts'

/** One assignment of a unit file, as it stands there: nothing is unquoted or filled in yet. */
export interface Assignment {
  readonly section: string
  readonly key: string
  readonly value: string
  /** For errors: the file and its line. */
  readonly where: string
}

/** systemd's own limits (LONG_LINE_MAX), and more assignments than any unit has. */
const maximumLine = 1024 * 1024
const maximumAssignments = 4096

/**
 * Reads the syntax of a unit file or drop-in (systemd.syntax(7)): sections, comments, lines that end in a backslash.
 * Throws UNIT_INVALID.
 */
export function parseUnitFile(text: string, file: string): Assignment[] {
  const assignments: Assignment[] = []
  let section = ''
  for (const { line, number } of logicalLines(text, file)) {
    const where = `${file}:${number}`
    if (line.startsWith('[')) {
      const named = /^\[([^[\]]+)\]$/.exec(line)?.[1]
      if (named === undefined) throw unitInvalid(where, `${JSON.stringify(line.slice(0, 60))} is no section`)
      section = named
      continue
    }
    const equals = line.indexOf('=')
    // systemd too passes over what is no assignment, with a warning.
    if (equals <= 0 || section === '') continue
    const [key, value] = [line.slice(0, equals).trim(), line.slice(equals + 1).trim()]
    assignments.push({ section, key, value, where })
    if (assignments.length > maximumAssignments) throw unitInvalid(where, 'the unit has more than 4096 assignments')
  }
  return assignments
}

export const unitInvalid = (where: string, message: string): BootloomError =>
  new BootloomError('UNIT_INVALID', message.slice(0, 400), { where })

/** Lines without comments, those that a backslash continues put together with a space; comments between are skipped. */
function* logicalLines(text: string, file: string): Generator<{ line: string; number: number }> {
  if (text.includes('\0')) throw unitInvalid(file, 'the file holds a NUL character')
  let held = ''
  let start = 0
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (/^\s*[#;]/.test(raw) || (held === '' && raw.trim() === '')) continue
    if (held === '') start = index + 1
    if (held.length + raw.length > maximumLine) throw unitInvalid(`${file}:${start}`, 'the line is longer than 1 MiB')
    if (endsInBackslash(raw)) {
      held += `${raw.slice(0, -1)} `
      continue
    }
    yield { line: (held + raw).trim(), number: start }
    held = ''
  }
  if (held.trim() !== '') yield { line: held.trim(), number: start }
}

/** An odd number of backslashes: a pair stands for one. */
const endsInBackslash = (line: string): boolean => (/\\+$/.exec(line)?.[0].length ?? 0) % 2 === 1

/** All values of a key, after an empty one took those before it back. */
export function valuesOf(assignments: readonly Assignment[], key: string): Assignment[] {
  const values: Assignment[] = []
  for (const assignment of assignments) {
    if (assignment.key !== key) continue
    if (assignment.value === '') values.length = 0
    else values.push(assignment)
  }
  return values
}
