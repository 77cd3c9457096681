import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NamedOptions } from '../../src/config/dhcp-settings.ts'
import { overlay, readNamedOptions } from '../../src/dhcp/named-options.ts'
import { ownOptions, settableOptions } from '../../src/dhcp/option-table.ts'

const read = (named: NamedOptions) => {
  const findings: string[] = []
  const options = readNamedOptions(named, 'options', (finding) => findings.push(finding))
  return { hex: [...options].map(([code, bytes]) => `${code} ${bytes.toString('hex')}`), findings }
}

test.each<[string, NamedOptions, string]>([
  ['an address', { swapServer: '10.0.0.1' }, '16 0a000001'],
  ['addresses', { ntpServers: ['10.0.0.1', '10.0.0.2'] }, '42 0a0000010a000002'],
  ['one address where several may be', { ntpServers: '10.0.0.1' }, '42 0a000001'],
  ['no address, where that means something', { mobileIpHomeAgents: [] }, '68 '],
  ['a byte', { defaultTimeToLive: 64 }, '23 40'],
  ['16 bits', { interfaceMtu: 9000 }, '26 2328'],
  ['several of 16 bits', { pathMtuPlateaus: [68, 1492] }, '25 004405d4'],
  ['32 bits', { arpCacheTimeout: 4294967295 }, '35 ffffffff'],
  ['32 bits with a sign', { timeOffset: -3600 }, '2 fffff1f0'],
  ['true', { ipForwarding: true }, '19 01'],
  ['text', { rootPath: 'nfs:/x' }, '17 6e66733a2f78'],
  ['bytes', { vendorSpecific: '06:01:08:ff' }, '43 060108ff'],
  ['an option by its number', { 224: '0x0a0B' }, '224 0a0b'],
  ['pairs', { staticRoutes: ['10.1.0.1 10.0.0.1'] }, '33 0a0100010a000001'],
  [
    'routes (RFC 3442)',
    { classlessStaticRoutes: ['10.0.0.0/8 10.0.0.1', '10.17.0.0/16 10.0.0.1', '0.0.0.0/0 10.0.0.2'] },
    '121 080a0a000001100a110a000001000a000002',
  ],
  ['a route to part of a byte', { classlessStaticRoutes: '10.229.0.128/25 10.0.0.1' }, '121 190ae500800a000001'],
  ['domains (RFC 3397)', { domainSearch: ['a.example.', 'b'] }, '119 0161076578616d706c6500016200'],
])('%s', (_what, named, bytes) => {
  expect(read(named)).toEqual({ hex: [bytes], findings: [] })
})

test.each<[NamedOptions, string]>([
  [{ interfaceMtu: 70000 }, 'options.interfaceMtu: must be a whole number from 0 to 65535'],
  [{ interfaceMtu: '9000' }, 'options.interfaceMtu: must be a whole number from 0 to 65535'],
  [{ ntpServers: ['10.0.0'] }, 'options.ntpServers: must be IPv4 addresses'],
  [{ ntpServers: [] }, 'options.ntpServers: must be IPv4 addresses'],
  [{ rootPath: '' }, 'options.rootPath: must be text of printable ASCII characters'],
  [{ rootPath: 'a\nb' }, 'options.rootPath: must be text of printable ASCII characters'],
  [{ ipForwarding: 1 }, 'options.ipForwarding: must be true or false'],
  [{ vendorSpecific: '0a0' }, 'options.vendorSpecific: must be bytes in hexadecimal, as 0a:0b'],
  [
    { classlessStaticRoutes: '10.0.0.0/33 10.0.0.1' },
    'options.classlessStaticRoutes: must be routes, as "10.1.0.0/16 10.0.0.1"',
  ],
  [{ domainSearch: 'a..b' }, 'options.domainSearch: must be domain names'],
  [{ interfaceMtuu: 1 }, 'options.interfaceMtuu: no such option; did you mean interfaceMtu?; others go by number'],
  [{ constructor: 'x' }, 'options.constructor: no such option; others go by number'],
  [{ 53: '01' }, "options.53: option 53 is the server's own to fill in"],
  [{ 0: '01' }, "options.0: option 0 is the server's own to fill in"],
  [{ 999: '01' }, "options.999: option 999 is the server's own to fill in"],
  [{ 200: 7 }, 'options.200: must be bytes in hexadecimal, as 0a:0b'],
])('%o is refused', (named, finding) => {
  expect(read(named)).toEqual({ hex: [], findings: [finding] })
})

describe('the table', () => {
  test('has every option of RFC 2132 that is a server to give, under one name each', () => {
    const codes = Object.values(settableOptions).map(([code]) => code)
    expect(new Set(codes).size).toBe(codes.length)
    for (let code = 1; code <= 76; code++) {
      // 62 and 63 are NetWare/IP (RFC 2242).
      if (code === 62 || code === 63) continue
      expect([code, codes.includes(code) || ownOptions.has(code)]).toEqual([code, true])
    }
  })

  test('whatever a value is, it becomes bytes or a finding', () => {
    const value = fc.oneof(
      fc.string(),
      fc.double(),
      fc.integer(),
      fc.boolean(),
      fc.array(fc.oneof(fc.string(), fc.double()), { maxLength: 5 }),
      fc.ipV4(),
    )
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(settableOptions)), value, (name, given) => {
        const { hex, findings } = read({ [name]: given })
        expect(hex.length + findings.length).toBe(1)
      }),
      { numRuns: 500 },
    )
  })
})

test('later layers stand over earlier ones', () => {
  const layer = (text: string) => new Map([[12, Buffer.from(text)]])
  expect(overlay(layer('subnet'), undefined, layer('node')).get(12)!.toString()).toBe('node')
})
