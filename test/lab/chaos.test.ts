import { rm } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { simulateUnder } from '../../lab/chaos/chaos.ts'
import { conditions } from '../../lab/chaos/conditions.ts'
import { placeOf } from '../../lab/place.ts'
import { inStormLab } from '../../lab/storm/lab.ts'

/** The short form of `npm run chaos`, which has every condition, more nodes, and real machines. */
describe.skipIf(process.getuid?.() !== 0)('chaos (skipped without root: it makes network namespaces)', () => {
  const place = placeOf({ name: `bootloom-chaos-${process.pid}` })
  afterAll(() => rm(place.directory, { recursive: true, force: true }))

  it('every node comes up, though the server is killed in mid-transfer and started again', async () => {
    const weights = { kernel: 600_000, initramfs: 200_000 }
    const short = conditions.filter((condition) => condition.short)
    await inStormLab(place, { weights }, async (api) => {
      for (const condition of short) {
        expect(await simulateUnder(place, api, condition, 8)).toMatchObject({ ready: 8, holds: true })
      }
    })
  }, 90_000)
})
