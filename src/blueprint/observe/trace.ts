import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Touch } from '../profile.ts'
import { type Call, descriptorPath, parseCall, stringIn } from './strace-line.ts'

/** One path that a system call named, absolute in the application's root, symlinks not yet followed. */
export interface Named {
  readonly path: string
  readonly touch: Touch
  readonly followLast: boolean
  /** Made by this call, if it was not there before. */
  readonly creates: boolean
  /** Its name was chosen to be new (O_EXCL, as mkstemp does), so that it will be another one next time. */
  readonly fresh: boolean
}

/** The system calls that strace is asked for. */
export const traced = '%file,%process,getdents,getdents64,fchdir,bind'

const descends = new Set(['clone', 'clone3', 'fork', 'vfork'])

/** Who named a path, and how that went. */
export interface Naming {
  /** The program that the process ran, as a path in the root. */
  readonly process: string
  /** The system call, such as `openat`. */
  readonly call: string
  /** `ENOENT` and the like, where the call failed with one. */
  readonly error: string | undefined
}

interface Process {
  readonly pid: number
  cwd: string
  program: string
  /** Whether it has entered the root; what came before is not the application's doing. */
  inside: boolean
  /** Bytes of its file that were read. */
  at: number
  /** The beginning of a line whose end was not written yet. */
  rest: string
}

/**
 * Reads the files that `strace -ff -o trace/t` writes, from the programs that were run on, and tells each path named. May
 * be read while they grow. What came before a program's `chroot(root)` is left out. `root` is how paths begin that strace
 * reads from outside the chroot.
 */
export class Trace {
  readonly #directory: string
  readonly #root: string
  readonly #tell: (named: Named, naming: Naming) => void
  readonly #known = new Set<number>()
  readonly #processes: Process[] = []

  constructor(directory: string, root: string, tell: (named: Named, naming: Naming) => void) {
    this.#directory = directory
    this.#root = root
    this.#tell = tell
  }

  /** Goes on from where it stopped. `programs`: ids of those run so far, as they are seen in there. */
  async read(programs: readonly number[]): Promise<void> {
    for (const pid of programs) this.#add({ pid, cwd: '/', program: '', inside: false })
    // Those that are found on the way come at the end.
    for (const process of this.#processes) await this.#readOn(process)
  }

  #add(found: Pick<Process, 'pid' | 'cwd' | 'program' | 'inside'>): void {
    if (this.#known.has(found.pid)) return
    this.#known.add(found.pid)
    this.#processes.push({ ...found, at: 0, rest: '' })
  }

  async #readOn(process: Process): Promise<void> {
    let file: FileHandle
    try {
      file = await open(join(this.#directory, `t.${process.pid}`))
    } catch (error) {
      // A process that was killed before its first traced call has no file.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    try {
      const buffer = Buffer.allocUnsafe(256 * 1024)
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, process.at)
        if (bytesRead === 0) return
        process.at += bytesRead
        // strace writes ASCII: any other byte as an escape.
        const lines = (process.rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
        process.rest = lines.pop()!
        for (const line of lines) this.#take(process, line)
      }
    } finally {
      await file.close()
    }
  }

  #take(process: Process, line: string): void {
    const call = parseCall(line)
    if (!call) return
    const { name, args, failed } = call
    if (!process.inside) {
      process.inside = name === 'chroot' && stringIn(args[0]) === this.#root && !failed
      return
    }
    const named = namesIn(call, process.cwd, this.#root)
    const starts = name.startsWith('exec') && !failed
    if (starts && named[0]) process.program = named[0].path
    for (const one of named) this.#tell(one, { process: process.program, call: name, error: call.error })
    if (failed) return
    if (name === 'chdir') process.cwd = absolute(stringIn(args[0]) ?? '.', process.cwd)
    if (name === 'fchdir') process.cwd = inside(descriptorPath(args[0]), this.#root) ?? process.cwd
    if (descends.has(name) && call.result) this.#add({ ...process, pid: call.result })
  }
}

/** The paths that one call names. */
export function namesIn(call: Call, cwd: string, root: string): Named[] {
  const { name, args } = call
  if (name.startsWith('getdents')) return only(inside(descriptorPath(args[0]), root), 'readdir')
  if (name === 'bind') return call.failed ? [] : only(socketPath(args[1], cwd), 'create', true)
  const flags = args.join(' ')
  const paths = pathArguments(call).map((index) => {
    const base = inside(descriptorPath(args[index - 1]), root) ?? cwd
    const text = stringIn(args[index])
    return text === undefined || text === '' ? undefined : absolute(text, base)
  })
  const creates = makes.test(name) || (opens.test(name) && /\bO_CREAT\b/.test(flags)) || name === 'creat'
  return paths.flatMap((path, index) => {
    if (path === undefined) return []
    const made = creates && !call.failed && index === paths.length - 1
    return {
      path,
      touch: touchOf(name, made),
      followLast: !(unfollowed.test(name) || /\b(O_NOFOLLOW|AT_SYMLINK_NOFOLLOW)\b/.test(flags)),
      creates: made,
      fresh: /\bO_EXCL\b/.test(flags),
    }
  })
}

const opens = /^(open|openat|openat2|creat)$/
const makes = /^(mkdir|mknod|symlink|link|rename)(at2?)?$|^(mkdirat|mknodat|symlinkat|linkat|renameat2?)$/
const unfollowed = /^(lstat|l\w+xattr|lchown|readlink|unlink|rmdir|rename|mkdir|mknod|symlink|link)/

function touchOf(name: string, made: boolean): Touch {
  if (opens.test(name)) return 'open'
  if (made) return 'create'
  if (name.startsWith('exec')) return 'exec'
  return name.startsWith('readlink') ? 'symlink' : 'stat'
}

/** Which arguments are paths: the first string, or the second too where a call takes two. */
function pathArguments({ name, args }: Call): number[] {
  const strings = args.flatMap((arg, index) => (arg.startsWith('"') ? [index] : []))
  if (/^(rename|link)/.test(name)) return strings.slice(0, 2)
  // The first string of symlink(2) is what the link says, not a path that is looked up.
  return name.startsWith('symlink') ? strings.slice(1, 2) : strings.slice(0, 1)
}

function socketPath(address: string | undefined, cwd: string): string | undefined {
  const path = stringIn(/sun_path=("(?:[^"\\]|\\.)*")/.exec(address ?? '')?.[1])
  return path === undefined || path === '' ? undefined : absolute(path, cwd)
}

const only = (path: string | undefined, touch: Touch, creates = false): Named[] =>
  path === undefined ? [] : [{ path, touch, followLast: true, creates, fresh: false }]

const absolute = (path: string, base: string): string => (path.startsWith('/') ? path : `${base}/${path}`)

/** A path that strace saw from outside, as the application sees it; undefined for what is not in its root. */
function inside(path: string | undefined, root: string): string | undefined {
  if (path === root) return '/'
  return path?.startsWith(`${root}/`) ? path.slice(root.length) : undefined
}
