import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from '../config/command.ts'
import type { Entry } from '../repository/component.ts'
import type { Store } from '../store/store.ts'
import { ownDirectory } from './base.ts'
import type { CpioMember } from './cpio.ts'
import type { SegmentPlan } from './plan.ts'
import { type TarMember, writeTar } from './tar.ts'

/** Where a node finds the image of its root: boot/layers.sh. */
export const imagePath = `${ownDirectory}/image`

/**
 * Bytes of a file that are compressed together, and so read together when one of them is touched: larger blocks are
 * fewer bytes on the wire and more in memory (docs/decisions/0029).
 */
const blockSize = 128 * 1024

/** All that an image's bytes follow from, but for the compression level. */
export const imageRecipe = (plans: readonly SegmentPlan[]): object => ({
  image: blockSize,
  members: membersOf(plans),
})

/** The members of a segment that brings the plans as one squashfs image. TOOL_MISSING without squashfs-tools. */
export async function archivedImage(
  plans: readonly SegmentPlan[],
  zstdLevel: number,
  store: Store,
  signal?: AbortSignal,
): Promise<CpioMember[]> {
  const content = await weaveImage(plans, zstdLevel, store, signal)
  const owner = { uid: 0, gid: 0 }
  return [
    { ...owner, path: ownDirectory, type: 'dir', mode: 0o755 },
    { ...owner, path: imagePath, type: 'file', mode: 0o600, content },
  ]
}

/** The same plans give the same bytes, on any number of processors. */
async function weaveImage(
  plans: readonly SegmentPlan[],
  zstdLevel: number,
  store: Store,
  signal?: AbortSignal,
): Promise<Buffer> {
  const directory = await mkdtemp(join(store.directory, 'incoming', `${process.pid}-image-`))
  try {
    const image = join(directory, 'image')
    const members = membersOf(plans)
    const contentOf = ({ digest }: ImageMember) => (digest === undefined ? Buffer.alloc(0) : store.readNow(digest))
    const input = Readable.from(writeTar(members, contentOf), { objectMode: false })
    // The time of the image and of its root, which no option sets for one that is read from tar.
    const env = { SOURCE_DATE_EPOCH: String(Math.max(0, ...members.map(({ mtime }) => mtime))) }
    await run('mksquashfs', ['-', image, '-tar', ...optionsOf(zstdLevel)], {
      input,
      env,
      ...(signal ? { signal } : {}),
    })
    return await readFile(image)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

type ImageMember = TarMember & Pick<Entry, 'digest'>

const optionsOf = (zstdLevel: number): string[] => [
  ...['-comp', 'zstd', '-Xcompression-level', String(zstdLevel), '-b', String(blockSize)],
  ...['-reproducible', '-root-mode', '755', '-root-uid', '0', '-root-gid', '0'],
  ...['-no-xattrs', '-quiet', '-no-progress', '-processors', String(availableParallelism())],
]

/**
 * What unpacking the plans one after the other would leave, sorted by path: of a directory that several have, the last.
 * Hardlinks come last, for in tar they name a file that was there before.
 */
function membersOf(plans: readonly SegmentPlan[]): ImageMember[] {
  const members = new Map(
    plans.flatMap(({ entries, mtime }) => entries.map((entry) => [entry.path, { ...entry, mtime }] as const)),
  )
  const isLink = ({ type }: ImageMember) => Number(type === 'hardlink')
  return [...members.values()].sort(
    (a, b) => isLink(a) - isLink(b) || Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)),
  )
}

/** Unpacks an image over a directory, as root, but for the directories named. COMMAND_FAILED. */
export async function unpackImage(image: string, directory: string, without: readonly string[]): Promise<void> {
  const options = ['-force', '-no-xattrs', '-no-progress', '-quiet', '-dest', directory, '-excludes']
  await run('unsquashfs', [...options, image, ...without])
}
