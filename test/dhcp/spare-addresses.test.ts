import { expect, onTestFinished, test, vi } from 'vitest'
import type { DhcpContext } from '../../src/dhcp/context.ts'
import { decide } from '../../src/dhcp/engine.ts'
import { SpareAddresses } from '../../src/dhcp/spare-addresses.ts'
import { openLeases } from '../../src/state/leases.ts'
import { message, useEngine } from './context.ts'

// A real lease table; the wire is ours: who answers for an address, and when.
const engine = useEngine()
const settings = { subnets: [{ subnet: '10.77.0.0/24', range: ['10.77.0.10', '10.77.0.89'] as [string, string] }] }
const spares = 5

interface Wire {
  /** Of these addresses a stranger answers. */
  readonly taken: (address: string) => boolean
  readonly asked: string[]
  readonly conflicts: string[]
}

function serverOn({ taken, asked, conflicts }: Wire, leases = engine.leases): DhcpContext {
  const probe = {
    isPending: () => false,
    async ask(address: string) {
      asked.push(address)
      return taken(address) ? '52:54:00:bb:00:01' : undefined
    },
  }
  const onConflict = (address: string) => conflicts.push(address)
  const held = new SpareAddresses({ leases, probe, onConflict, isServing: () => true })
  onTestFinished(() => held.close())
  const context = engine.context(settings, { probe, onConflict, leases, spares: held })
  held.keep(context.subnets[0]!.poolFor([]))
  return context
}
const wire = (taken: Wire['taken'] = () => false): Wire => ({ taken, asked: [], conflicts: [] })
const discover = (n: number) =>
  message(
    'ipxe-bios-discover',
    { chaddr: Buffer.from([0x52, 0x54, 0, 0, 1, n]), ciaddr: '0.0.0.0' },
    { clientIdentifier: Buffer.of(1, n) },
  )
const offered = async (n: number, context: DhcpContext) => (await decide(discover(n), context)).address!

test('a new client is offered an address that was asked for before, and another one is asked for', async () => {
  const seen = wire()
  const context = serverOn(seen)
  await vi.waitFor(() => expect(seen.asked).toHaveLength(spares), 20_000)
  const before = [...seen.asked]
  expect(before).toContain(await offered(1, context))
  await vi.waitFor(() => expect(seen.asked).toHaveLength(spares + 1), 20_000)
  expect(before).not.toContain(seen.asked.at(-1))
})

test('the other server on the same Redis offers the same one', async () => {
  const [seen, other] = [wire(), wire()]
  const here = serverOn(seen)
  const there = serverOn(other, openLeases(engine.state.redis))
  await vi.waitFor(() => expect([...seen.asked, ...other.asked]).toHaveLength(2 * spares), 20_000)
  expect(new Set([...seen.asked, ...other.asked]).size).toBe(2 * spares)
  const [one, two] = await Promise.all([offered(1, here), offered(1, there)])
  expect(one).toBe(two)
})

test('an address that a stranger answers for is told, and never offered', async () => {
  const odd = (address: string) => Number(address.split('.')[3]) % 2 === 1
  const seen = wire(odd)
  const context = serverOn(seen)
  await vi.waitFor(() => expect(seen.asked).toHaveLength(spares), 20_000)
  const given = await Promise.all(Array.from({ length: 10 }, (_, n) => offered(n, context)))
  expect(given.filter((address) => odd(address))).toEqual([])
  expect(new Set(seen.conflicts)).toEqual(new Set(seen.asked.filter(odd)))
})
