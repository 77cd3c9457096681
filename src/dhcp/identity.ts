/**
 * The names that a reservation may go by, as the lease table has them: `52:54:00:…` (MAC), `id:HEX` (option 61),
 * `uuid:…` (option 97), `circuit:HEX` (option 82.1).
 */

/** What an admin writes for an identifier: `01:52:54`, `0x015254` and bytes in hexadecimal, anything else is text. */
function identifierBytes(text: string): Buffer {
  const digits = text.replace(/^0x/i, '').replaceAll(':', '')
  const isHex = /^(0x[0-9a-f]+|[0-9a-f]{1,2}(:[0-9a-f]{2})+)$/i.test(text) && digits.length % 2 === 0
  return isHex ? Buffer.from(digits, 'hex') : Buffer.from(text, 'latin1')
}

export const nameOfIdentifier = (bytes: Buffer): string => `id:${bytes.toString('hex')}`
export const nameOfCircuit = (bytes: Buffer): string => `circuit:${bytes.toString('hex')}`
export const nameOfUuid = (uuid: string): string => `uuid:${uuid.toLowerCase()}`

/**
 * A machine identifier (option 97, RFC 4578 §2.3) as the UUIDs that it may mean: firmware sends SMBIOS's bytes, of which
 * the first three fields are little-endian, as they are or swapped. Machines without one send zeros or ones: none.
 */
export function uuidsOf(bytes: Buffer | undefined): string[] {
  if (bytes?.length !== 17 || bytes[0] !== 0) return []
  const sent = bytes.subarray(1)
  if (sent.every((byte) => byte === 0) || sent.every((byte) => byte === 255)) return []
  const swapped = Buffer.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map((at) => sent[at]!))
  return [...new Set([sent, swapped].map(dashed))]
}

const dashed = (bytes: Buffer) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

/** How a reservation names its client. */
interface Named {
  readonly mac?: string | undefined
  readonly clientId?: string | undefined
  readonly uuid?: string | undefined
  readonly circuitId?: string | undefined
}

/** The name in the lease table; MACs in their one form. Undefined when it names nothing. */
export function reservationName({ mac, clientId, uuid, circuitId }: Named): string | undefined {
  if (mac !== undefined) return mac.toLowerCase().replaceAll('-', ':')
  if (clientId !== undefined) return nameOfIdentifier(identifierBytes(clientId))
  if (uuid !== undefined) return nameOfUuid(uuid)
  return circuitId === undefined ? undefined : nameOfCircuit(identifierBytes(circuitId))
}
