import { describe, expect, test } from 'vitest'
import { BootLoops } from '../../src/dhcp/boot-loop.ts'
import { readOption } from '../../src/dhcp/options.ts'
import { isOwnQuestion, questionOf } from '../../src/dhcp/other-server.ts'
import { noAddress } from '../../src/dhcp/packet.ts'
import { decideProxy } from '../../src/dhcp/proxy.ts'
import { destinationOf, encodeReply, ports } from '../../src/dhcp/reply.ts'
import { message } from './context.ts'
import { golden } from './golden.ts'

const programs = { bios: 'undionly.kpxe', x64Uefi: 'snponly.efi' }
const server = { address: '10.77.0.1', httpPort: 8080, programs }
const ask = (packet: ReturnType<typeof message>, port: number = ports.server) =>
  decideProxy(packet, { server, loops: new BootLoops() }, port)

describe('beside another server', () => {
  test.each(['ipxe-bios', 'ovmf-pxe', 'ovmf-http'])('%s is told what to boot, byte for byte', async (name) => {
    const packet = message(`${name}-discover`)
    const { type, reply } = await ask(packet)
    expect(type).toBe('offer')
    expect(reply!.yiaddr).toBe(noAddress)
    expect([51, 1, 3, 6].filter((code) => reply!.options.has(code))).toEqual([])
    const bytes = encodeReply(reply!, packet)
    expect(bytes.toString('hex')).toBe(golden(`reply-proxy-${name}`).toString('hex'))
  })

  test('PXE firmware is told to load the file of this very offer', async () => {
    const { reply } = await ask(message('ovmf-pxe-discover'))
    expect(readOption(reply!.options, 'vendorClass')).toBe('PXEClient')
    expect(reply!.options.get(43)).toEqual(Buffer.of(6, 1, 8, 255))
    expect(reply).toMatchObject({ siaddr: '10.77.0.1', file: 'snponly.efi' })
  })

  test('iPXE is not told to ignore ProxyDHCP: it would ignore this offer', async () => {
    const { reply } = await ask(message('ipxe-bios-discover'))
    expect(reply!.options.has(175)).toBe(false)
  })

  test('running systems, and requests for an address, are left to the other server', async () => {
    expect((await ask(message('udhcpc-discover'))).type).toBe('ignored')
    expect((await ask(message('ovmf-pxe-request'))).type).toBe('ignored')
    expect((await ask(message('ovmf-pxe-discover', { op: 2 }))).type).toBe('ignored')
  })

  test('whoever asks at port 4011 is answered where it asked from', async () => {
    const packet = message('ovmf-pxe-request', { ciaddr: '10.77.0.9' })
    const { type, reply } = await ask(packet, ports.bootServer)
    expect([type, reply!.ciaddr, reply!.yiaddr, reply!.file]).toEqual(['ack', '10.77.0.9', noAddress, 'snponly.efi'])
    const source = { address: '10.77.0.9', port: 1234 }
    expect(destinationOf(reply!, packet, source, ports.bootServer)).toEqual(source)
    expect((await ask(message('ovmf-pxe-discover'), ports.bootServer)).type).toBe('ignored')
  })

  test('firmware without a boot program is left alone', async () => {
    expect((await ask(message('ovmf-pxe-discover', {}, { architecture: [11] }))).type).toBe('ignored')
  })
})

test('a server knows the question of its own installation from that of others', () => {
  const asked = message('udhcpc-discover', {}, { vendorClass: questionOf('one') })
  expect([isOwnQuestion(asked, 'one'), isOwnQuestion(asked, 'two')]).toEqual([true, false])
})
