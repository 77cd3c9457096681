import { answerOn, type BootServer, type Road, roads, scriptUrl } from './roads.ts'

/** DHCP servers of others that can be told to send nodes here. */
export const dialects = ['dnsmasq', 'kea', 'isc'] as const
export type Dialect = (typeof dialects)[number]

/** What firmware of one architecture is told, beside its address. */
interface Row {
  readonly name: string
  readonly architecture: number
  readonly file: string
  readonly isHttp: boolean
}

/** A row for each architecture that a road serves; those whose boot program is missing are left out. */
function rowsOf(server: BootServer): Row[] {
  const row = (road: Road, architecture: number): Row[] => {
    const answer = answerOn(road, server)
    return answer ? [{ name: road.name, architecture, file: answer.file, isHttp: road.speaker === 'http' }] : []
  }
  return roads.flatMap((road) => (road.architectures ?? []).flatMap((architecture) => row(road, architecture)))
}

/** Configuration for another DHCP server: it gives out the addresses, nodes boot from here. */
export function snippet(dialect: Dialect, server: BootServer): string {
  const write = { dnsmasq, kea, isc }[dialect]
  return write(server, rowsOf(server))
}

// As in firmware.ts: the user class says what a client wants to be taken for, option 175 only where there is none.
const heading = 'Nodes boot from Bootloom; addresses stay with this server.'

function dnsmasq(server: BootServer, rows: readonly Row[]): string {
  const tag = ({ name, architecture }: Row) => `bootloom-${name}-${architecture}`
  return [
    `# ${heading} For a file in /etc/dnsmasq.d.`,
    '# iPXE, whoever loaded it, is given its script, and need not wait for a ProxyDHCP server.',
    'dhcp-userclass=set:bootloom-ipxe,iPXE',
    'dhcp-match=set:bootloom-any-ipxe,175',
    'dhcp-match=set:bootloom-other-class,77',
    'tag-if=set:bootloom-ipxe,tag:bootloom-any-ipxe,tag:!bootloom-other-class',
    `dhcp-boot=tag:bootloom-ipxe,${scriptUrl(server)},,${server.address}`,
    'dhcp-option-force=tag:bootloom-ipxe,encap:175,176,1b',
    ...rows.flatMap((row) => [
      `# ${row.name}: architecture ${row.architecture}`,
      `dhcp-match=set:${tag(row)},option:client-arch,${row.architecture}`,
      `dhcp-boot=tag:${tag(row)},tag:!bootloom-ipxe,${row.file},,${server.address}`,
      ...(row.isHttp ? [`dhcp-option-force=tag:${tag(row)},tag:!bootloom-ipxe,60,HTTPClient`] : []),
    ]),
    '',
  ].join('\n')
}

function kea(server: BootServer, rows: readonly Row[]): string {
  const isIpxe = "substring(option[77].hex,0,4) == 'iPXE' or (option[175].exists and not option[77].exists)"
  const common = { 'next-server': server.address }
  const classes = [
    {
      name: 'bootloom-ipxe',
      test: isIpxe,
      ...common,
      'boot-file-name': scriptUrl(server),
      'option-data': [{ code: 175, 'csv-format': false, data: 'B00101', 'always-send': true }],
    },
    ...rows.map(({ name, architecture, file, isHttp }) => ({
      name: `bootloom-${name}-${architecture}`,
      test: `option[93].hex == 0x${architecture.toString(16).padStart(4, '0')} and not member('bootloom-ipxe')`,
      ...common,
      'boot-file-name': file,
      ...(isHttp
        ? {
            'option-data': [
              { name: 'vendor-class-identifier', data: 'HTTPClient', 'always-send': true },
              { name: 'boot-file-name', data: file, 'always-send': true },
            ],
          }
        : {}),
    })),
  ]
  return [
    `// ${heading} A member of "Dhcp4" in kea-dhcp4.conf.`,
    `"client-classes": ${JSON.stringify(classes, undefined, 2)}`,
    '',
  ].join('\n')
}

function isc(server: BootServer, rows: readonly Row[]): string {
  const hex = (n: number) => [n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
  const branch = ({ name, architecture, file, isHttp }: Row) => [
    `} elsif option bootloom-arch = ${hex(architecture)} {`,
    `  # ${name}`,
    `  next-server ${server.address};`,
    `  filename "${file}";`,
    ...(isHttp ? ['  option vendor-class-identifier "HTTPClient";', `  option bootfile-name "${file}";`] : []),
  ]
  return [
    `# ${heading} For dhcpd.conf, outside of any subnet.`,
    'option bootloom-arch code 93 = string;',
    'option bootloom-ipxe code 175 = string;',
    'if option user-class = "iPXE" or (exists bootloom-ipxe and not exists user-class) {',
    `  next-server ${server.address};`,
    `  filename "${scriptUrl(server)}";`,
    '  option bootloom-ipxe b0:01:01;',
    ...rows.flatMap(branch),
    '}',
    '',
  ].join('\n')
}
