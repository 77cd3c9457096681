import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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

/**
 * Reads the files that `strace -ff -o trace/t` wrote, from the main process on, and tells each path named. What came
 * before the main process's `chroot(root)` is not the application's doing and is left out. `root` is how paths begin
 * that strace reads from outside the chroot.
 */
export async function readTrace(
  directory: string,
  mainPid: number,
  root: string,
  tell: (named: Named) => void,
): Promise<void> {
  const waiting = [{ pid: mainPid, cwd: '/', started: false }]
  const seen = new Set<number>()
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next.pid)) continue
    seen.add(next.pid)
    let { cwd, started } = next
    for await (const line of linesOf(join(directory, `t.${next.pid}`))) {
      const call = parseCall(line)
      if (!call) continue
      if (!started) {
        started = call.name === 'chroot' && stringIn(call.args[0]) === root && !call.failed
        continue
      }
      for (const named of namesIn(call, cwd, root)) tell(named)
      if (call.failed) continue
      if (call.name === 'chdir') cwd = absolute(stringIn(call.args[0]) ?? '.', cwd)
      if (call.name === 'fchdir') cwd = inside(descriptorPath(call.args[0]), root) ?? cwd
      if (descends.has(call.name) && call.result) waiting.push({ pid: call.result, cwd, started: true })
    }
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(file, 'utf8') })
  } catch (error) {
    // A process that was killed before its first traced call has no file.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
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
