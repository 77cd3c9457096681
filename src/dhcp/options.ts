/**
 * DHCP options (RFC 2132 and later): a packet holds each as bytes under its number, unknown ones too; this file gives the
 * numbers their names and their values a type.
 */
export type Options = ReadonlyMap<number, Buffer>

interface Kind<T> {
  /** Undefined when the bytes cannot be such a value: a wrong length is treated as if the option had not been sent. */
  decode(bytes: Buffer): T | undefined
  encode(value: T): Buffer
}

const whole = (size: 1 | 2 | 4): Kind<number> => ({
  decode: (bytes) => (bytes.length === size ? bytes.readUIntBE(0, size) : undefined),
  encode(value) {
    const bytes = Buffer.alloc(size)
    bytes.writeUIntBE(value, 0, size)
    return bytes
  },
})

const address: Kind<string> = {
  decode: (bytes) => (bytes.length === 4 ? `${bytes[0]!}.${bytes[1]!}.${bytes[2]!}.${bytes[3]!}` : undefined),
  encode: (value) => Buffer.from(value.split('.').map(Number)),
}

const addresses: Kind<readonly string[]> = {
  decode(bytes) {
    if (bytes.length === 0 || bytes.length % 4 !== 0) return undefined
    return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.subarray(at * 4, at * 4 + 4).join('.'))
  },
  encode: (values) => Buffer.concat(values.map(address.encode)),
}

/** Some clients end their text with a NUL that RFC 2132 §2 forbids: it and what follows is no part of the text. */
const text: Kind<string> = {
  decode(bytes) {
    const end = bytes.indexOf(0)
    return bytes.toString('latin1', 0, end === -1 ? bytes.length : end)
  },
  encode: (value) => Buffer.from(value, 'latin1'),
}

const bytes: Kind<Buffer> = { decode: (value) => value, encode: (value) => value }

/** Firmware may name several architectures (RFC 4578 §2.1), its preferred one first. */
const shorts: Kind<readonly number[]> = {
  decode(value) {
    if (value.length === 0 || value.length % 2 !== 0) return undefined
    return Array.from({ length: value.length / 2 }, (_, at) => value.readUInt16BE(at * 2))
  },
  encode: (values) => Buffer.concat(values.map(whole(2).encode)),
}

const option = <T>(code: number, kind: Kind<T>) => ({ code, kind })

/** The options that Bootloom gives a meaning to; names follow RFC 2132 and its successors. */
const table = {
  subnetMask: option(1, address),
  routers: option(3, addresses),
  nameServers: option(6, addresses),
  hostName: option(12, text),
  domainName: option(15, text),
  broadcastAddress: option(28, address),
  vendorSpecific: option(43, bytes),
  requestedAddress: option(50, address),
  leaseTime: option(51, whole(4)),
  overload: option(52, whole(1)),
  messageType: option(53, whole(1)),
  serverIdentifier: option(54, address),
  parameterList: option(55, bytes),
  message: option(56, text),
  maximumSize: option(57, whole(2)),
  renewalTime: option(58, whole(4)),
  rebindingTime: option(59, whole(4)),
  vendorClass: option(60, text),
  clientIdentifier: option(61, bytes),
  bootServerName: option(66, text),
  bootFile: option(67, text),
  userClass: option(77, bytes),
  relayAgent: option(82, bytes),
  architecture: option(93, shorts),
  machineIdentifier: option(97, bytes),
  subnetSelection: option(118, address),
  ipxe: option(175, bytes),
} as const

export type OptionName = keyof typeof table
type ValueOf<N extends OptionName> = (typeof table)[N]['kind'] extends Kind<infer T> ? T : never

/** The value of a named option; undefined when it is absent or its length cannot be right. */
export function readOption<N extends OptionName>(options: Options, name: N): ValueOf<N> | undefined {
  const bytes = options.get(table[name].code)
  return bytes && (table[name].kind.decode(bytes) as ValueOf<N> | undefined)
}

/** Named values as options, in the order given; undefined values are left out. */
export function writeOptions(values: { readonly [N in OptionName]?: ValueOf<N> | undefined }): Map<number, Buffer> {
  const options = new Map<number, Buffer>()
  for (const [name, value] of Object.entries(values)) {
    const { code, kind } = table[name as OptionName]
    if (value !== undefined) options.set(code, (kind as Kind<unknown>).encode(value))
  }
  return options
}

/** DHCP message types (RFC 2132 §9.6), option 53. */
export const messageTypes = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const

export type MessageType = keyof typeof messageTypes

const typeNames: readonly (MessageType | undefined)[] = [undefined, ...(Object.keys(messageTypes) as MessageType[])]

/** The message's type by name; undefined for plain BOOTP and for types that a server has no business with. */
export function messageType(options: Options): MessageType | undefined {
  const bytes = options.get(53)
  return bytes?.length === 1 ? typeNames[bytes[0]!] : undefined
}
