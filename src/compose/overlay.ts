import { BootloomError } from '../config/errors.ts'
import type { Digest } from '../store/digest.ts'
import { ownDirectory } from './base.ts'
import type { BundleConfig } from './bundle-format.ts'
import { type CpioMember, writeCpio } from './cpio.ts'
import { endMarker } from './end-marker.ts'
import { weaveFrameNow } from './frame.ts'
import { parentsOf } from './plan.ts'

interface OverlayFile {
  /** Absolute: where init copies it to. */
  readonly path: string
  readonly content: Uint8Array | string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

interface OverlayRequest {
  readonly manifestDigest: Digest
  readonly config: BundleConfig
  readonly node: { readonly mac: string; readonly hostname?: string }
  /** As in bootArguments. */
  readonly server: string
  readonly bootId: string
  readonly files?: readonly OverlayFile[]
}

/**
 * What one node gets besides its bundle, as the last bytes of its initramfs: a segment with its name and its files, and
 * the end marker. The same request gives the same bytes, so ranges and repeated fetches fit together. Each of the two is
 * a zstd frame, for the kernel notices a flipped bit only there.
 */
export function renderOverlay(request: OverlayRequest): Buffer {
  const members = overlayMembers(request)
  const own = members.filter(({ type }) => type !== 'dir').length
  const segment = weaveFrameNow(Buffer.concat(writeCpio(members, 0)))
  return Buffer.concat([segment, endMarker(request.manifestDigest, request.config.fileCount + own + 1)])
}

function overlayMembers({ node, server, bootId, files = [] }: OverlayRequest): CpioMember[] {
  const directory = `${ownDirectory}/node`
  const values = { hostname: node.hostname, server, mac: node.mac, boot: bootId }
  const lines = Object.entries(values).flatMap(([name, value]) =>
    value ? [`${name}=${singleLine(name, value)}\n`] : [],
  )
  const members = new Map<string, CpioMember>()
  const add = (member: CpioMember) => {
    for (const path of parentsOf(member.path)) {
      // What is copied to its place keeps the parents that stand there; these are for root alone until then.
      const mode = path === ownDirectory || path.startsWith(`${directory}/files`) ? 0o755 : 0o700
      members.set(path, { path, type: 'dir', mode, uid: 0, gid: 0 })
    }
    members.set(member.path, member)
  }
  add({
    path: `${directory}/node.env`,
    type: 'file',
    mode: 0o600,
    uid: 0,
    gid: 0,
    content: Buffer.from(lines.join('')),
  })
  for (const { path, content, mode = 0o644, uid = 0, gid = 0 } of files) {
    if (!/^\/(?!.*(^|\/)\.\.?(\/|$))[^\0]*[^/\0]$/.test(path)) throw unfit('files', path)
    add({ path: `${directory}/files${path}`, type: 'file', mode, uid, gid, content: Buffer.from(content) })
  }
  return [...members.values()]
}

function singleLine(name: string, value: string): string {
  if (/^[\x20-\x7e]{1,1024}$/.test(value)) return value
  throw unfit(name, value)
}

const unfit = (where: string, value: string): BootloomError =>
  new BootloomError('VALUE_UNFIT', `'${value.slice(0, 80)}' cannot be handed to a node`, { where })
