import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { type CpioRecord, readCpio } from './cpio-reader.ts'

const decompress = promisify(zstdDecompress)

/**
 * What a segment holds, a line for each member, as a node reads it that makes the same out of its own root
 * (boot/native/rebuild.h). Empty where a name is not UTF-8. BLOB_CORRUPT, ARCHIVE_BROKEN.
 */
export async function segmentRecipe(store: Store, segment: Digest): Promise<string> {
  const records = readCpio(await decompress(await store.readVerified(segment)))
  const lines: string[] = []
  for (const record of records) {
    if (record.path.includes('\ufffd')) return ''
    const { mode, uid, gid, mtime, inode, links, content } = record
    const numbers = [mode.toString(8), uid, gid, mtime, inode, links, content.length]
    lines.push([...numbers, holds(record), escaped(Buffer.from(record.path))].join('\t'))
    // Digesting a large file shall not hold up what else this process does.
    if (content.length > 1 << 20) await new Promise(setImmediate)
  }
  return `${lines.join('\n')}\n`
}

function holds({ mode, content, device }: CpioRecord): string {
  const type = mode & 0o170000
  if (type === 0o120000) return escaped(content)
  if (type === 0o020000 || type === 0o060000) return device.join(':')
  return type === 0o100000 ? createHash('sha256').update(content).digest('hex') : '-'
}

function escaped(bytes: Uint8Array): string {
  const code = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return Array.from(bytes, (byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x25 ? String.fromCharCode(byte) : code(byte),
  ).join('')
}
