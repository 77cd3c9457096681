import { expect, test } from 'vitest'
import { BootLoops } from '../../src/dhcp/boot-loop.ts'
import { identify } from '../../src/dhcp/firmware.ts'
import { decodePacket } from '../../src/dhcp/packet.ts'
import { answerOn, roadOf } from '../../src/dhcp/roads.ts'
import { golden } from './golden.ts'

const packet = (name: string, options: Record<number, Buffer> = {}) => {
  const decoded = decodePacket(golden(name))
  const changed = Object.entries(options).map(([code, value]) => [Number(code), value] as const)
  return { ...decoded, options: new Map([...decoded.options, ...changed]) }
}
/** The same without options: PXE firmware of a network card is iPXE's packet without iPXE's own. */
const without = (name: string, ...codes: number[]) => {
  const decoded = decodePacket(golden(name))
  return { ...decoded, options: new Map([...decoded.options].filter(([code]) => !codes.includes(code))) }
}
const seen = (from: ReturnType<typeof packet>) => {
  const client = identify(from)
  return [client.speaker, client.architecture, roadOf(client)?.name]
}

test.each([
  ['ipxe-bios-discover', 'ipxe', 0, 'ipxe'],
  ['undionly-discover', 'ipxe', 0, 'ipxe'],
  ['ipxe-efi-discover', 'ipxe', 7, 'ipxe'],
  ['ovmf-pxe-discover', 'pxe', 7, 'uefi-x64-pxe'],
  ['ovmf-http-discover', 'http', 16, 'uefi-x64-http'],
  ['udhcpc-discover', 'os', undefined, undefined],
  ['dhclient-discover', 'os', undefined, undefined],
  ['perfdhcp-discover', 'os', undefined, undefined],
])('%s is known as %s of architecture %s, on the road %s', (name, ...expected) => {
  expect(seen(packet(name))).toEqual(expected)
})

test("iPXE is known by its bare user class, by RFC 3004's form among others, and by option 175 alone", () => {
  expect(identify(packet('ipxe-bios-discover')).userClass).toBe('iPXE')
  expect(seen(without('ipxe-bios-discover', 77))[0]).toBe('ipxe')
  expect(seen(packet('udhcpc-discover', { 77: Buffer.from('\x04iPXE\x03rck') }))[0]).toBe('ipxe')
  expect(identify(packet('udhcpc-discover', { 77: Buffer.from('\x04iPXE\x03rck') })).userClass).toBe('iPXE,rck')
  expect(seen(packet('udhcpc-discover', { 77: Buffer.from('\x04gPXE') }))[0]).toBe('os')
})

test('BIOS firmware gets undionly, and x86-64 UEFI by whichever of its numbers gets snponly', () => {
  expect(seen(without('ipxe-bios-discover', 77, 175))).toEqual(['pxe', 0, 'bios-pxe'])
  expect(seen(packet('ovmf-pxe-discover', { 93: Buffer.of(0, 9) }))).toEqual(['pxe', 9, 'uefi-x64-pxe'])
  expect(seen(without('ovmf-pxe-discover', 93))).toEqual(['pxe', 7, 'uefi-x64-pxe'])
})

test.each([
  [0, 'pxe', 'bios-pxe', 'undionly.kpxe'],
  [6, 'pxe', 'uefi-ia32-pxe', undefined],
  [7, 'pxe', 'uefi-x64-pxe', 'snponly.efi'],
  [9, 'pxe', 'uefi-x64-pxe', 'snponly.efi'],
  [11, 'pxe', 'uefi-arm64-pxe', undefined],
  [15, 'http', 'uefi-ia32-http', undefined],
  [16, 'http', 'uefi-x64-http', 'http://10.0.0.1:8080/program/snponly.efi'],
  [19, 'http', 'uefi-arm64-http', undefined],
])('architecture %i by %s is on the road %s, and loads %s where Debian has no other', (arch, speaker, road, file) => {
  const firmware = identify(packet(`ovmf-${speaker}-discover`, { 93: Buffer.of(0, arch) }))
  const found = roadOf(firmware)!
  expect(found.name).toBe(road)
  const server = { address: '10.0.0.1', httpPort: 8080, programs: { bios: 'undionly.kpxe', x64Uefi: 'snponly.efi' } }
  expect(answerOn(found, server)?.file).toBe(file)
  const named = { ...server, programs: { ...server.programs, ia32Uefi: 'ia32.efi', arm64Uefi: 'arm64.efi' } }
  expect(answerOn(found, named)?.file).toMatch(file ? new RegExp(file) : /(ia32|arm64)\.efi$/)
})

test('firmware without a row in the table is on no road', () => {
  expect(seen(packet('ovmf-pxe-discover', { 93: Buffer.of(0, 27) }))).toEqual(['pxe', 27, undefined])
})

test('iPXE is never told to load a boot program, and one that hides is found out', () => {
  for (const arch of [0, 6, 7, 9, 11]) {
    expect(roadOf(identify(packet('ipxe-bios-discover', { 93: Buffer.of(0, arch) })))!.program).toBeUndefined()
  }
  const loops = new BootLoops()
  const hiding = identify(packet('ipxe-bios-discover', { 77: Buffer.from('OurOwnPXE') }))
  const plain = identify(without('ipxe-bios-discover', 77, 175))
  const given = (client: typeof hiding) => roadOf(loops.straighten(client, true))!.name
  expect([1, 2, 3, 4].map(() => given(hiding))).toEqual(['bios-pxe', 'bios-pxe', 'ipxe', 'ipxe'])
  expect(given(identify(packet('ipxe-bios-discover')))).toBe('ipxe')
  expect(given(hiding)).toBe('bios-pxe')
  // A card's firmware may load its boot program as often as it likes: it is no iPXE.
  expect([1, 2, 3, 4].map(() => given(plain))).toEqual(Array(4).fill('bios-pxe'))
})

test('a client identifier that repeats the MAC is the MAC: firmware and system are then one client', () => {
  expect(identify(packet('ovmf-pxe-discover', {})).identity).toBe('mac:52:54:00:aa:00:03')
  expect(identify(packet('ipxe-efi-discover')).identity).toBe('mac:52:54:00:aa:00:04')
  const duid = Buffer.from('ff00aa0004000100012a', 'hex')
  expect(identify(packet('ipxe-efi-discover', { 61: duid }))).toMatchObject({
    identity: 'id:ff00aa0004000100012a',
    mac: '52:54:00:aa:00:04',
  })
})
