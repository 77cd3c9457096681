import type { ImpactIndex, Part } from './file-index.ts'
import type { FileChange, ImpactRow } from './report.ts'
import { absentRows, holdingsOf, rowOf } from './rows.ts'
import type { Standing } from './use.ts'

/** Who keeps a path, from which version of which component. */
export function rowsOfFile(
  index: ImpactIndex,
  subjects: ReadonlyMap<number, Standing>,
  path: string,
): Promise<ImpactRow[]> {
  // Bundles have the paths that files really have; /lib and its like are links.
  const real = path.replace(/^\/(?=(?:bin|sbin|lib|lib32|lib64|libx32)\/)/, '/usr/')
  return rowsWhere(index, subjects, real, (part, place) => part.paths[place] === real)
}

/** Who keeps a file of this content, or something of this component; by the first digits of the digest. */
export function rowsOfDigest(
  index: ImpactIndex,
  subjects: ReadonlyMap<number, Standing>,
  digest: string,
): Promise<ImpactRow[]> {
  const begins = `sha256:${digest.replace(/^sha256:/, '').toLowerCase()}`
  return rowsWhere(
    index,
    subjects,
    begins,
    (part, place) => part.component.startsWith(begins) || part.contents[place]!.includes(begins),
  )
}

async function rowsWhere(
  index: ImpactIndex,
  subjects: ReadonlyMap<number, Standing>,
  word: string,
  matches: (part: Part, place: number) => boolean,
): Promise<ImpactRow[]> {
  const rows: ImpactRow[] = []
  const present = new Set<number>()
  for await (const chunk of index.chunksHolding(word)) {
    for (const { number, standing, part, files } of holdingsOf(chunk, subjects)) {
      const found = files.filter((place) => matches(part, place)).map((place) => standingAt(part, place))
      if (found.length === 0) continue
      present.add(number)
      rows.push(rowOf(chunk, standing, { part, files: found, kept: files.length, to: null, verdict: 'affected' }))
    }
  }
  return [...rows, ...absentRows(null, subjects, present, null)]
}

/** A file that is kept, as it is: nothing is compared. */
export function standingAt(part: Part, place: number): FileChange {
  const path = part.paths[place]!
  const content = part.contents[place]!
  const makes = part.makes[path]
  return { path, from: content, to: content, ...(makes === undefined ? {} : { makes }) }
}
