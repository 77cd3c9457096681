import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../config/errors.ts'
import type { Settings } from '../config/settings.ts'
import { type Flaw, flawsOfOsv, flawsOfTracker, isRecord, mostFlaws } from './security-data.ts'
import { type Fetched, stampOf, textsOf } from './security-source.ts'

/**
 * The flaws known, in a file of the state directory: a first line that says where they come from, then one a line, sorted,
 * as ` SOURCE RELEASE CVE FIXED `. A question reads the file and looks for its word.
 */
const pathOf = (stateDirectory: string): string => join(stateDirectory, 'impact', 'security')

interface Origin {
  /** What each source looked like when it was read. */
  readonly stamps: Readonly<Record<string, string>>
  readonly releases: readonly string[]
}

type Sources = Settings['security']

const namesOf = ({ tracker, osv }: Sources): string[] => [
  ...(tracker === undefined ? [] : [`tracker ${tracker}`]),
  ...(osv === undefined ? [] : [`osv ${osv}`]),
]

/** Whether the flaws must be read again: another file, an hour gone by at a URL, other settings, other releases. */
export async function securityIsStale(
  sources: Sources,
  directory: string,
  releases: readonly string[],
): Promise<boolean> {
  const origin = await originOf(directory)
  const names = namesOf(sources)
  if (names.length === 0) return origin !== undefined && Object.keys(origin.stamps).length > 0
  if (origin === undefined || releases.some((one) => !origin.releases.includes(one))) return true
  if (Object.keys(origin.stamps).sort().join('\n') !== names.toSorted().join('\n')) return true
  for (const name of names) {
    const stamp = await stampOf(name.replace(/^\S+ /, ''), origin.stamps[name])
    if (stamp !== origin.stamps[name]) return true
  }
  return false
}

/** Reads all security data that the settings name. SECURITY_DATA, naming which; what was known before then stays. */
export async function readSecurity(
  sources: Sources,
  directory: string,
  releases: readonly string[],
  signal?: AbortSignal,
): Promise<number> {
  const wanted = new Set(releases)
  const flaws = new Map<string, Flaw>()
  const stamps: Record<string, string> = {}
  const take = (found: readonly Flaw[]) => {
    for (const flaw of found) {
      const key = `${flaw.source} ${flaw.release} ${flaw.cve}`
      if (!flaws.has(key) && flaws.size < mostFlaws) flaws.set(key, flaw)
    }
  }
  const { tracker, osv } = sources
  // The tracker first: where both speak of a flaw, it is the word of those who fix it.
  if (tracker !== undefined) {
    const fetched = await textsOf(tracker, signal)
    stamps[`tracker ${tracker}`] = fetched.stamp
    for (const { text, where } of fetched.texts) {
      const found = flawsOfTracker(parsed(text, where), wanted)
      if (found === undefined) throw malformed(where, 'it is no list of source packages')
      take(found)
    }
  }
  if (osv !== undefined) {
    const fetched = await textsOf(osv, signal)
    stamps[`osv ${osv}`] = fetched.stamp
    for (const record of recordsOf(fetched)) take(flawsOfOsv(record, wanted))
  }
  const lines = [...flaws.values()].map(({ source, release, cve, fixed }) => ` ${source} ${release} ${cve} ${fixed} `)
  const origin: Origin = { stamps, releases }
  const path = pathOf(directory)
  await mkdir(join(directory, 'impact'), { recursive: true })
  const temporary = `${path}.${randomUUID()}`
  await writeFile(temporary, [JSON.stringify(origin), ...lines.sort(), ''].join('\n'))
  await rename(temporary, path)
  return flaws.size
}

/** What is known of a CVE, or of all flaws of a source package: `word` is either name. */
export async function flawsOf(directory: string, word: string): Promise<Flaw[]> {
  const text = await readFile(pathOf(directory), 'utf8').catch(() => '')
  const found: Flaw[] = []
  const needle = ` ${word} `
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) {
    const start = text.lastIndexOf('\n', at) + 1
    const end = text.indexOf('\n', at)
    // The first line, though it cannot hold such a word, is none of them.
    if (start === 0) continue
    const [source, release, cve, fixed] = text.slice(start, end).trim().split(' ')
    found.push({ source: source!, release: release!, cve: cve!, fixed: fixed! })
    at = end
  }
  return found
}

async function originOf(directory: string): Promise<Origin | undefined> {
  const text = await readFile(pathOf(directory), 'utf8').catch(() => undefined)
  try {
    return text === undefined ? undefined : (JSON.parse(text.slice(0, text.indexOf('\n'))) as Origin)
  } catch {
    return undefined
  }
}

/** A record, a list of records, `{"vulns": [...]}`, or a record a line. */
function* recordsOf({ texts }: Fetched): Generator<unknown> {
  for (const { text, where } of texts) {
    const lines = /^\s*\{[^\n]*\}\s*\n\s*\{/.test(text) ? text.split('\n').filter((line) => line.trim() !== '') : [text]
    for (const line of lines) {
      const value = parsed(line, where)
      if (Array.isArray(value)) yield* value
      else if (isRecord(value) && Array.isArray(value.vulns)) yield* value.vulns
      else if (isRecord(value) && 'id' in value) yield value
      else throw malformed(where, 'it is no OSV record')
    }
  }
}

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw malformed(where, `it is no JSON: ${(error as Error).message.slice(0, 200)}`)
  }
}

const malformed = (where: string, why: string): BootloomError =>
  new BootloomError('SECURITY_DATA', `security data cannot be read: ${why}`, { where })
