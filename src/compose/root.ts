import { countPages, type PagesRead, pageSize } from '../blueprint/pages.ts'
import type { Blueprint } from '../blueprint/schema.ts'
import type { SelectedFile, Selection } from '../blueprint/selection.ts'
import { programIsThere } from '../config/command.ts'
import type { SegmentPlan } from './plan.ts'

/** How the files of a stack stand on a node: each for itself in RAM, or in one compressed image under an overlay. */
export type RootFormat = 'files' | 'squashfs'

/** Kernel modules that a node needs for it. */
export const rootModules: Record<RootFormat, readonly string[]> = {
  files: [],
  squashfs: ['loop', 'squashfs', 'overlay'],
}

export interface RootChoice {
  readonly format: RootFormat
  /** In words. */
  readonly why: string
}

/** Bytes of RAM that an image must save, or `auto` leaves the files as they are: it costs more on the wire. */
const worthAnImage = 16_000_000
/** Where nothing is known of what is read: the bytes of files from which on `auto` takes an image. */
const largeAnyway = 40_000_000
/** Measured (docs/decisions/0029): bytes of an image for each of its files; of what it reads for each byte touched. */
const ratios = { image: 0.35, read: 1.5 }
/** How much of a file is read where it was not watched page by page: 15 to 47 % were seen. */
const touchedUnless = 0.4

interface RootFacts {
  readonly selection: Selection
  /** Which pages of large files were read while the application was watched; undefined: not known. */
  readonly pages: Readonly<Record<string, PagesRead>> | undefined
  /** Whether the kernel of the stack has all of these modules, or has them built in. */
  readonly kernelHas: (modules: readonly string[]) => Promise<boolean>
}

/** The blueprint's `root`, decided where it says `auto`. */
export async function chooseRoot(
  { root }: Pick<Blueprint, 'root'>,
  { selection, pages, kernelHas }: RootFacts,
): Promise<RootChoice> {
  if (root !== 'auto') return { format: root, why: 'the blueprint says so' }
  const files = selection.parts.flatMap((part) => (isImaged(part.component) ? part.files : []))
  const { pays, why } = weighRoot(files, pages)
  if (!pays) return { format: 'files', why }
  if (!(await kernelHas(rootModules.squashfs))) return { format: 'files', why: 'the kernel knows no squashfs' }
  if (!(await programIsThere('mksquashfs'))) return { format: 'files', why: 'squashfs-tools are not installed' }
  return { format: 'squashfs', why }
}

function weighRoot(files: readonly SelectedFile[], pages: RootFacts['pages'] = {}): { pays: boolean; why: string } {
  // Of a file that is kept by page, the pages stand beside the image.
  const whole = files.filter((file) => file.pages === undefined)
  const all = memoryOf(whole)
  const watched = new Map(
    whole.flatMap((file) => {
      const known = pages[file.path]
      return known !== undefined && known.digest === file.digest ? [[file, countPages(known.pages) * pageSize]] : []
    }),
  )
  if (watched.size === 0) {
    return {
      pays: all >= largeAnyway,
      why: `${megabytes(all)} of files, an image pays from ${megabytes(largeAnyway)} on`,
    }
  }
  const hot = whole.reduce((sum, file) => sum + (watched.get(file) ?? memoryOf([file]) * touchedUnless), 0)
  const saved = all - all * ratios.image - hot * ratios.read
  const told = saved > 0 ? `an image saves some ${megabytes(saved)}` : 'an image saves nothing'
  return { pays: saved >= worthAnImage, why: `${megabytes(all - hot)} of ${megabytes(all)} hardly read, ${told}` }
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`

/**
 * What goes into an image: packages and what installing them left behind. Trees and the blueprint's own files stay
 * segments of their own, for they are what is edited.
 */
export const isImaged = ({ kind, name }: { readonly kind: string; readonly name: string }): boolean =>
  kind === 'deb' || (kind === 'configuration' && name !== 'files')

/** Bytes of RAM that files take in a tmpfs, where each has whole pages. */
export const memoryOf = (files: readonly { readonly type: string; readonly size: number }[]): number =>
  files.reduce((sum, { type, size }) => sum + (type === 'file' ? Math.ceil(size / 4096) * 4096 : 0), 0)

/** The plans that are one image together, as one; `plans` in the order in which they would be unpacked. */
export function imageOf(plans: readonly SegmentPlan[]): SegmentPlan {
  const entries = new Map(plans.flatMap((plan) => plan.entries.map((entry) => [entry.path, entry] as const)))
  return { name: 'image', version: '', kind: 'image', mtime: 0, entries: [...entries.values()], image: plans }
}
