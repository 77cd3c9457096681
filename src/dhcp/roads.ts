import { architectures, type Client, type Speaker } from './firmware.ts'
import { writeOptions } from './options.ts'

/** Where a node finds this server: its IPv4 address on the boot network, and the port that nodes ask by HTTP. */
export interface BootServer {
  readonly address: string
  readonly httpPort: number
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
  answer(server: BootServer): BootAnswer
}

const byTftp = (program: string) => (server: BootServer) => tell(server, program, {})

/** The file stands in the header, where PXE firmware and iPXE look when there is no option 67. */
function tell(server: BootServer, file: string, options: Parameters<typeof writeOptions>[0]): BootAnswer {
  return { siaddr: server.address, file, options: writeOptions(options) }
}

/** Where boot programs are to be had over HTTP. */
const programUrl = (server: BootServer, program: string) =>
  `http://${server.address}:${server.httpPort}/program/${program}`

/** Sub-option 176 = 1 ends iPXE's wait of 3 s for a ProxyDHCP server. */
const noProxyDhcp = Buffer.of(176, 1, 1)

/**
 * Every road there is. A new one is a row here. Option 60 = `PXEClient` is not sent on purpose: without option 43 OVMF
 * rejects the offer with PXE-E16. HTTP Boot does want its `HTTPClient` back.
 */
const roads: readonly Road[] = [
  {
    name: 'ipxe',
    speaker: 'ipxe',
    answer: (server) => tell(server, `http://${server.address}:${server.httpPort}/boot.ipxe`, { ipxe: noProxyDhcp }),
  },
  { name: 'bios-pxe', speaker: 'pxe', architectures: [architectures.bios], answer: byTftp('undionly.kpxe') },
  {
    name: 'uefi-x64-pxe',
    speaker: 'pxe',
    architectures: [architectures.x64Uefi, architectures.x64UefiByEbc],
    answer: byTftp('snponly.efi'),
  },
  {
    name: 'uefi-x64-http',
    speaker: 'http',
    architectures: [architectures.x64UefiHttp],
    answer(server) {
      const url = programUrl(server, 'snponly.efi')
      return tell(server, url, { vendorClass: 'HTTPClient', bootFile: url })
    },
  },
]

/** The road that a client takes; undefined for a running operating system and for firmware without a row. */
export function roadOf(client: Client): Road | undefined {
  return roads.find(
    (road) =>
      road.speaker === client.speaker &&
      (road.architectures === undefined ||
        (client.architecture !== undefined && road.architectures.includes(client.architecture))),
  )
}
