import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { RolloutDriver } from '../../src/fleet/rollout/driver.ts'
import { openState } from '../../src/state/redis.ts'
import { Store } from '../../src/store/store.ts'

/** Another server on the same state directory, as far as rollouts go. */
const [directory] = process.argv.slice(2) as [string]
const settings = settingsSchema.parse({ state: directory })
const { redis } = await openState({ directory }, silent)
new RolloutDriver({ redis, store: await Store.open(`${directory}/store`), settings, log: silent })
process.stdout.write('drives\n')
