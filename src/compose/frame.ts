import { promisify } from 'node:util'
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib'

const compress = promisify(zstdCompress)

/**
 * Largest window as a power of two: 8 MiB, what level 19 asks for by itself. Higher levels would take up to 128 MiB,
 * which a small node does not have while it unpacks.
 */
const largestWindow = 23

/** Bytes that are compressed sooner than a thread wakes up to do it. */
const atOnce = 64 * 1024

/**
 * One zstd frame that the kernel unpacks quickly and checks: with the content size in its header (a frame without it
 * costs 2 to 6 ms whatever its size), and with a checksum, so that a flipped bit is noticed. Padded with zeros to
 * 4 bytes, which the kernel skips between members.
 */
export async function weaveFrame(raw: Buffer, zstdLevel: number): Promise<Buffer> {
  const options = frameOptions(raw.length, zstdLevel)
  return padded(raw.length <= atOnce ? zstdCompressSync(raw, options) : await compress(raw, options))
}

/**
 * As `weaveFrame`, of what is compressed already: the frame is there for its checksum, and its window small, so that
 * unpacking takes no more memory than a copy.
 */
export async function weaveStored(raw: Buffer): Promise<Buffer> {
  const { pledgedSrcSize, params } = frameOptions(raw.length, 1)
  return padded(await compress(raw, { pledgedSrcSize, params: { ...params, [constants.ZSTD_c_windowLog]: 17 } }))
}

/** As `weaveFrame`, at once: for what is small and asked for while a node waits. */
export function weaveFrameNow(raw: Buffer): Buffer {
  return padded(zstdCompressSync(raw, frameOptions(raw.length, 3)))
}

function frameOptions(size: number, zstdLevel: number) {
  return {
    pledgedSrcSize: size,
    params: {
      [constants.ZSTD_c_compressionLevel]: zstdLevel,
      [constants.ZSTD_c_contentSizeFlag]: 1,
      [constants.ZSTD_c_checksumFlag]: 1,
      // Named only where it would be exceeded: a small input at a low level has a smaller one by itself.
      ...(zstdLevel > 19 ? { [constants.ZSTD_c_windowLog]: largestWindow } : {}),
    },
  }
}

function padded(frame: Buffer): Buffer {
  const missing = (4 - (frame.length % 4)) % 4
  return missing === 0 ? frame : Buffer.concat([frame, Buffer.alloc(missing)])
}
