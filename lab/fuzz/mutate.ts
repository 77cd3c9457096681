/** Numbers that parsers trip over: lengths at the edges, signs, terminators. */
const telling = [0, 1, 2, 3, 4, 6, 8, 15, 16, 17, 32, 52, 63, 64, 82, 127, 128, 175, 254, 255]

/** The room that a mutant may take. Bytes: a UDP datagram of more fragments says nothing new. */
const longest = 4096

/**
 * Makes a mutant of one packet into `into`, with now and then a piece of another, and returns its length. About one in
 * sixteen stays as it was: what follows on a good request has to be reached too.
 */
export function mutate(packet: Buffer, other: Buffer, into: Buffer, random: () => number): number {
  const upTo = (n: number) => Math.floor(random() * n)
  let length = packet.copy(into, 0, 0, Math.min(packet.length, longest))
  if (random() < 1 / 16) return length
  for (let left = 1 + upTo(4); left > 0; left--) {
    const at = upTo(length)
    switch (upTo(8)) {
      case 0:
        into[at]! ^= 1 << upTo(8)
        break
      case 1:
        into[at] = telling[upTo(telling.length)]!
        break
      case 2:
        into[at] = upTo(256)
        break
      case 3:
        length = Math.max(1, at)
        break
      case 4: {
        // A piece of another packet over this one.
        const from = upTo(other.length)
        const size = Math.min(1 + upTo(64), other.length - from, longest - at)
        other.copy(into, at, from, from + size)
        length = Math.max(length, at + size)
        break
      }
      case 5: {
        // A piece twice: repeated options, doubled headers.
        const size = Math.min(1 + upTo(64), length - at, longest - length)
        into.copyWithin(at + size, at, length)
        length += size
        break
      }
      case 6: {
        const size = Math.min(1 + upTo(16), length - at)
        into.copyWithin(at, at + size, length)
        length = Math.max(1, length - size)
        break
      }
      default: {
        const size = Math.min(1 + upTo(300), longest - length)
        into.fill(telling[upTo(telling.length)]!, length, length + size)
        length += size
      }
    }
  }
  return length
}
