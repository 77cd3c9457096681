import { parse, stringify } from 'yaml'
import type { Blueprint } from '../src/blueprint/schema.ts'
import type { ComposeReport } from '../src/change/report.ts'
import type { Weight } from '../src/change/weigh/weight.ts'
import type { Drifted } from '../src/fleet/drift.ts'
import { inBenchLab } from './bench/bench-lab.ts'
import { layOut } from './blueprint.ts'
import { addressOf, watchBoot } from './boot-watch.ts'
import { fetchInside } from './fetch.ts'
import { type LabNode, macOf, startNode } from './node.ts'

/**
 * `npm run prove:lean-root [BLUEPRINT…]`: applications from an image of their packages, on real nodes. Each is woven both
 * ways and replayed, boots, answers its probe, misses nothing, differs in nothing from its bundle but where it may write, and
 * comes up again by kexec from the image. One line of JSON for each.
 */
const asked = process.argv.slice(2)
const patience = 240_000

type Parsed = Blueprint & Record<string, unknown>

await inBenchLab(
  async (lab) => {
    for (const name of asked.length > 0 ? asked : ['apache-php', 'redis', 'postgresql']) {
      const { yaml, directory } = await layOut(lab.place, name)
      const blueprint = parse(yaml) as Parsed
      const weave = async (root: string): Promise<ComposeReport> => {
        await lab.api.request('POST', '/v1/blueprints', { yaml: stringify({ ...blueprint, root }), directory })
        return lab.compose(name, { level: 'fast' })
      }
      const files = await weave('files')
      const image = await weave('squashfs')
      const weight = await lab.api.job<Weight>('POST', `/v1/bundles/${image.digest}/weigh`, {}, () => {})
      const shown = await proven(name, blueprint)
      const told = { files: files.root, image: image.root, again: image.seconds, ...shown }
      console.log(JSON.stringify({ name, ...told, memory: weight.memory.filter(({ bytes }) => bytes > 1e6) }))
      if (!shown.holds) process.exitCode = 1
    }

    async function proven(name: string, { probe }: Parsed) {
      const since = Date.now()
      const mac = macOf(1)
      await lab.api.request('PUT', `/v1/nodes/${mac}`, { blueprint: name })
      const node: LabNode = await startNode(lab.place, { index: 1, memory: 512 })
      try {
        const boot = await watchBoot(lab.api, node, { since, timeout: patience })
        const page = async (one: typeof boot) =>
          'http' in probe ? (await fetchInside(lab.place.name, `http://${addressOf(one)}${probe.http}`)).status : 200
        const status = await page(boot)
        const path = `/v1/nodes/${mac}`
        const { drift } = await lab.api.request<{ drift: Drifted[] }>('POST', `${path}/drift`, {})
        const misses = await lab.api.request<readonly { path: string }[]>('GET', `/v1/blueprints/${name}/misses`)
        const again = Date.now()
        await lab.api.request('POST', `${path}/reboot`, {})
        const next = await watchBoot(lab.api, node, { since: again, timeout: patience })
        const jumped = next.stages.some(({ stage }) => stage === 'jump')
        // Logs are written where packages have put them.
        const odd = drift.filter(({ writable, path }) => !writable && !path.startsWith('/var/'))
        const foreign = odd.map((one) => `${one.kind} ${one.path}: ${one.what}`)
        const holds = status === 200 && (await page(next)) === 200 && misses.length === 0 && foreign.length === 0
        return { holds, status, jumped, foreign, misses: misses.map((miss) => miss.path), drift: drift.length }
      } finally {
        await node.stop()
      }
    }
  },
  { fleet: { heartbeat: 1 } },
)
