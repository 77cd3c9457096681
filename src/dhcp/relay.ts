import type { Options } from './options.ts'

/** What a relay says in option 82 (RFC 3046) that an answer follows from. */
export interface RelayAgent {
  /** Sub-option 1: the port that the client is plugged into, as the relay names it. */
  readonly circuitId: Buffer | undefined
  /** Sub-option 5 (RFC 3527): the client's subnet, where giaddr is an address that only servers reach. */
  readonly link: string | undefined
  /** Sub-option 11 (RFC 5107): the server identifier to send, so that renewals come through the relay, too. */
  readonly serverIdentifier: string | undefined
}

/** Sub-options of a relay; what does not fit counts as absent, the option is echoed as it came all the same. */
export function readRelayAgent(options: Options): RelayAgent | undefined {
  const bytes = options.get(82)
  if (!bytes) return undefined
  const parts = new Map<number, Buffer>()
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [code, length] = [bytes[at]!, bytes[at + 1]!]
    if (at + 2 + length > bytes.length) break
    if (!parts.has(code)) parts.set(code, bytes.subarray(at + 2, at + 2 + length))
    at += 2 + length
  }
  const address = (code: number) => {
    const value = parts.get(code)
    return value?.length === 4 ? value.join('.') : undefined
  }
  return { circuitId: parts.get(1), link: address(5), serverIdentifier: address(11) }
}
