import type { Settings } from '../config/settings.ts'
import type { Leases } from '../state/leases.ts'
import { BootLoops } from './boot-loop.ts'
import { type ClientClass, readClasses } from './classes.ts'
import type { Options } from './options.ts'
import type { BootServer } from './roads.ts'
import type { SpareAddresses } from './spare-addresses.ts'
import { readSubnets, type Subnet } from './subnets.ts'

/** Finds out who uses an address on the wire. */
export interface Probe {
  /** The MAC that answers for it, or undefined. Never rejects. */
  ask(address: string): Promise<string | undefined>
  /** Whether the answer is still being waited for. */
  isPending(address: string): boolean
}

/** What the engine answers from, on one interface. */
export interface DhcpContext {
  readonly server: BootServer
  /** The interface that requests come in by. */
  readonly interface: string
  /** Every address that this server may be chosen by. */
  readonly ownAddresses: readonly string[]
  readonly subnets: readonly Subnet[]
  readonly classes: readonly ClientClass[]
  /** What all clients are told. */
  readonly options: Options
  readonly authoritative: boolean
  /** Seconds that an offered address is held for its client. */
  readonly offerHold: number
  readonly leases: Leases
  readonly loops: BootLoops
  readonly probe: Probe | undefined
  /** Addresses that were asked for ahead of need. */
  readonly spares: SpareAddresses | undefined
  /** An address of the pool turned out to be in use by this MAC, unknown to the lease table. */
  readonly onConflict: ((address: string, user: string) => void) | undefined
  /** Options that the admin gave the node or its groups; rejects when they cannot be had. At once where nobody has any. */
  readonly optionsOf: ((mac: string) => Promise<Options | undefined> | undefined) | undefined
}

interface Given {
  readonly server: BootServer
  readonly interface: string
  readonly ownAddresses?: readonly string[]
  readonly settings: Pick<Settings['dhcp'], 'subnets' | 'classes' | 'options' | 'authoritative' | 'offerHold'>
  readonly leases: Leases
  readonly probe?: Probe | undefined
  readonly spares?: SpareAddresses | undefined
  readonly onConflict?: DhcpContext['onConflict']
  readonly optionsOf?: DhcpContext['optionsOf']
}

/** The settings, checked. Throws DHCP_SETTINGS_INVALID. */
export function readContext(given: Given): DhcpContext {
  const { server, settings } = given
  const ownAddresses = given.ownAddresses ?? [server.address]
  return {
    server,
    interface: given.interface,
    ownAddresses,
    subnets: readSubnets(settings, ownAddresses),
    ...readClasses(settings),
    authoritative: settings.authoritative,
    offerHold: settings.offerHold,
    leases: given.leases,
    loops: new BootLoops(),
    probe: given.probe,
    spares: given.spares,
    onConflict: given.onConflict,
    optionsOf: given.optionsOf,
  }
}
