import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Account, accountFor } from '../../lab/kills/account.ts'
import { KilledServer } from '../../lab/kills/server.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { composeBlueprint } from '../../src/change/weave.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { listChanges, openParts } from '../../src/state/changes.ts'
import { startRedis } from './admins-redis.ts'
import { smallBlueprint, workOf } from './small-blueprint.ts'

const asRoot = process.getuid?.() === 0
const kills = 4

/** `npm run prove:kills` does it a hundred times, with real packages and virtual machines. */
test.skipIf(!asRoot)(
  'two servers on one Redis, killed again and again, end every change once (skipped without root)',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'k-'))
    const other = await mkdtemp(join(tmpdir(), 'k-'))
    const { url, process: database } = await startRedis()
    const redis = { url }
    const context: Context = await openContext(settingsSchema.parse({ state: directory, redis }), silent)
    // What servers share beside Redis is the store; the installed root would else be installed by each.
    for (const shared of ['store', 'stacks']) await symlink(join(directory, shared), join(other, shared))
    const servers = [new KilledServer(directory, { redis }), new KilledServer(other, { redis })]
    try {
      // Open at all times: gated, so that an edited tree is a change.
      const site = await smallBlueprint(context, 'shop', { policy: 'windows: [{ from: "00:00", to: "00:00" }]' })
      await composeBlueprint('shop', { level: 'fast', reason: 'test' }, workOf(context))
      await Promise.all(servers.map((server) => server.start()))
      for (let kill = 0; kill < kills; kill++) {
        // Both watch the site, and both see it.
        await writeFile(join(site, 'index.html'), `edit ${kill}`)
        await sleep(Math.random() * 2000)
        const server = servers[kill % 2]!
        await server.kill({ all: kill > 1 })
        await server.start()
      }
      const account = await settledAccount(context)
      // An edit that was read together with the one before it leaves nothing to be done.
      const parts = (await listChanges(context.state.redis)).flatMap((change) => change.parts)
      const left = parts.filter(({ state }) => state !== 'promoted' && state !== 'unaffected')
      const told = left.map(({ state, error, history }) => ({ state, error, history }))
      expect({ wrong: account.wrong, left: told }).toEqual({ wrong: [], left: [] })
      // The first bundle, and the edits: those that come before one is woven join it.
      expect(account.ends.promoted).toBeGreaterThanOrEqual(2)
    } finally {
      await Promise.all(servers.map((server) => server.stop()))
      await context.close()
      database.kill()
      for (const place of [directory, other]) await rm(place, { recursive: true, force: true })
    }
  },
  120_000,
)

/** On a busy machine an edit may be seen a good while after the server that sees it has started. */
async function settledAccount(context: Context): Promise<Account> {
  for (let left = 20; ; left--) {
    await untilNothingIsOpen(context)
    const account = await accountFor(context)
    if (account.wrong.length === 0 || left === 0) return account
  }
}

async function untilNothingIsOpen({ state }: Context): Promise<void> {
  // An edit is seen once it has settled.
  for (let quiet = 0; quiet < 10; await sleep(100)) {
    quiet = (await openParts(state.redis)).length === 0 ? quiet + 1 : 0
  }
}
