import { setTimeout as sleep } from 'node:timers/promises'
import { Addresses } from './addresses.ts'
import { DhcpPort } from './dhcp-client.ts'
import { live, type World } from './node.ts'
import { randomFrom, type StormEvent, type StormPlan } from './plan.ts'

/** The simulating process: lives in the nodes' namespace, tells what happens over its channel, ends when all is over. */
export async function simulate(plan: StormPlan, send: (event: StormEvent) => void): Promise<void> {
  const random = randomFrom(plan.seed)
  const bytes = { tftp: 0, http: 0, hashed: 0 }
  const world: World = {
    port: await DhcpPort.open(),
    addresses: new Addresses(),
    kernelSeconds: plan.kernelSeconds,
    tell: send,
    count: (what, count) => {
      bytes[what] += count
    },
    random,
  }
  const tellBytes = () => send({ type: 'bytes', ...bytes })
  const timer = setInterval(tellBytes, 500)
  await Promise.all(
    Array.from({ length: plan.nodes }, async (_, index) => {
      const node = {
        mac: macOfNode(index, plan.seed),
        byTftp: random() < plan.tftpShare,
        hashing: index === 0 || random() < plan.hashShare,
        patience: plan.patience * 1000,
      }
      await sleep(random() * plan.within * 1000)
      await live(node, world)
    }),
  )
  clearInterval(timer)
  tellBytes()
  world.addresses.close()
  world.port.close()
}

/** Locally administered; the seed sets the nodes of two storms apart. */
const macOfNode = (index: number, seed: number): string =>
  ['02', seed >> 8, seed, index >> 16, index >> 8, index]
    .map((part) => (typeof part === 'string' ? part : (part & 0xff).toString(16).padStart(2, '0')))
    .join(':')

if (import.meta.main) {
  const plan = JSON.parse(process.argv[2]!) as StormPlan
  await simulate(plan, (event) => process.send?.(event))
  process.disconnect()
}
