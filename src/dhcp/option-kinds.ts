import { isIPv4 } from 'node:net'
import type { OptionValue } from '../config/dhcp-settings.ts'

/** Bytes of a value; undefined when the value is no such thing. */
type Encode = (value: OptionValue) => Buffer | undefined

const whole =
  (size: 1 | 2 | 4, signed = false): Encode =>
  (value) => {
    const [least, most] = signed ? [-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1] : [0, 2 ** (8 * size) - 1]
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) return undefined
    const bytes = Buffer.alloc(size)
    if (signed) bytes.writeIntBE(value, 0, size)
    else bytes.writeUIntBE(value, 0, size)
    return bytes
  }

const ip: Encode = (value) =>
  typeof value === 'string' && isIPv4(value) ? Buffer.from(value.split('.').map(Number)) : undefined

/** A list of one kind; a single value is a list of one. */
const listOf =
  (each: Encode, { least = 1 } = {}): Encode =>
  (value) => {
    const parts = (Array.isArray(value) ? value : [value]).map((part) => each(part as OptionValue))
    if (parts.length < least || parts.some((part) => part === undefined)) return undefined
    return Buffer.concat(parts as Buffer[])
  }

/** Printable ASCII: what else a client would read by its own code page. */
const text: Encode = (value) =>
  typeof value === 'string' && /^[ -~]+$/.test(value) ? Buffer.from(value, 'latin1') : undefined

/** `0a:0b`, `0a0b` or `0x0a0b`. */
const hex: Encode = (value) => {
  const digits = typeof value === 'string' ? value.replace(/^0x/i, '').replace(/[:\s]/g, '') : ''
  return digits.length > 0 && digits.length % 2 === 0 && /^[0-9a-f]+$/i.test(digits)
    ? Buffer.from(digits, 'hex')
    : undefined
}

/** `10.0.0.0 10.0.0.1`: destination and router (RFC 2132 §5.8), or address and mask (§4.3). */
const pair: Encode = (value) => {
  const parts = typeof value === 'string' ? value.trim().split(/\s+/) : []
  return parts.length === 2 ? listOf(ip)(parts) : undefined
}

/** `10.1.0.0/16 10.0.0.1`: the prefix's significant bytes alone (RFC 3442). */
const route: Encode = (value) => {
  const match = typeof value === 'string' ? value.trim().match(/^([\d.]+)\/(\d{1,2})\s+([\d.]+)$/) : null
  const [, network, length, router] = match ?? []
  const [prefix, via] = [network && ip(network), router && ip(router)]
  const bits = Number(length)
  if (!prefix || !via || bits > 32) return undefined
  return Buffer.concat([Buffer.of(bits), prefix.subarray(0, Math.ceil(bits / 8)), via])
}

/** A name in the wire form of RFC 1035 §3.1, uncompressed: RFC 3397 allows it and every client reads it. */
const domain: Encode = (value) => {
  const labels = typeof value === 'string' ? value.replace(/\.$/, '').split('.') : []
  const fits = labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label))
  if (labels.length === 0 || !fits) return undefined
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)),
    Buffer.of(0),
  ])
}

const bool: Encode = (value) => (typeof value === 'boolean' ? Buffer.of(value ? 1 : 0) : undefined)

const kinds = {
  ip: [ip, 'an IPv4 address'],
  ips: [listOf(ip), 'IPv4 addresses'],
  ipsOrNone: [listOf(ip, { least: 0 }), 'IPv4 addresses, or []'],
  u8: [whole(1), 'a whole number from 0 to 255'],
  u16: [whole(2), 'a whole number from 0 to 65535'],
  u16s: [listOf(whole(2)), 'whole numbers from 0 to 65535'],
  u32: [whole(4), 'a whole number from 0 to 4294967295'],
  i32: [whole(4, true), 'a whole number of 32 bits'],
  bool: [bool, 'true or false'],
  text: [text, 'text of printable ASCII characters'],
  hex: [hex, 'bytes in hexadecimal, as 0a:0b'],
  pairs: [listOf(pair), 'pairs of addresses, as "10.1.0.0 10.0.0.1"'],
  routes: [listOf(route), 'routes, as "10.1.0.0/16 10.0.0.1"'],
  domains: [listOf(domain), 'domain names'],
} as const satisfies Record<string, readonly [Encode, string]>

export type OptionKind = keyof typeof kinds

/** What a kind takes, for people. */
export const expectationOf = (kind: OptionKind): string => kinds[kind][1]

/** The bytes of a value, or what it should have been. RFC 3396 splits what is longer than 255 bytes; 2,048 are the most. */
export function encodeValue(kind: OptionKind, value: OptionValue): Buffer | { readonly expected: string } {
  const [encode, expected] = kinds[kind]
  const bytes = encode(value)
  return bytes && bytes.length <= 2048 ? bytes : { expected }
}
