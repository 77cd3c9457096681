import { describe, expect, test } from 'vitest'
import { decide } from '../../src/dhcp/engine.ts'
import { readOption } from '../../src/dhcp/options.ts'
import { encodeReply } from '../../src/dhcp/reply.ts'
import { bindTo, message, useEngine } from './context.ts'

const engine = useEngine()
const chaddr = (last: number) => ({ chaddr: Buffer.from([0x52, 0x54, 0, 0xbb, 0, last]) })
/** A running system, whose client identifier is its MAC. */
const os = (last: number, wishes: Parameters<typeof message>[2] = {}, more: Parameters<typeof message>[3] = {}) => {
  const from = chaddr(last)
  const clientIdentifier = Buffer.concat([Buffer.of(1), from.chaddr])
  return message('perfdhcp-discover', { ...from, giaddr: '0.0.0.0' }, { clientIdentifier, ...wishes }, more)
}
const racks = {
  subnets: [
    { subnet: '10.77.0.0/24', range: ['10.77.0.10', '10.77.0.12'] as [string, string] },
    { subnet: '10.88.0.0/24', range: ['10.88.0.10', '10.88.0.12'] as [string, string], lease: 7200 },
    { subnet: '10.99.0.0/24', range: ['10.99.0.10', '10.99.0.12'] as [string, string], interface: 'eth0' },
  ],
}
const agent = (...parts: [number, number[]][]) =>
  Buffer.from(parts.flatMap(([code, bytes]) => [code, bytes.length, ...bytes]))

describe('which subnet', () => {
  const at = async (header: object, options: Record<number, Buffer> = {}) => {
    const packet = message('udhcpc-discover', header, {}, options)
    const { address, reply } = await decide(packet, engine.context(racks))
    return { rack: address?.split('.')[1], reply }
  }

  test('here: the subnet of the server, then the others that lie at the interface', async () => {
    const context = engine.context(racks)
    const given = await Promise.all([1, 2, 3, 4, 5, 6, 7].map(async (n) => (await decide(os(n), context)).address))
    expect(given.filter((address) => address?.startsWith('10.77.'))).toHaveLength(3)
    expect(given.filter((address) => address?.startsWith('10.99.'))).toHaveLength(3)
    expect(given.filter((address) => address === undefined)).toHaveLength(1)
  })

  test("a relay's address, its link selection over it, and the client's own subnet selection", async () => {
    const giaddr = '10.77.0.250'
    expect((await at({ giaddr })).rack).toBe('77')
    const link = agent([1, [7, 7]], [5, [10, 88, 0, 0]])
    const selected = await at({ giaddr }, { 82: link, 118: Buffer.of(10, 77, 0, 0) })
    expect(selected.rack).toBe('88')
    // Verbatim, and the last option (RFC 3046 §2.2).
    expect([...selected.reply!.options].at(-1)).toEqual([82, link])
    const bySelf = await at({ giaddr }, { 118: Buffer.of(10, 88, 0, 0) })
    expect([bySelf.rack, bySelf.reply!.options.get(118)]).toEqual(['88', Buffer.of(10, 88, 0, 0)])
    expect((await at({ giaddr: '10.200.0.1' })).rack).toBeUndefined()
  })

  test('broken information of a relay counts as none, and goes back as it came', async () => {
    const broken = Buffer.of(5, 9, 10, 88)
    const { rack, reply } = await at({ giaddr: '10.77.0.250' }, { 82: broken })
    expect([rack, reply!.options.get(82)]).toEqual(['77', broken])
  })

  test('a relay that stands in for the server (RFC 5107) is what the client chooses', async () => {
    const packet = message('udhcpc-discover', { giaddr: '10.77.0.250' }, {}, { 82: agent([11, [10, 77, 0, 250]]) })
    const ack = await bindTo(engine.context(racks), packet)
    expect([ack.type, readOption(ack.reply!.options, 'serverIdentifier')]).toEqual(['ack', '10.77.0.250'])
  })
})

describe('pools, classes and lease times', () => {
  const settings = {
    classes: [
      { name: 'gpu', match: { mac: '52:54:00:bb:00:0*' }, lease: 900, options: { interfaceMtu: 9000 } },
      {
        name: 'old',
        match: { vendorClass: 'PXEClient*', arch: [0], speaker: 'pxe' as const },
        options: { '209': '61' },
      },
    ],
    options: { ntpServers: '10.77.0.5', interfaceMtu: 1400 },
    subnets: [
      {
        subnet: '10.77.0.0/24',
        pools: [
          { range: ['10.77.0.10', '10.77.0.10'] as [string, string] },
          { range: ['10.77.0.20', '10.77.0.20'] as [string, string] },
          { range: ['10.77.0.30', '10.77.0.39'] as [string, string], class: 'gpu' },
        ],
        firmwareLease: 300,
      },
    ],
  }

  test('ranges are used up in their order, and that of a class by its clients alone', async () => {
    const context = engine.context(settings)
    const asked = [0xf1, 0xf2, 0xf3, 1, 2]
    const given = []
    for (const last of asked) given.push((await decide(os(last), context)).address)
    expect(given.slice(0, 3)).toEqual(['10.77.0.10', '10.77.0.20', undefined])
    expect(given.slice(3).every((address) => /^10\.77\.0\.3\d$/.test(address ?? ''))).toBe(true)
  })

  test('short in firmware, long for the running node, by class where that says so, less where less is asked for', async () => {
    const context = engine.context(settings)
    const lease = async (packet: Parameters<typeof decide>[0]) =>
      readOption((await decide(packet, context)).reply!.options, 'leaseTime')
    expect(await lease(message('ovmf-pxe-discover'))).toBe(300)
    expect(await lease(message('ipxe-bios-discover', chaddr(0xf0)))).toBe(300)
    expect(await lease(os(1))).toBe(900)
    await engine.state.redis.flushdb()
    expect(await lease(os(0xf1))).toBe(3600)
    expect(await lease(os(0xf1, { leaseTime: 120 }))).toBe(120)
    expect(await lease(os(0xf1, { leaseTime: 0xffffffff }))).toBe(3600)
    expect(await lease(os(0xf1, { leaseTime: 1 }))).toBe(60)
  })

  test('options: of the class over those of all', async () => {
    const context = engine.context(settings)
    const plain = (await decide(os(0xf1), context)).reply!.options
    const gpu = (await decide(os(1), context)).reply!.options
    expect([plain.get(26), gpu.get(26)]).toEqual([Buffer.of(5, 120), Buffer.of(35, 40)])
    expect(gpu.get(42)).toEqual(Buffer.of(10, 77, 0, 5))
    await engine.state.redis.flushdb()
    const old = message('ipxe-bios-discover', chaddr(0xf2), {}, { 77: Buffer.from('x') })
    expect((await decide(old, context)).reply!.options.get(209)).toEqual(Buffer.from('a'))
  })
})

describe('reservations of the settings', () => {
  const uuid = '4c4c4544-0042-3510-8052-b4c04f4e3132'
  const settings = {
    subnets: [
      {
        subnet: '10.77.0.0/24',
        range: ['10.77.0.10', '10.77.0.11'] as [string, string],
        reservations: [
          { mac: '52-54-00-BB-00-01', address: '10.77.0.11', options: { hostName: 'one' } },
          { clientId: 'ff:00:11', address: '10.77.0.62' },
          { uuid, address: '10.77.0.63' },
          { circuitId: 'port 4', address: '10.77.0.64' },
        ],
      },
    ],
  }
  const swapped = Buffer.from('0044454c4c420010358052b4c04f4e3132', 'hex')

  test.each([
    ['MAC', os(1), '10.77.0.11'],
    ['client identifier', os(2, {}, { 61: Buffer.from('ff0011', 'hex') }), '10.77.0.62'],
    ['UUID as it is', os(3, {}, { 97: Buffer.from(`00${uuid.replaceAll('-', '')}`, 'hex') }), '10.77.0.63'],
    ['UUID in the byte order of SMBIOS', os(3, {}, { 97: swapped }), '10.77.0.63'],
    [
      'circuit',
      message(
        'perfdhcp-discover',
        { ...chaddr(4), giaddr: '10.77.0.250' },
        {},
        {
          82: agent([1, [...Buffer.from('port 4')]]),
        },
      ),
      '10.77.0.64',
    ],
  ])('by %s', async (_by, packet, address) => {
    const ack = await bindTo(engine.context(settings), packet)
    expect([ack.type, ack.address]).toEqual(['ack', address])
  })

  test('nobody else gets the address, and firmware and system share it whatever they call themselves', async () => {
    const context = engine.context(settings)
    const others = await Promise.all([5, 6].map(async (n) => (await decide(os(n), context)).address))
    expect(others.sort()).toEqual(['10.77.0.10', undefined])
    expect((await bindTo(context, message('ovmf-pxe-discover', chaddr(1)))).address).toBe('10.77.0.11')
    const duid = { 61: Buffer.from('ff000000010001', 'hex') }
    const ack = await bindTo(context, os(1, {}, duid))
    expect([ack.type, ack.address, readOption(ack.reply!.options, 'hostName')]).toEqual(['ack', '10.77.0.11', 'one'])
    const theft = os(7, { messageType: 3, requestedAddress: '10.77.0.11', serverIdentifier: '10.77.0.1' })
    expect((await decide(theft, context)).type).toBe('nak')
  })

  test('a client that has another address moves when it starts anew, not while it runs', async () => {
    const before = engine.context({ subnets: [{ ...settings.subnets[0]!, reservations: [] }] })
    const { address } = await bindTo(before, os(1, { requestedAddress: '10.77.0.10' }))
    expect(address).toBe('10.77.0.10')
    const now = engine.context(settings)
    const renewal = { ...os(1, { messageType: 3 }), ciaddr: address! }
    expect((await decide(renewal, now)).type).toBe('ack')
    expect((await decide(os(1, { messageType: 3, requestedAddress: address }), now)).type).toBe('nak')
    expect((await bindTo(now, os(1))).address).toBe('10.77.0.11')
  })
})

test('an administrator keeps an address by any of the names, and firmware finds it', async () => {
  const context = engine.context({ subnets: [{ subnet: '10.77.0.0/24', range: ['10.77.0.10', '10.77.0.20'] }] })
  await engine.leases.reserve('10.77.0.0/24', 'circuit:706f7274', '10.77.0.99')
  const packet = message(
    'ovmf-pxe-discover',
    { giaddr: '10.77.0.250' },
    {},
    { 82: agent([1, [...Buffer.from('port')]]) },
  )
  expect(await bindTo(context, packet)).toMatchObject({ type: 'ack', address: '10.77.0.99' })
})

describe('a server that is not the only one', () => {
  const settings = { ...racks, authoritative: false }

  test('is silent about clients that it knows nothing of', async () => {
    const context = engine.context(settings)
    const type = async (packet: Parameters<typeof decide>[0]) => (await decide(packet, context)).type
    expect(await type(os(0x71, { messageType: 3, requestedAddress: '10.77.0.10' }))).toBe('ignored')
    expect(await type(os(0x71, { messageType: 3, requestedAddress: '192.168.1.1' }))).toBe('ignored')
    expect(await type({ ...os(0x71, { messageType: 3 }), ciaddr: '10.77.0.10' })).toBe('ignored')
    const { address } = await bindTo(context, os(0x71))
    expect(await type(os(0x71, { messageType: 3, requestedAddress: address }))).toBe('ack')
    expect(await type({ ...os(0x71, { messageType: 3 }), ciaddr: address! })).toBe('ack')
  })
})

describe('an address in use by a stranger', () => {
  const settings = { subnets: [{ subnet: '10.77.0.0/24', range: ['10.77.0.10', '10.77.0.12'] as [string, string] }] }
  const asked: string[] = []
  const used = new Map([['10.77.0.10', '02:00:00:00:00:99']])
  const probe = {
    isPending: () => false,
    async ask(address: string) {
      asked.push(address)
      return used.get(address)
    },
  }

  test('is set aside, and another one offered; known ones are not asked for again', async () => {
    const context = engine.context(settings, { probe })
    const { address } = await decide(os(1, { requestedAddress: '10.77.0.10' }), context)
    expect(address).toMatch(/^10\.77\.0\.1[12]$/)
    expect(asked).toEqual(['10.77.0.10', address])
    await decide(os(1), context)
    expect(asked).toHaveLength(2)
    const declined = (await engine.leases.list('10.77.0.0/24')).filter(({ state }) => state === 'declined')
    expect(declined.map((lease) => lease.address)).toEqual(['10.77.0.10'])
  })

  test('a client that answers for its own address keeps it, and relayed clients are not asked for', async () => {
    const context = engine.context(settings, { probe: { ...probe, ask: async () => '52:54:00:bb:00:01' } })
    expect((await decide(os(1, { requestedAddress: '10.77.0.11' }), context)).address).toBe('10.77.0.11')
    const never = { isPending: () => false, ask: () => Promise.reject(new Error('asked')) }
    const relayed = { ...os(2), giaddr: '10.77.0.250' }
    expect((await decide(relayed, engine.context(settings, { probe: never }))).type).toBe('offer')
  })
})

test('RELEASE and DECLINE that name another server change nothing', async () => {
  const context = engine.context(racks)
  const { address } = await bindTo(context, os(1))
  const elsewhere = { serverIdentifier: '10.77.0.9' }
  const release = { ...os(1, { messageType: 7, ...elsewhere }), ciaddr: address! }
  expect((await decide(release, context)).type).toBe('ignored')
  expect((await decide(os(1, { messageType: 4, requestedAddress: address, ...elsewhere }), context)).type).toBe(
    'ignored',
  )
  expect((await engine.leases.list('10.77.0.0/24'))[0]!.state).toBe('bound')
})

test('firmware whose promised address the settings have moved away from is not refused', async () => {
  const before = engine.context({ subnets: [{ subnet: '10.77.0.0/24', range: ['10.77.0.10', '10.77.0.12'] }] })
  const after = engine.context({ subnets: [{ subnet: '10.77.0.0/24', range: ['10.77.0.100', '10.77.0.120'] }] })
  const { address } = await decide(message('ovmf-pxe-discover'), before)
  const choice = { messageType: 3, requestedAddress: address, serverIdentifier: '10.77.0.1' }
  expect((await decide(message('ovmf-pxe-discover', {}, choice), after)).type).toBe('ack')
  const next = await decide(message('ovmf-pxe-discover', chaddr(9)), after)
  expect(next.address).toMatch(/^10\.77\.0\.1[012]\d$/)
})

test('options that do not fit a small client go first where it did not ask for them', async () => {
  const context = engine.context({ ...racks, options: { rootPath: 'r'.repeat(250), posixTimeZone: 'z'.repeat(250) } })
  const packet = os(1, { maximumSize: 576, parameterList: Buffer.of(1, 100) })
  const { reply } = await decide(packet, context)
  const bytes = encodeReply(reply!, packet)
  expect(bytes.length).toBeLessThanOrEqual(548)
  expect(bytes.includes('z'.repeat(250))).toBe(true)
  expect(bytes.includes('rrr')).toBe(false)
})
