import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { endPid } from '../src/machine/process.ts'
import { type Place, paths } from './place.ts'
import { ownerVariable } from './processes.ts'

/**
 * Ends what outlived a server that was killed: its children and theirs, which have the lab's mark in their environment,
 * and redis-server, which writes its title over its environment but works in the lab's own Redis directory.
 */
export async function endAbandoned(place: Place): Promise<void> {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  const ours = pids.filter((pid) => pid !== process.pid && (isMarked(pid, place) || isRedis(pid, place)))
  await Promise.all(ours.map((pid) => endPid(pid, 5000)))
}

function isMarked(pid: number, place: Place): boolean {
  return looking(() => {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1')
    return environment.split('\0').includes(`${ownerVariable}=${place.directory}`)
  })
}

function isRedis(pid: number, place: Place): boolean {
  return looking(
    () =>
      readFileSync(`/proc/${pid}/comm`, 'latin1').trim() === 'redis-server' &&
      readlinkSync(`/proc/${pid}/cwd`) === join(paths.state(place), 'redis'),
  )
}

/** A process may end while we look. */
function looking(look: () => boolean): boolean {
  try {
    return look()
  } catch {
    return false
  }
}
