import type { Command } from 'commander'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { durationText, printResult, remark, table, timeText } from './output.ts'

interface LeaseRow {
  readonly subnet: string
  readonly address: string
  readonly mac: string
  readonly client: string
  readonly state: string
  /** Milliseconds since 1970. */
  readonly expires: number
}

interface ReservationRow {
  readonly subnet: string
  readonly name: string
  readonly address: string
  readonly from: string
}

interface Leases {
  readonly leases: readonly LeaseRow[]
  readonly reservations: readonly ReservationRow[]
}

interface ReserveOptions {
  readonly mac?: string
  readonly clientId?: string
  readonly uuid?: string
  readonly circuitId?: string
}

const leasePath = (address: string): string => `/v1/leases/${encodeURIComponent(address)}`
const reservationPath = (address: string): string => `/v1/reservations/${encodeURIComponent(address)}`

export function addLease(program: Command): void {
  const lease = addNoun(program, 'lease', 'Addresses given out by DHCP, and addresses kept for clients.')

  addCommand(lease, {
    words: 'list',
    description: 'List the leases, and the addresses that are reserved.',
    example: 'bootloom lease list',
  })
    .option('--running', 'only leases that have not ended')
    .action(async ({ running }: { running?: true }, command: Command) => {
      const all = await withApi(command, (api) => api.get<Leases>('/v1/leases'))
      const shown = running ? { ...all, leases: all.leases.filter(({ expires }) => expires > Date.now()) } : all
      if (shown.leases.length === 0) remark(command, 'No lease yet.')
      await printResult(command, shown, renderLeases)
    })

  addCommand(lease, {
    words: 'show <address>',
    description: 'Show who has an address, and until when.',
    example: 'bootloom lease show 10.77.0.100',
  }).action(async (address: string, _options: unknown, command: Command) => {
    const found = await withApi(command, (api) => api.get<LeaseRow>(leasePath(address)))
    await printResult(command, found, renderLease)
  })

  addCommand(lease, {
    words: 'release <address>',
    description: 'End a lease early: for a machine that is gone. One that still runs keeps using the address.',
    example: 'bootloom lease release 10.77.0.100',
  }).action(async (address: string, _options: unknown, command: Command) => {
    const released = await withApi(command, (api) => api.send<LeaseRow>('DELETE', leasePath(address)))
    await printResult(command, released, () => `${address} is free again`)
  })

  addCommand(lease, {
    words: 'reserve <address>',
    description: 'Keep an address for one client, which has it from its next start on.',
    example: 'bootloom lease reserve 10.77.0.50 --mac 52:54:00:aa:00:01',
  })
    .option('--mac <mac>', 'the client’s MAC address')
    .option('--client-id <id>', 'or its client identifier (option 61), as 01:52:54:… or as text')
    .option('--uuid <uuid>', 'or its UUID (option 97)')
    .option('--circuit-id <id>', 'or the relay’s name for its port (option 82.1), as bytes or as text')
    .action(async (address: string, options: ReserveOptions, command: Command) => {
      const reserved = await withApi(command, (api) =>
        api.send<ReservationRow>('PUT', reservationPath(address), options),
      )
      await printResult(command, reserved, ({ name }) => `${address} is kept for ${name}`)
    })

  addCommand(lease, {
    words: 'unreserve <address>',
    description: 'Keep an address for nobody any more.',
    example: 'bootloom lease unreserve 10.77.0.50',
  }).action(async (address: string, _options: unknown, command: Command) => {
    const freed = await withApi(command, (api) => api.send<ReservationRow>('DELETE', reservationPath(address)))
    await printResult(command, freed, ({ name }) => `${address} is no longer kept for ${name}`)
  })
}

async function renderLeases({ leases, reservations }: Leases): Promise<string> {
  const parts = [
    await table(
      ['address', 'mac', 'client', 'state', 'until'],
      leases.map(({ address, mac, client, state, expires }) => [
        address,
        mac,
        client === `mac:${mac}` ? '' : client,
        state,
        timeText(expires),
      ]),
    ),
    await table(
      ['reserved', 'for', 'by'],
      reservations.map(({ address, name, from }) => [address, name, from]),
    ),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function renderLease({ address, subnet, mac, client, state, expires }: LeaseRow): string {
  const left = expires - Date.now()
  const facts = [
    ['address', `${address} of ${subnet}`],
    ['mac', mac],
    ['client', client],
    ['state', state],
    ['until', `${timeText(expires)}${left > 0 ? `, in ${durationText(left)}` : ''}`],
  ]
  return facts.map(([name, value]) => `${name!.padEnd(9)}${value}`).join('\n')
}
