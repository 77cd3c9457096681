import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { BootloomError } from '../../src/config/errors.ts'
import { silent } from '../../src/config/log.ts'
import { FleetOptions } from '../../src/dhcp/fleet-options.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { type ApiServer, buildApi, listenApi } from '../../src/http/api-server.ts'
import { openLeases } from '../../src/state/leases.ts'
import { dhcpSettings } from '../dhcp/settings.ts'
import { type Fixture, mac, startFixture } from './fixture.ts'

let fixture: Fixture
let api: ApiServer
let client: ApiClient
const subnet = '10.77.0.0/24'
const pool = { subnet, ranges: [['10.77.0.10', '10.77.0.20'] as const], never: [] }
const holder = { identity: `mac:${mac}`, mac }

beforeAll(async () => {
  fixture = await startFixture()
  const dhcp = dhcpSettings({
    subnets: [
      { subnet, range: ['10.77.0.10', '10.77.0.20'], reservations: [{ clientId: 'ff:01', address: '10.77.0.99' }] },
    ],
  })
  const app = await buildApi({ ...fixture, settings: { ...fixture.settings, dhcp }, log: silent })
  api = await listenApi(app, `${fixture.settings.state}/api.sock`)
  client = new ApiClient(api.socket)
})
afterAll(async () => {
  await client.close()
  await api.close()
  await fixture.close()
})
beforeEach(() => fixture.state.redis.flushdb())

const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: BootloomError) => [error.code, ...error.details],
  )

test('leases and reservations are listed, with where they come from', async () => {
  const leases = openLeases(fixture.state.redis)
  await leases.offer(pool, holder, '10.77.0.12', 60)
  await leases.commit(pool, holder, '10.77.0.12', 600)
  await client.request('PUT', '/v1/reservations/10.77.0.13', { mac: '52-54-00-AA-00-09' })
  expect(await client.request('GET', '/v1/leases')).toMatchObject({
    leases: [{ subnet, address: '10.77.0.12', mac, client: `mac:${mac}`, state: 'bound' }],
    reservations: [
      { subnet, name: 'id:ff01', address: '10.77.0.99', from: 'settings' },
      { subnet, name: '52:54:00:aa:00:09', address: '10.77.0.13', from: 'admin' },
    ],
  })
  expect(await client.request('GET', '/v1/leases/10.77.0.12')).toMatchObject({ address: '10.77.0.12' })
  expect(await client.request('DELETE', '/v1/leases/10.77.0.12')).toMatchObject({ state: 'released' })
  expect(await failure(client.request('DELETE', '/v1/leases/10.77.0.12'))).toEqual(['LEASE_UNKNOWN'])
})

test('an address is kept for a client by any of its names, and let go again', async () => {
  const reserve = (address: string, body: object) => client.request('PUT', `/v1/reservations/${address}`, body)
  expect(await reserve('10.77.0.50', { clientId: 'rack' })).toMatchObject({ name: 'id:7261636b' })
  expect(await reserve('10.77.0.51', { circuitId: '01:02' })).toMatchObject({ name: 'circuit:0102' })
  const uuid = '4C4C4544-0042-3510-8052-B4C04F4E3132'
  expect(await reserve('10.77.0.52', { uuid })).toMatchObject({ name: `uuid:${uuid.toLowerCase()}` })
  expect(await failure(reserve('10.77.0.50', { mac }))).toEqual(['ADDRESS_RESERVED'])
  expect(await failure(reserve('10.77.0.99', { mac }))).toEqual(['ADDRESS_RESERVED'])
  expect(await failure(reserve('10.77.0.0', { mac }))).toEqual(['USAGE'])
  expect(await failure(reserve('10.1.0.1', { mac }))).toEqual(['SUBNET_UNKNOWN'])
  expect(await failure(reserve('10.77.0.60', {}))).toEqual(['USAGE', 'needs one of mac, clientId, uuid and circuitId'])
  expect(await client.request('DELETE', '/v1/reservations/10.77.0.50')).toMatchObject({ name: 'id:7261636b' })
  expect(await failure(client.request('DELETE', '/v1/reservations/10.77.0.50'))).toEqual(['RESERVATION_UNKNOWN'])
})

test('DHCP options of nodes stand over those of their groups, the first group over the next', async () => {
  const ofFleet = await FleetOptions.open(fixture.state.redis, silent)
  expect(await ofFleet.of(mac)).toBeUndefined()
  await client.request('PUT', '/v1/groups/web', { options: { interfaceMtu: 1400, rootPath: 'web', 224: '01' } })
  await client.request('PUT', '/v1/groups/rack', { options: { interfaceMtu: 1300, hostName: 'rack' } })
  await client.request('PUT', `/v1/nodes/${mac}`, { groups: ['web', 'rack'], options: { rootPath: 'own' } })
  const fresh = await FleetOptions.open(fixture.state.redis, silent)
  const options = await fresh.of(mac)
  expect(new Map(options)).toEqual(
    new Map([
      [26, Buffer.of(5, 120)],
      [12, Buffer.from('rack')],
      [17, Buffer.from('own')],
      [224, Buffer.of(1)],
    ]),
  )
  await client.request('PUT', `/v1/nodes/${mac}`, { options: {}, groups: [] })
  expect((await fresh.of(mac))?.size).toBe(0)
  for (const each of [ofFleet, fresh]) await each.close()
})

test('options that do not exist, or have another type, are refused with their path', async () => {
  const options = { interfaceMtu: 'x', nothing: 1, 53: '01' }
  expect(await failure(client.request('PUT', `/v1/nodes/${mac}`, { options }))).toEqual([
    'USAGE',
    "options.53: option 53 is the server's own to fill in",
    'options.interfaceMtu: must be a whole number from 0 to 65535',
    'options.nothing: no such option; others go by number',
  ])
})
