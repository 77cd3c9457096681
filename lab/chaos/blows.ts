import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../../src/config/errors.ts'
import { end } from '../../src/machine/process.ts'
import { startBoot } from '../lab.ts'
import { type Place, paths } from '../place.ts'
import { runningAs } from '../processes.ts'
import type { Blow } from './conditions.ts'

const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'
const clockOf = (place: Place) => join(place.directory, 'clock')

/** What has to be in place before a blow can fall: a clock that can be set back needs a server that reads it. */
export async function prepareBlow(place: Place, blow: Blow | undefined): Promise<void> {
  if (blow !== 'clock-back') return
  writeFileSync(clockOf(place), '+0\n')
  await restartBoot(place, 'SIGTERM', [
    'env',
    `LD_PRELOAD=${library}`,
    `FAKETIME_TIMESTAMP_FILE=${clockOf(place)}`,
    'FAKETIME_NO_CACHE=1',
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
  ])
}

export async function strike(place: Place, blow: Blow): Promise<void> {
  switch (blow) {
    case 'kill-boot':
      // Away for two seconds, as when systemd starts it again.
      return restartBoot(place, 'SIGKILL', [], 2000)
    case 'kill-redis':
      process.kill(redisOf(place), 'SIGKILL')
      return
    case 'clock-back':
      writeFileSync(clockOf(place), '-3600\n')
  }
}

/** Puts things right again for the next condition. */
export async function mendBlow(place: Place, blow: Blow | undefined): Promise<void> {
  if (blow === 'clock-back') await restartBoot(place, 'SIGTERM')
}

async function restartBoot(
  place: Place,
  signal: 'SIGKILL' | 'SIGTERM',
  wrapper: readonly string[] = [],
  away = 0,
): Promise<void> {
  const boot = runningAs(place, 'boot')
  if (boot && signal === 'SIGKILL') process.kill(boot.pid, signal)
  else if (boot) await end(boot)
  await sleep(away)
  await startBoot(place, undefined, wrapper)
}

function redisOf(place: Place): number {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .find((pid) => {
      try {
        const isRedis = readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'redis-server'
        return isRedis && readlinkSync(`/proc/${pid}/cwd`) === join(paths.state(place), 'redis')
      } catch {
        return false
      }
    })
  if (!found) throw new BootloomError('LAB_FAILED', 'no redis-server of the lab runs')
  return Number(found)
}
