import { execa } from 'execa'
import { BootloomError } from '../../config/errors.ts'
import type { Batch } from '../../store/batch.ts'
import { type Entry, longestPath } from '../component.ts'
import { parseStanzas } from './control.ts'
import { readTar, type TarMember } from './tar.ts'

export interface DebContents {
  /** Fields of the control file by lower-case name. */
  readonly control: ReadonlyMap<string, string>
  /** Sorted by path, byte order. */
  readonly entries: readonly Entry[]
  /** Newest in the archive, seconds since 1970. */
  readonly mtime: number
}

/** Reads a .deb file; what `wanted` leaves over is checked but not kept. Contents go into the batch. */
export async function readDeb(
  file: string,
  where: string,
  batch: Batch,
  options: { wanted?: (path: string) => boolean; signal?: AbortSignal | undefined } = {},
): Promise<DebContents> {
  let control = ''
  let conffiles = ''
  for await (const member of readTar(tarOf(file, '--ctrl-tarfile', where, options.signal), where)) {
    if (/^(\.\/)?control$/.test(member.name)) control = member.body.toString('utf8')
    if (/^(\.\/)?conffiles$/.test(member.name)) conffiles = member.body.toString('utf8')
  }
  const fields = parseStanzas(control)[0]
  if (!fields?.get('package') || !fields.get('version')) {
    throw new BootloomError('ARCHIVE_UNSAFE', 'the package names neither itself nor its version', { where })
  }
  const marked = new Set(
    conffiles.split('\n').map((line) => canonicalPath(line.trim().replace(/^remove-on-upgrade /, ''))),
  )
  const names = new NameCheck(where)
  const entries = new Map<string, Entry>()
  let mtime = 0
  for await (const member of readTar(tarOf(file, '--fsys-tarfile', where, options.signal), where)) {
    const path = names.check(member)
    mtime = Math.max(mtime, member.mtime)
    if (path === '/' || options.wanted?.(canonicalPath(path)) === false) continue
    const entry = await entryOf(member, path, marked, batch)
    const known = entries.get(entry.path)
    // /bin and /usr/bin are one directory; the same name twice below them is no package that dpkg would install.
    if (known && (known.type !== 'dir' || entry.type !== 'dir')) throw names.unsafe(`${entry.path} stands there twice`)
    if (!known) entries.set(entry.path, entry)
  }
  return { control: fields, mtime, entries: [...entries.values()].sort(byPath) }
}

export const byPath = (a: { path: string }, b: { path: string }): number =>
  Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))

/** The directories that Debian's root has as symlinks (base-files, usr-merge). */
const aliases: readonly (readonly [string, string])[] = [
  ['/bin', '/usr/bin'],
  ['/sbin', '/usr/sbin'],
  ['/lib', '/usr/lib'],
  ['/lib32', '/usr/lib32'],
  ['/lib64', '/usr/lib64'],
  ['/libx32', '/usr/libx32'],
  ['/var/run', '/run'],
  ['/var/lock', '/run/lock'],
]

/** A path as a package ships it → the path in the installed root. */
function canonicalPath(path: string): string {
  for (const [alias, real] of aliases) {
    if (path === alias || path.startsWith(`${alias}/`)) return real + path.slice(alias.length)
  }
  return path
}

/** Refuses names that would lead elsewhere when the archive is unpacked. */
class NameCheck {
  readonly #where: string
  readonly #types = new Map<string, TarMember['type']>()

  constructor(where: string) {
    this.#where = where
  }

  unsafe(message: string): BootloomError {
    return new BootloomError('ARCHIVE_UNSAFE', message, { where: this.#where })
  }

  /** The absolute, normalised path of a member, as the package ships it. */
  check(member: TarMember): string {
    const path = this.#normalise(member.name)
    if (path !== '/' && this.#types.has(path)) throw this.unsafe(`${path} stands there twice`)
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = this.#types.get(path.slice(0, end))
      if (parent !== undefined && parent !== 'dir') throw this.unsafe(`${path} stands below a ${parent}`)
    }
    if (member.type === 'hardlink' && this.#types.get(this.#normalise(member.target!)) !== 'file') {
      throw this.unsafe(`${path} is linked to ${member.target}, which is no file of the archive`)
    }
    if (member.type === 'symlink' && (member.target === '' || Buffer.byteLength(member.target!) > 4095)) {
      throw this.unsafe(`${path} is a link to nowhere`)
    }
    for (const value of [member.uid, member.gid, member.mode, member.mtime]) {
      if (!Number.isSafeInteger(value) || value < 0) throw this.unsafe(`the header of ${path} is damaged`)
    }
    this.#types.set(path, member.type)
    return path
  }

  #normalise(name: string): string {
    const parts = name.split('/').filter((part) => part !== '' && part !== '.')
    if (name.startsWith('/') || parts.includes('..')) throw this.unsafe(`'${name}' leads out of the archive`)
    if (name === '') throw this.unsafe('a name is empty')
    if (Buffer.byteLength(name) > longestPath) {
      throw this.unsafe(`${name.slice(0, 80)}… is a name of more than ${longestPath} bytes`)
    }
    return `/${parts.join('/')}`
  }
}

async function entryOf(member: TarMember, path: string, conffiles: ReadonlySet<string>, batch: Batch): Promise<Entry> {
  const canonical = canonicalPath(path)
  const target = member.type === 'hardlink' ? canonicalPath(`/${member.target!.replace(/^\.?\/+/, '')}`) : member.target
  return {
    path: canonical,
    type: member.type,
    mode: member.mode,
    uid: member.uid,
    gid: member.gid,
    size: member.type === 'file' ? member.body.length : 0,
    ...(member.type === 'file' ? { digest: await batch.write(member.body) } : {}),
    ...(target === undefined ? {} : { target }),
    ...(member.device === undefined ? {} : { device: member.device }),
    ...(conffiles.has(canonical) ? { conffile: true as const } : {}),
  }
}

async function* tarOf(
  file: string,
  part: '--ctrl-tarfile' | '--fsys-tarfile',
  where: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const child = execa('dpkg-deb', [part, file], {
    stdin: 'ignore',
    buffer: { stdout: false },
    encoding: 'buffer',
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  try {
    yield* child.stdout
    const result = await child
    signal?.throwIfAborted()
    if (result.failed) {
      throw new BootloomError('ARCHIVE_UNSAFE', 'dpkg-deb cannot read the package', {
        where,
        details: [
          result.shortMessage ?? '',
          Buffer.from(result.stderr ?? '')
            .toString('utf8')
            .trim(),
        ],
      })
    }
  } finally {
    child.kill()
  }
}
