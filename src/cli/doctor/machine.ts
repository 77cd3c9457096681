import { existsSync } from 'node:fs'
import { readFile, stat, statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import prettyBytes from 'pretty-bytes'
import metadata from '../../../package.json' with { type: 'json' }
import type { Settings } from '../../config/settings.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

/** A stack installed, its blobs and some bundles. */
const diskNeeded = 5e9
/** The server, its Redis, and one worker that compresses at a thorough level. */
const memoryNeeded = 1.5e9

export function checkNode(): Finding[] {
  const wanted = metadata.dependencies.node
  const found = process.versions.node
  if (found === wanted) return [ok('node', `Node.js ${found}, as pinned`)]
  const mend = 'Start Bootloom as `npx bootloom` or src/bootloom.sh, after `npm ci`.'
  const old = Number(found.split('.')[0]) < Number(wanted.split('.')[0])
  return [(old ? fail : warn)('node', `Node.js ${found} instead of the pinned ${wanted}`, mend)]
}

export async function checkDisk({ state }: Settings): Promise<Finding[]> {
  let directory = state
  while (!existsSync(directory)) directory = dirname(directory)
  const { bavail, bsize } = await statfs(directory)
  const found = `${prettyBytes(bavail * bsize)} free at ${state}`
  if (bavail * bsize >= diskNeeded) return [ok('disk', found)]
  return [warn('disk', found, `Free some space up to ${prettyBytes(diskNeeded)}, or choose another --state.`)]
}

export async function checkMemory(): Promise<Finding[]> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024 || totalmem()
  const found = `${prettyBytes(available)} available of ${prettyBytes(totalmem())}`
  if (available >= memoryNeeded) return [ok('memory', found)]
  return [
    warn('memory', found, `Observing and composing want ${prettyBytes(memoryNeeded)}: end something, or add more.`),
  ]
}

/** A clock before the time that Bootloom itself was made refuses every signed package list and certificate. */
export async function checkClock(): Promise<Finding[]> {
  const manifest = join(import.meta.dirname, '..', '..', '..', 'package.json')
  const { mtimeMs } = await stat(manifest)
  const now = Date.now()
  const found = new Date(now).toISOString()
  const year = new Date(now).getUTCFullYear()
  if (now + 86_400_000 < mtimeMs || year < 2026 || year > 2060) {
    return [fail('clock', `${found} cannot be right`, 'Set the clock, with chrony or `timedatectl set-ntp true`.')]
  }
  return [ok('clock', found)]
}
