import type { Digest } from '../store/digest.ts'

/** Bytes of a page, the unit in which the kernel brings a file in. */
export const pageSize = 4096

/** Numbers of pages, ascending and apart, as ranges: `0-3,7`; `-` for none. */
export type Pages = string

/** Which pages of a file were read. */
export interface PagesRead {
  /** Of the content that they are pages of. */
  readonly digest: Digest
  readonly pages: Pages
}

type Range = readonly [from: number, to: number]

/** Throws nothing: what is no range is left out. */
function rangesOf(pages: Pages): Range[] {
  return pages.split(',').flatMap((text): Range[] => {
    const [, from, to = from] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text) ?? []
    return from === undefined ? [] : [[Number(from), Number(to)]]
  })
}

export const countPages = (pages: Pages): number => rangesOf(pages).reduce((sum, [from, to]) => sum + to - from + 1, 0)

/** Those that some bytes of a file stand in. */
export const pagesOver = (offset: number, length: number): Pages =>
  `${Math.floor(offset / pageSize)}-${Math.floor((offset + length - 1) / pageSize)}`

/** All that any of them has. */
export function unitePages(...several: readonly Pages[]): Pages {
  const united: [number, number][] = []
  for (const [from, to] of several.flatMap(rangesOf).sort(([a], [b]) => a - b)) {
    const last = united.at(-1)
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else united.push([from, to])
  }
  return united.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',') || '-'
}

/** Those that a content of this size has. */
export function pagesWithin(pages: Pages, size: number): Pages {
  const end = Math.ceil(size / pageSize) - 1
  const within = rangesOf(pages).filter(([from]) => from <= end)
  return within.map(([from, to]) => (from < to ? `${from}-${Math.min(to, end)}` : `${from}`)).join(',') || '-'
}

/** What several runs read: of a file that has another content since, what the later one read. */
export function uniteRead(
  before: Readonly<Record<string, PagesRead>> = {},
  after: Readonly<Record<string, PagesRead>> = {},
): Record<string, PagesRead> {
  const united: Record<string, PagesRead> = { ...before, ...after }
  for (const [path, { digest, pages }] of Object.entries(after)) {
    const earlier = before[path]
    if (earlier?.digest === digest) united[path] = { digest, pages: unitePages(earlier.pages, pages) }
  }
  return united
}

/** Those bytes of a content, one page behind another; the file's last page is as long as it is. */
export function bytesOfPages(content: Uint8Array, pages: Pages): Buffer {
  return Buffer.concat(rangesOf(pages).map(([from, to]) => content.subarray(from * pageSize, (to + 1) * pageSize)))
}
