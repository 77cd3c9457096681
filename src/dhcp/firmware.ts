import { nameOfCircuit, nameOfIdentifier, nameOfUuid, uuidsOf } from './identity.ts'
import { readOption } from './options.ts'
import type { DhcpPacket } from './packet.ts'
import { type RelayAgent, readRelayAgent } from './relay.ts'

/** What speaks DHCP on the node: firmware of some kind, iPXE whoever loaded it, or an operating system. */
export type Speaker = 'ipxe' | 'pxe' | 'http' | 'os'

/** Processor architectures of firmware (RFC 4578 §2.1, IANA "Processor Architecture Types"). */
export const architectures = {
  bios: 0,
  ia32Uefi: 6,
  x64Uefi: 7,
  /** Registered for EFI bytecode, but sent by x86-64 UEFI of several makers. */
  x64UefiByEbc: 9,
  arm64Uefi: 11,
  ia32UefiHttp: 15,
  x64UefiHttp: 16,
  arm64UefiHttp: 19,
} as const

export interface Client {
  /** Lower-case with colons: the words of the fleet for a node. */
  readonly mac: string
  /** Who holds the lease: option 61 when it says more than the MAC, else the MAC. */
  readonly identity: string
  /** What else a reservation may go by; see identity.ts. */
  readonly names: readonly string[]
  readonly relay: RelayAgent | undefined
  readonly speaker: Speaker
  readonly architecture: number | undefined
  readonly userClass: string | undefined
  readonly vendorClass: string | undefined
  /** It is some iPXE, whatever user class it goes by. */
  readonly hasIpxeOption: boolean
}

/** Reads who sent a message; the captured packets in test/dhcp/golden show each firmware's habits. */
export function identify(packet: DhcpPacket): Client {
  const mac = macOf(packet.chaddr)
  const vendorClass = readOption(packet.options, 'vendorClass')
  const userClasses = readUserClasses(readOption(packet.options, 'userClass'))
  const relay = readRelayAgent(packet.options)
  return {
    mac,
    identity: readIdentity(packet, mac),
    names: readNames(packet, relay),
    relay,
    speaker: speakerOf(vendorClass, userClasses, packet.options.has(175)),
    architecture: readOption(packet.options, 'architecture')?.[0] ?? architectureOf(vendorClass),
    userClass: userClasses.length === 0 ? undefined : userClasses.join(','),
    vendorClass,
    hasIpxeOption: packet.options.has(175),
  }
}

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function macOf(bytes: Buffer): string {
  let mac = ''
  for (let at = 0; at < bytes.length; at++) mac += at === 0 ? digits[bytes[at]!]! : `:${digits[bytes[at]!]!}`
  return mac
}

const none: readonly string[] = []

function readNames(packet: DhcpPacket, relay: RelayAgent | undefined): readonly string[] {
  const identifier = readOption(packet.options, 'clientIdentifier')
  if (!identifier && !relay && !packet.options.has(97)) return none
  const names: string[] = []
  if (identifier && identifier.length > 1) names.push(nameOfIdentifier(identifier))
  const machine = readOption(packet.options, 'machineIdentifier')
  if (machine) names.push(...uuidsOf(machine).map(nameOfUuid))
  if (relay?.circuitId) names.push(nameOfCircuit(relay.circuitId))
  return names
}

/** An iPXE whose user class was set to something else wants to be taken for what it says. */
function speakerOf(vendorClass: string | undefined, userClasses: readonly string[], hasIpxeOption: boolean): Speaker {
  if (userClasses.includes('iPXE') || (hasIpxeOption && userClasses.length === 0)) return 'ipxe'
  if (vendorClass?.startsWith('PXEClient')) return 'pxe'
  if (vendorClass?.startsWith('HTTPClient')) return 'http'
  return 'os'
}

/** RFC 3004 puts a length before each class; iPXE sends the bare name. */
function readUserClasses(bytes: Buffer | undefined): readonly string[] {
  if (!bytes || bytes.length === 0) return none
  const classes: string[] = []
  let at = 0
  while (at < bytes.length) {
    const length = bytes[at]!
    if (length === 0 || at + 1 + length > bytes.length) return [printable(bytes)]
    classes.push(printable(bytes.subarray(at + 1, at + 1 + length)))
    at += 1 + length
  }
  return classes
}

const printable = (bytes: Buffer) => bytes.toString('latin1').replace(/[^ -~]/g, '?')

/** `PXEClient:Arch:00007:UNDI:003016` names the architecture too, for firmware without option 93. */
function architectureOf(vendorClass: string | undefined): number | undefined {
  const digits = vendorClass?.match(/:Arch:(\d{5})/)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/**
 * A client identifier that is the hardware type and address says no more than the MAC: firmware without option 61 and
 * an operating system with it are then the same client, and keep one address through a boot.
 */
function readIdentity(packet: DhcpPacket, mac: string): string {
  const identifier = readOption(packet.options, 'clientIdentifier')
  if (!identifier || identifier.length < 2) return `mac:${mac}`
  const isMac = identifier[0] === packet.htype && identifier.subarray(1).equals(packet.chaddr)
  return isMac ? `mac:${mac}` : `id:${identifier.toString('hex')}`
}
