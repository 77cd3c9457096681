import { parseGlob } from '../blueprint/glob.ts'
import { layersOf } from '../blueprint/layers.ts'
import { lineWord, wordText } from '../blueprint/line-word.ts'
import type { Blueprint } from '../blueprint/schema.ts'
import type { Component, Entry } from '../repository/component.ts'
import { canonicalJson, type Digest, hexOf, isDigest } from '../store/digest.ts'
import { parentsOf, type SegmentPlan } from './plan.ts'

/**
 * What a stack has and its bundle lacks, as one immutable text: what a running node may miss, or fetch. The program in
 * boot/native reads it too. One line each, words parted by a space; what may not stand in a word is written %XX:
 * ```
 * c MTIME NAME VERSION          the entries that follow are of this component
 * d MODE UID GID PATH           a directory; mode in octal
 * f MODE UID GID SIZE HEX PATH  a file, with the SHA-256 of its content
 * l UID GID TARGET PATH         a symbolic link
 * ```
 */
export function absentText(
  components: readonly Component[],
  plans: readonly SegmentPlan[],
  { drop }: Pick<Blueprint, 'drop'>,
): string {
  const there = new Set<string>()
  for (const { entries } of plans) {
    for (const { path } of entries) {
      there.add(path)
      for (const parent of parentsOf(path)) there.add(parent)
    }
  }
  const dropped = drop.map(parseGlob)
  const { at } = layersOf(components)
  const lines: string[][] = components.map(() => [])
  for (const [path, { entry, layer }] of at) {
    if (there.has(path) || covered.test(path) || dropped.some((glob) => glob.matches(path))) continue
    const shared = entry.type === 'hardlink' ? at.get(entry.target ?? '')?.entry : entry
    const line = shared && lineOf(shared, path)
    if (line !== undefined) lines[layer]!.push(line)
  }
  return components
    .flatMap(({ mtime, name, version }, layer) =>
      lines[layer]!.length === 0
        ? []
        : [`c ${mtime} ${lineWord(name)} ${lineWord(version || '-')}`, ...lines[layer]!.sort()],
    )
    .map((line) => `${line}\n`)
    .join('')
}

export interface Lacking {
  /** As `absentText` tells it. */
  readonly text: string
  /** As `absentNames` tells it. */
  readonly names: Buffer
}

/** The newest answer: an edit of a tree that is kept whole leaves it as it is. */
let newest: { readonly packages: readonly Component[]; readonly key: string; readonly lacking: Lacking } | undefined

export function lackingOf(
  components: readonly Component[],
  plans: readonly SegmentPlan[],
  blueprint: Pick<Blueprint, 'drop'>,
): Lacking {
  const there = new Set(plans.flatMap(({ entries }) => entries.map(({ path }) => path)))
  const trees = components.flatMap(({ kind, entries, ...rest }) => {
    if (kind !== 'tree') return []
    const lacked = entries.filter(({ path }) => !there.has(path))
    return [{ paths: entries.map(({ path }) => path), ...(lacked.length === 0 ? {} : { ...rest, lacked }) }]
  })
  const key = canonicalJson({ there: [...there], trees, drop: blueprint.drop })
  const packages = components.filter(({ kind }) => kind !== 'tree')
  const same = newest?.key === key && newest.packages.length === packages.length
  if (newest && same && packages.every((one, index) => one === newest!.packages[index])) return newest.lacking
  const text = absentText(components, plans, blueprint)
  newest = { packages, key, lacking: { text, names: absentNames(parseAbsent(text).keys()) } }
  return newest.lacking
}

/** Where the node mounts something over what the bundle has. */
const covered = /^\/(dev|proc|sys|\.bootloom)(\/|$)/

function lineOf({ type, mode, uid, gid, size, digest, target }: Entry, path: string): string | undefined {
  const owner = `${mode.toString(8)} ${uid} ${gid}`
  if (type === 'dir') return `d ${owner} ${lineWord(path)}`
  if (type === 'file' && digest !== undefined) return `f ${owner} ${size} ${hexOf(digest)} ${lineWord(path)}`
  if (type === 'symlink' && target) return `l ${uid} ${gid} ${lineWord(target)} ${lineWord(path)}`
  return undefined
}

interface AbsentFile {
  readonly type: 'dir' | 'file' | 'symlink'
  readonly component: string
  /** Files only. */
  readonly digest?: Digest
  readonly size?: number
}

/** By path. */
export type Absent = ReadonlyMap<string, AbsentFile>

const types = { d: 'dir', f: 'file', l: 'symlink' } as const

export function parseAbsent(text: string): Absent {
  const absent = new Map<string, AbsentFile>()
  let component = ''
  for (const line of text.split('\n')) {
    const words = line.split(' ')
    if (words[0] === 'c') component = wordText(words[2] ?? '')
    const type = types[words[0] as keyof typeof types]
    if (type === undefined) continue
    const digest = `sha256:${words[5]}`
    const content = type === 'file' && isDigest(digest) ? { digest, size: Number(words[4]) } : {}
    absent.set(wordText(words.at(-1)!), { type, component, ...content })
  }
  return absent
}

/**
 * What a node that only tells of misses needs to know of them: FNV-1a hashes (32 bits) of the paths, and of the
 * directories that they stand in with a slash behind, ascending, little-endian. A name that merely shares a hash is told
 * too, and dropped by the server; what is asked for in another directory may be left out in the node's kernel.
 */
export function absentNames(paths: Iterable<string>): Buffer {
  const named = [...paths].flatMap((path) => [path, path.slice(0, path.lastIndexOf('/') + 1)])
  const hashes = Uint32Array.from(new Set([...new Set(named)].map(hashOf))).sort()
  const bytes = Buffer.alloc(hashes.length * 4)
  for (const [index, hash] of hashes.entries()) bytes.writeUInt32LE(hash, index * 4)
  return bytes
}

function hashOf(path: string): number {
  let hash = 2166136261
  for (const byte of Buffer.from(path)) hash = Math.imul(hash ^ byte, 16777619)
  return hash >>> 0
}
