import type { Digest } from '../store/digest.ts'
import { ownDirectory } from './base.ts'
import { writeCpio } from './cpio.ts'
import { weaveFrameNow } from './frame.ts'

/**
 * The last segment of a node's initramfs. The kernel drops everything behind a corrupt or missing member and runs /init
 * all the same; so init starts nothing unless this file is there, names the bundle that was asked for, and the count
 * agrees. `files` counts all paths but directories and what is below /dev, this marker included.
 */
export function endMarker(bundle: Digest, files: number): Buffer {
  const content = Buffer.from(`bundle=${bundle}\nfiles=${files}\n`)
  const directory = { path: ownDirectory, type: 'dir', mode: 0o755, uid: 0, gid: 0 } as const
  const marker = { path: `${ownDirectory}/end`, type: 'file', mode: 0o644, uid: 0, gid: 0, content } as const
  return weaveFrameNow(Buffer.concat(writeCpio([directory, marker], 0)))
}
