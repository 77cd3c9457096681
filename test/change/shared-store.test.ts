import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openContext } from '../../src/change/context.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { startRedis } from './admins-redis.ts'

let directories: string[]
let database: ChildProcess
let url: string

beforeEach(async () => {
  directories = await Promise.all([1, 2, 3].map(() => mkdtemp(join(tmpdir(), 's-'))))
  ;({ url, process: database } = await startRedis())
})
afterEach(async () => {
  database.kill()
  await once(database, 'exit')
  for (const directory of directories) await rm(directory, { recursive: true, force: true })
})

const open = (state: string, redis = {}) => openContext(settingsSchema.parse({ state, redis }), silent)

test('servers on one Redis start where they share the store, by whatever path, and not where they do not', async () => {
  const [first, second, third] = directories as [string, string, string]
  await symlink(join(first, 'store'), join(second, 'store'))
  const opened = await open(first, { url })
  const other = await open(second, { url })
  await expect(open(third, { url })).rejects.toMatchObject({
    code: 'STORE_FOREIGN',
    where: join(third, 'store'),
    hint: expect.stringContaining('Mount the directory'),
  })
  await opened.state.redis.del('bootloom:store')
  await (await open(third, { url })).close()
  await opened.close()
  await other.close()
})

test("a server's own Redis takes another store for the one in its place", async () => {
  const [first] = directories as [string]
  const context = await open(first)
  await rm(join(first, 'store'), { recursive: true })
  const again = await open(first)
  expect(await again.state.redis.get('bootloom:store')).toBe(await again.store.identity())
  await again.close()
  await context.close()
})
