import { architectures, type Client, type Speaker } from './firmware.ts'
import { writeOptions } from './options.ts'

/** Firmware that needs a boot program of its own; the settings name the file of each (`boot.programs`). */
type ProgramFor = 'bios' | 'x64Uefi' | 'ia32Uefi' | 'arm64Uefi'

/** Where a node finds this server: its IPv4 address on the boot network, and the port that nodes ask by HTTP. */
export interface BootServer {
  readonly address: string
  readonly httpPort: number
  /** Under which name TFTP and HTTP have the boot program of a firmware; absent where there is none. */
  readonly programs: { readonly [firmware in ProgramFor]?: string | undefined }
}

/** What a reply says of booting, beside the address. */
export interface BootAnswer {
  readonly siaddr: string
  readonly file: string
  readonly options: ReadonlyMap<number, Buffer>
}

/** One way from power-on to the boot script: who takes it, and what it is told. */
export interface Road {
  readonly name: string
  readonly speaker: Speaker
  /** Undefined: any. */
  readonly architectures?: readonly number[]
  /** Undefined: none; iPXE is given a script. So no iPXE is ever told to load iPXE. */
  readonly program?: ProgramFor
}

/** Every road there is. A new one is a row here. */
export const roads: readonly Road[] = [
  { name: 'ipxe', speaker: 'ipxe' },
  { name: 'bios-pxe', speaker: 'pxe', architectures: [architectures.bios], program: 'bios' },
  {
    name: 'uefi-x64-pxe',
    speaker: 'pxe',
    architectures: [architectures.x64Uefi, architectures.x64UefiByEbc],
    program: 'x64Uefi',
  },
  { name: 'uefi-ia32-pxe', speaker: 'pxe', architectures: [architectures.ia32Uefi], program: 'ia32Uefi' },
  { name: 'uefi-arm64-pxe', speaker: 'pxe', architectures: [architectures.arm64Uefi], program: 'arm64Uefi' },
  { name: 'uefi-x64-http', speaker: 'http', architectures: [architectures.x64UefiHttp], program: 'x64Uefi' },
  { name: 'uefi-ia32-http', speaker: 'http', architectures: [architectures.ia32UefiHttp], program: 'ia32Uefi' },
  { name: 'uefi-arm64-http', speaker: 'http', architectures: [architectures.arm64UefiHttp], program: 'arm64Uefi' },
]

/** The road that a client takes; undefined for a running operating system and for firmware without a row. */
export function roadOf(client: Client): Road | undefined {
  if (client.speaker === 'os') return undefined
  return roads.find(
    (road) =>
      road.speaker === client.speaker &&
      (road.architectures === undefined ||
        (client.architecture !== undefined && road.architectures.includes(client.architecture))),
  )
}

/** What iPXE runs: it asks for the script of its MAC, after it was asked who it is. */
export const scriptUrl = (server: BootServer): string => `http://${server.address}:${server.httpPort}/boot.ipxe`

const programUrl = (server: BootServer, program: string) =>
  `http://${server.address}:${server.httpPort}/program/${program}`

/** Sub-option 176 = 1 ends iPXE's wait of 3 s for a ProxyDHCP server. */
const noProxyDhcp = Buffer.of(176, 1, 1)

/**
 * What a client on a road is told by the server that gives it its address; undefined where its firmware's boot program
 * is missing. Option 60 = `PXEClient` is not sent on purpose: without option 43 OVMF rejects the offer with PXE-E16. HTTP
 * Boot does want its `HTTPClient` back.
 */
export function answerOn(road: Road, server: BootServer): BootAnswer | undefined {
  const siaddr = server.address
  // The file stands in the header, where PXE firmware and iPXE look when there is no option 67.
  if (road.program === undefined) {
    // iPXE fills in its MAC: who has said who it is before is not asked again.
    const file = `${scriptUrl(server)}?mac=\${netX/mac}`
    return { siaddr, file, options: writeOptions({ ipxe: noProxyDhcp }) }
  }
  const program = server.programs[road.program]
  if (program === undefined) return undefined
  if (road.speaker !== 'http') return { siaddr, file: program, options: new Map() }
  const url = programUrl(server, program)
  return { siaddr, file: url, options: writeOptions({ vendorClass: 'HTTPClient', bootFile: url }) }
}

/** PXE_DISCOVERY_CONTROL (PXE 2.1 §2.2.3, tag 6), bit 3: load the file of this offer, look for no boot server. */
const bootFromThisOffer = Buffer.of(6, 1, 8, 255)

/**
 * What a client on a road is told beside another server's offer (ProxyDHCP): firmware takes it only with option 60. Not
 * 175.176 to iPXE: it would ignore this very offer.
 */
export function proxyAnswerOn(road: Road, server: BootServer): BootAnswer | undefined {
  const answer = answerOn(road, server)
  if (!answer || road.speaker === 'http') return answer
  return { ...answer, options: writeOptions({ vendorClass: 'PXEClient', vendorSpecific: bootFromThisOffer }) }
}
