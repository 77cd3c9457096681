const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Netascii is for text: a larger file is refused, for it is translated as a whole. Bytes. */
export const largestText = 4 * 1024 * 1024

/** Files are asked for again and again: each is translated once while it is held by anyone. */
const translated = new WeakMap<Buffer, Buffer>()

/**
 * A file as a Unix system has it in netascii (RFC 764, the NVT of Telnet): LF becomes CR LF, CR becomes CR NUL. The
 * result is what is cut into blocks, so a pair may well lie across the border of two.
 */
export function toNetascii(text: Buffer): Buffer {
  const known = translated.get(text)
  if (known) return known
  let longer = 0
  for (const byte of text) if (byte === lineFeed || byte === carriageReturn) longer++
  const result = Buffer.allocUnsafeSlow(text.length + longer)
  let at = 0
  for (const byte of text) {
    if (byte === lineFeed) result[at++] = carriageReturn
    result[at++] = byte
    if (byte === carriageReturn) result[at++] = 0
  }
  translated.set(text, result)
  return result
}
