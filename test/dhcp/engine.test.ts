import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { BootloomError } from '../../src/config/errors.ts'
import { silent } from '../../src/config/log.ts'
import { type DhcpContext, readContext } from '../../src/dhcp/context.ts'
import { decide } from '../../src/dhcp/engine.ts'
import { writeOptions } from '../../src/dhcp/options.ts'
import { type DhcpPacket, decodePacket, noAddress } from '../../src/dhcp/packet.ts'
import { destinationOf, encodeReply } from '../../src/dhcp/reply.ts'
import { type Leases, openLeases } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { golden } from './golden.ts'
import { dhcpSettings } from './settings.ts'

let directory: string
let state: State
let leases: Leases
let context: DhcpContext

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'engine-'))
  state = await openState({ directory }, silent)
  leases = openLeases(state.redis)
})
afterAll(async () => {
  await state.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(async () => {
  await state.redis.flushdb()
  context = contextOf({
    subnets: [
      {
        subnet: '10.77.0.0/16',
        range: ['10.77.1.0', '10.77.1.99'],
        router: '10.77.0.254',
        dns: ['10.77.0.53', '9.9.9.9'],
        domain: 'rack.example',
      },
      { subnet: '10.88.0.0/24', range: ['10.88.0.10', '10.88.0.19'] },
    ],
  })
})

const programs = { bios: 'undionly.kpxe', x64Uefi: 'snponly.efi' }

function contextOf(settings: Parameters<typeof dhcpSettings>[0], more: Partial<DhcpContext> = {}): DhcpContext {
  const server = { address: '10.77.0.1', httpPort: 8080, programs }
  return { ...readContext({ server, interface: 'eth0', settings: dhcpSettings(settings), leases }), ...more }
}

type Wishes = Parameters<typeof writeOptions>[0]

/** A captured DISCOVER made into another message: header fields and named options over it. */
function message(from: string, header: Partial<DhcpPacket>, wishes: Wishes): DhcpPacket {
  const packet = decodePacket(golden(from))
  return { ...packet, ...header, options: new Map([...packet.options, ...writeOptions(wishes)]) }
}
const client = (header: Partial<DhcpPacket>, wishes: Wishes) => message('udhcpc-discover', header, wishes)
const other = { chaddr: Buffer.from('525400bb0002', 'hex') }
const otherId = { clientIdentifier: Buffer.from('01525400bb0002', 'hex') }
const request = 3
const answerTo = (packet: DhcpPacket) => decide(packet, context)
const typeOf = async (packet: DhcpPacket) => (await answerTo(packet)).type

/** DISCOVER and REQUEST of the udhcpc client; its address. */
async function bound(): Promise<string> {
  const { address } = await answerTo(client({}, {}))
  expect(
    await typeOf(client({}, { messageType: request, requestedAddress: address, serverIdentifier: '10.77.0.1' })),
  ).toBe('ack')
  return address!
}

describe('each road has its answer, byte for byte', () => {
  test.each(['ipxe-bios', 'ipxe-efi', 'ovmf-pxe', 'ovmf-http', 'udhcpc', 'perfdhcp'])('%s', async (name) => {
    for (const step of ['discover', 'request']) {
      const captured = decodePacket(golden(`${name}-${step}`))
      const asked: Wishes = step === 'request' ? { requestedAddress: '10.77.1.5', serverIdentifier: '10.77.0.1' } : {}
      const packet = { ...captured, options: new Map([...captured.options, ...writeOptions(asked)]) }
      await state.redis.flushdb()
      await leases.reserve('10.77.0.0/16', packet.chaddr.toString('hex').replace(/(..)(?!$)/g, '$1:'), '10.77.1.5')
      const { reply } = await answerTo(packet)
      const bytes = encodeReply(reply!, packet)
      expect(bytes.toString('hex')).toBe(golden(`reply-${name}-${step}`).toString('hex'))
    }
  })

  test('BIOS firmware that is not iPXE is sent to undionly by TFTP', async () => {
    const packet = message('ipxe-bios-discover', {}, {})
    const bare = new Map([...packet.options].filter(([code]) => code !== 77 && code !== 175))
    const { reply } = await answerTo({ ...packet, options: bare })
    expect(reply).toMatchObject({ siaddr: '10.77.0.1', file: 'undionly.kpxe' })
    expect([60, 67, 175].filter((code) => reply!.options.has(code))).toEqual([])
  })

  test('a running system is told nothing of booting', async () => {
    const { reply } = await answerTo(client({}, {}))
    expect(reply).toMatchObject({ siaddr: noAddress, file: '' })
    expect([...reply!.options.keys()]).toEqual([53, 54, 51, 58, 59, 1, 3, 6, 15, 28, 61])
  })

  test('option 67 stands last, for OVMF writes a NUL over the byte that follows it', async () => {
    const { reply } = await answerTo(message('ovmf-http-discover', {}, {}))
    expect([...reply!.options.keys()].at(-1)).toBe(67)
  })
})

describe('SELECTING', () => {
  test('the offered address is bound before it is acknowledged', async () => {
    const address = await bound()
    expect(await leases.list('10.77.0.0/16')).toMatchObject([{ address, state: 'bound', mac: expect.any(String) }])
  })

  test('a client that chose another server hears nothing, and its offer ends within seconds', async () => {
    const { address } = await answerTo(client({}, {}))
    const choice = { messageType: request, requestedAddress: address, serverIdentifier: '10.77.0.2' }
    expect(await typeOf(client({}, choice))).toBe('ignored')
    const [offered] = await leases.list('10.77.0.0/16')
    expect(offered!.expires - Date.now()).toBeLessThan(3100)
  })

  test("another client's address is refused, with a broadcast", async () => {
    const address = await bound()
    const theft = client(other, {
      ...otherId,
      messageType: request,
      requestedAddress: address,
      serverIdentifier: '10.77.0.1',
    })
    const { type, reply } = await answerTo(theft)
    expect(type).toBe('nak')
    expect([...reply!.options.keys()]).toEqual([53, 54, 56, 61])
    expect(destinationOf(reply!, theft, { address: '0.0.0.0', port: 68 })).toEqual({
      address: '255.255.255.255',
      port: 68,
    })
  })

  test("a request without an address, or for the server's own, gets none", async () => {
    expect(await typeOf(client({}, { messageType: request, serverIdentifier: '10.77.0.1' }))).toBe('ignored')
    const own = { messageType: request, requestedAddress: '10.77.0.1', serverIdentifier: '10.77.0.1' }
    expect(await typeOf(client({}, own))).toBe('nak')
  })
})

describe('INIT-REBOOT, RENEWING and REBINDING', () => {
  test('a rebooting client keeps its address, even one that the table has forgotten', async () => {
    const address = await bound()
    const again = client({}, { messageType: request, requestedAddress: address })
    expect(await typeOf(again)).toBe('ack')
    await state.redis.flushdb()
    expect(await typeOf(again)).toBe('ack')
  })

  test('a rebooting client with an address of another network is refused', async () => {
    expect(await typeOf(client({}, { messageType: request, requestedAddress: '192.168.1.5' }))).toBe('nak')
  })

  test("a renewal is answered to the client's own address, which stands in ciaddr", async () => {
    const address = await bound()
    const renewal = client({ ciaddr: address }, { messageType: request })
    const { type, reply } = await answerTo(renewal)
    expect(type).toBe('ack')
    expect(reply).toMatchObject({ ciaddr: address, yiaddr: address })
    expect(destinationOf(reply!, renewal, { address, port: 68 })).toEqual({ address, port: 68 })
  })

  test('a renewal is judged by the subnet of its address, wherever the server is', async () => {
    expect(await typeOf(client({ ciaddr: '10.88.0.12' }, { messageType: request }))).toBe('ack')
    expect(await leases.list('10.88.0.0/24')).toHaveLength(1)
  })

  test("another client's address is not renewed", async () => {
    const address = await bound()
    expect(await typeOf(client({ ...other, ciaddr: address }, { ...otherId, messageType: request }))).toBe('nak')
  })
})

describe('relay', () => {
  const relayed = (giaddr: string, wishes: Wishes = {}) => client({ giaddr, hops: 1 }, wishes)

  test('its address chooses the subnet, and it gets the answer', async () => {
    const packet = relayed('10.88.0.1')
    const { address, reply } = await answerTo(packet)
    expect(address).toMatch(/^10\.88\.0\.1\d$/)
    expect(reply!.giaddr).toBe('10.88.0.1')
    const to = (source: { address: string; port: number }) => destinationOf(reply!, packet, source)
    expect(to({ address: '10.88.0.1', port: 67 })).toEqual({ address: '10.88.0.1', port: 67 })
    expect(to({ address: '10.99.0.1', port: 1067 })).toEqual({ address: '10.88.0.1', port: 67 })
    expect(to({ address: '10.88.0.1', port: 41000 })).toEqual({ address: '10.88.0.1', port: 41000 })
  })

  test('its information (option 82) goes back as the last option', async () => {
    const relayAgent = Buffer.from('0104000a0001', 'hex')
    const { reply } = await answerTo(relayed('10.88.0.1', { relayAgent }))
    expect([...reply!.options].at(-1)).toEqual([82, relayAgent])
  })

  test('one from a subnet that is not served is not answered', async () => {
    expect(await typeOf(relayed('172.16.0.1'))).toBe('ignored')
  })

  test('a refusal is to be broadcast by it', async () => {
    const packet = relayed('10.88.0.1', { messageType: request, requestedAddress: '10.77.1.5' })
    const { type, reply } = await answerTo(packet)
    expect([type, reply!.flags & 0x8000]).toEqual(['nak', 0x8000])
  })
})

describe('RELEASE, DECLINE and INFORM', () => {
  test("a released address is free, and a stranger's release changes nothing", async () => {
    const ciaddr = await bound()
    expect(await typeOf(client({ ...other, ciaddr }, { ...otherId, messageType: 7 }))).toBe('ignored')
    expect(await typeOf(client({ ciaddr }, { messageType: 7 }))).toBe('release')
    expect(await leases.list('10.77.0.0/16')).toMatchObject([{ state: 'released' }])
  })

  test('a declined address is not offered again', async () => {
    const address = await bound()
    expect(await typeOf(client({}, { messageType: 4, requestedAddress: address }))).toBe('decline')
    expect((await answerTo(client({}, { requestedAddress: address }))).address).not.toBe(address)
  })

  test('a host with an address of its own is told the rest, without a lease', async () => {
    const { type, reply } = await answerTo(client({ ciaddr: '10.77.9.9' }, { messageType: 8 }))
    expect(type).toBe('inform')
    expect(reply).toMatchObject({ ciaddr: '10.77.9.9', yiaddr: noAddress })
    expect(reply!.options.has(51)).toBe(false)
    expect(await leases.list('10.77.0.0/16')).toEqual([])
    expect(await typeOf(client({ ciaddr: '1.2.3.4' }, { messageType: 8 }))).toBe('ignored')
  })
})

test('answers, other media and plain BOOTP are ignored', async () => {
  expect(await typeOf(client({ op: 2 }, {}))).toBe('ignored')
  expect(await typeOf(client({ htype: 6 }, {}))).toBe('ignored')
  expect(await typeOf(client({ chaddr: Buffer.alloc(16) }, {}))).toBe('ignored')
  expect(await typeOf({ ...client({}, {}), options: new Map() })).toBe('ignored')
})

test('an exhausted pool offers nothing', async () => {
  const full = contextOf({ subnets: [{ subnet: '10.77.0.0/16', range: ['10.77.1.0', '10.77.1.0'] }] })
  expect((await decide(client({}, {}), full)).type).toBe('offer')
  expect(await decide(client(other, otherId), full)).toMatchObject({
    type: 'ignored',
    exhausted: true,
    reason: expect.stringContaining('no free address'),
  })
})

test('without Redis nothing is promised', async () => {
  const gone = await openState({ directory }, silent)
  const lost = openLeases(gone.redis)
  gone.redis.disconnect()
  await expect(decide(client({}, {}), { ...context, leases: lost })).rejects.toThrow()
})

test('a client that takes small packets gets the most needed options', () => {
  const packet = client({}, {})
  const long = new Map([
    ...writeOptions({ messageType: 2, subnetMask: '255.0.0.0' }),
    [224, Buffer.alloc(255)],
    [225, Buffer.alloc(250)],
    [226, Buffer.alloc(250)],
  ] as [number, Buffer][])
  const asking = (...asked: number[]) =>
    message('udhcpc-discover', {}, { maximumSize: 576, parameterList: Buffer.from(asked) })
  const left = (...asked: number[]) => {
    const bytes = encodeReply({ ...packet, op: 2, options: long }, asking(...asked))
    expect(bytes.length).toBeLessThanOrEqual(548)
    return [...decodePacket(bytes).options.keys()]
  }
  expect(left(1, 224, 225, 226)).toEqual([53, 1, 224])
  expect(left(1, 226)).toEqual([53, 1, 226])
})

test('settings that do not fit are refused all at once', () => {
  const settings = dhcpSettings({
    classes: [{ name: 'gpu', match: {} }],
    subnets: [
      {
        subnet: '10.77.0.0/24',
        pools: [{ range: ['10.77.0.10', '10.77.0.20'], class: 'cpu' }],
        reservations: [
          { mac: '52:54:00', address: '10.77.0.30' },
          { uuid: '4c4c4544-0042-3510-8052-b4c04f4e3132', address: '10.77.0.1', options: { mtu: 9000 } },
        ],
        options: { interfaceMtu: 'big', 54: '0a', 300: '00' },
      },
    ],
  })
  const server = { address: '10.77.0.1', httpPort: 8080, programs }
  expect(findings(() => readContext({ server, interface: 'eth0', settings, leases }))).toEqual([
    'dhcp.subnets.0.reservations.0.mac: 52:54:00 is no MAC address',
    'dhcp.subnets.0.reservations.1.options.mtu: no such option; others go by number',
    "dhcp.subnets.0.options.54: option 54 is the server's own to fill in",
    "dhcp.subnets.0.options.300: option 300 is the server's own to fill in",
    'dhcp.subnets.0.options.interfaceMtu: must be a whole number from 0 to 65535',
    "dhcp.subnets.0.reservations: 10.77.0.1 is no node's address in 10.77.0.0/24",
    'dhcp.subnets.0.pools: there is no class cpu',
  ])
})

function findings(call: () => unknown): readonly string[] {
  try {
    call()
  } catch (error) {
    return (error as BootloomError).details
  }
  return []
}
