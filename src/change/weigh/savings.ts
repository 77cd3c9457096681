import { countPages, type PagesRead, pageSize } from '../../blueprint/pages.ts'
import type { Selection } from '../../blueprint/selection.ts'
import type { BundleConfig } from '../../compose/bundle-format.ts'
import { isImaged, memoryOf } from '../../compose/root.ts'
import type { NodeMemory } from './told.ts'
import type { Part, Saving } from './weight.ts'

interface Weighed {
  readonly config: BundleConfig
  readonly kernel: number
  readonly selection: Selection
  readonly files: readonly Part[]
  readonly told: NodeMemory
  /** What observation read of large files, where it was watched. */
  readonly pages: Readonly<Record<string, PagesRead>>
}

/** Of a lean kernel with every mitigation and an image root (docs/decisions/0028): its file, and code and data in RAM. */
const lean = { wire: 3_100_000, memory: 11_000_000 }
/** Debian's cloud kernel, packed by zstd instead of LZ4. */
const repacked = 0.665
/** Bytes of an image for each of the same files as segments, at level 19; of blocks read for each byte touched. */
const image = { wire: 1.165, read: 1.5 }

/** What each option would save, estimated from what was measured; only options that the bundle does not have. */
export function savingsOf(weighed: Weighed): Saving[] {
  return [...kernelSavings(weighed), ...rootSavings(weighed), ...pageSavings(weighed)].map((saving) => ({
    ...saving,
    wire: Math.round(saving.wire),
    memory: Math.round(saving.memory),
  }))
}

function kernelSavings({ config, kernel, told }: Weighed): Saving[] {
  if (config.kernel.fragments) return []
  const { code = 0, rodata = 0, rwdata = 0, bss = 0 } = told.kernel
  const drivers = config.segments.find(({ kind }) => kind === 'drivers')?.size ?? 0
  const own = code + rodata + rwdata + bss + told.modules
  return [
    {
      option: 'kernel.flavour: lean',
      wire: kernel - lean.wire + drivers,
      memory: own - lean.memory,
      from: `a lean kernel of ${lean.wire / 1e6} MB with ${lean.memory / 1e6} MB of code and data`,
    },
    ...(kernel < 12_000_000
      ? []
      : [
          { option: 'kernel.repack: true', wire: kernel * (1 - repacked), memory: 0, from: 'the ratio of zstd to LZ4' },
        ]),
  ]
}

function rootSavings({ config, files, told }: Weighed): Saving[] {
  const packages = config.segments.filter(isImaged)
  const wire = packages.reduce((sum, { size }) => sum + size, 0)
  if (config.root || wire === 0) return []
  const held = files.reduce((sum, { name, bytes }) => sum + (packages.some((one) => one.name === name) ? bytes : 0), 0)
  const touched = [...told.mapped.values()].reduce((sum, bytes) => sum + bytes, 0)
  return [
    {
      option: 'root: squashfs',
      wire: wire - wire * image.wire,
      memory: held - wire * image.wire - touched * image.read,
      from: `${(touched / 1e6).toFixed(1)} MB of files that processes had mapped and touched`,
    },
  ]
}

function pageSavings({ config, selection, pages }: Weighed): Saving[] {
  const large = selection.parts.flatMap(({ component, files }) =>
    files.flatMap((file) => {
      const known = pages[file.path]
      if (file.pages !== undefined || known === undefined || known.digest !== file.digest) return []
      const cold = memoryOf([file]) - countPages(known.pages) * pageSize
      const segment = config.segments.find(({ name, kind }) => name === component.name && kind === component.kind)
      return cold < file.size / 2 ? [] : [{ path: file.path, cold, ratio: segment ? segment.size / segment.raw : 0.3 }]
    }),
  )
  if (large.length === 0) return []
  const sum = (of: (one: (typeof large)[number]) => number) => large.reduce((total, one) => total + of(one), 0)
  return [
    {
      option: 'granularity.page',
      wire: sum(({ cold, ratio }) => cold * ratio),
      memory: config.root ? sum(({ cold, ratio }) => cold * ratio) : sum(({ cold }) => cold),
      from: `pages read while watching of ${large.length} large files: ${large
        .map(({ path }) => path)
        .slice(0, 3)
        .join(', ')}`,
    },
  ]
}
