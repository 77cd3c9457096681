import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BootloomError } from '../../config/errors.ts'
import { silent } from '../../config/log.ts'
import type { Settings } from '../../config/settings.ts'
import { openState } from '../../state/redis.ts'
import { type Finding, fail, ok } from './finding.ts'

/** The admin's Redis by its URL; else one is started for a moment beside the state directory, which stays as it is. */
export async function checkRedis({ redis }: Settings): Promise<Finding[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bootloom-doctor-'))
  try {
    const state = await openState({ directory, ...(redis.url === undefined ? {} : { url: redis.url }) }, silent)
    const info = await state.redis.info('server').finally(() => state.close())
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'of unknown version'
    return [ok('redis', redis.url === undefined ? `redis-server ${version} starts` : `yours answers, ${version}`)]
  } catch (error) {
    if (!(error instanceof BootloomError)) throw error
    return [fail('redis', error.details.at(-1) ?? error.message, error.hint)]
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
