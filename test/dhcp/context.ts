import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { type DhcpContext, readContext } from '../../src/dhcp/context.ts'
import { decide } from '../../src/dhcp/engine.ts'
import { writeOptions } from '../../src/dhcp/options.ts'
import { type DhcpPacket, decodePacket } from '../../src/dhcp/packet.ts'
import { type Leases, openLeases } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { golden } from './golden.ts'
import { dhcpSettings } from './settings.ts'

type Wishes = Parameters<typeof writeOptions>[0]

/** An engine with a real lease table, emptied before each test of the file. */
export function useEngine() {
  let directory: string
  const own = {} as { state: State; leases: Leases }
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'engine-'))
    own.state = await openState({ directory }, silent)
    own.leases = openLeases(own.state.redis)
  })
  afterAll(async () => {
    await own.state.close()
    await rm(directory, { recursive: true, force: true })
  })
  beforeEach(() => own.state.redis.flushdb())
  return Object.assign(own, {
    /** The server 10.77.0.1 at eth0, with these settings. */
    context(settings: Parameters<typeof dhcpSettings>[0], more: Partial<DhcpContext> = {}): DhcpContext {
      const server = {
        address: '10.77.0.1',
        httpPort: 8080,
        programs: { bios: 'undionly.kpxe', x64Uefi: 'snponly.efi' },
      }
      const context = readContext({ server, interface: 'eth0', settings: dhcpSettings(settings), leases: own.leases })
      return { ...context, ...more }
    },
  })
}

/** A captured message made into another: header fields and named options over it, further options by number. */
export function message(
  from: string,
  header: Partial<DhcpPacket> = {},
  wishes: Wishes = {},
  more: Readonly<Record<number, Buffer>> = {},
): DhcpPacket {
  const packet = decodePacket(golden(from))
  const further = Object.entries(more).map(([code, value]) => [Number(code), value] as const)
  return { ...packet, ...header, options: new Map([...packet.options, ...writeOptions(wishes), ...further]) }
}

/** DISCOVER, and the REQUEST that takes up the offer; the ACK. */
export async function bindTo(context: DhcpContext, discover: DhcpPacket) {
  const offer = await decide(discover, context)
  if (!offer.reply) return offer
  const choice = writeOptions({
    messageType: 3,
    requestedAddress: offer.address,
    serverIdentifier: offer.reply.options.get(54)!.join('.'),
  })
  return decide({ ...discover, options: new Map([...discover.options, ...choice]) }, context)
}
