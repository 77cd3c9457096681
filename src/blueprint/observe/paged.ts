import { lstat, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import type { Entry } from '../../repository/component.ts'
import { type PagedFile, pagedTree } from '../paged-tree.ts'
import type { PagesRead } from '../pages.ts'
import { startBeside } from './beside.ts'
import type { Stage } from './stage.ts'

/** What a program that shows files page by page tells at its end. */
interface Shown<T> extends AsyncDisposable {
  finish(): Promise<T>
}

/**
 * From now on, reads of these files of a stage come page by page to a program of ours (boot/native/pages.c): what is in
 * the kernel's memory already is not asked for again, and nothing is read ahead, so each page that is touched is told
 * once, whichever call or mapping touches it. What does not stand as its component has it is left out.
 */
export async function recordPages(
  stage: Stage,
  files: readonly Entry[],
): Promise<Shown<Readonly<Record<string, PagesRead>>>> {
  const standing = await standingOf(stage, files)
  if (standing.length === 0) return { finish: async () => ({}), [Symbol.asyncDispose]: async () => {} }
  const digests = new Map(standing.map(({ entry: { path, digest } }) => [path, digest!]))
  const tree = join(stage.directory, 'pages.tree')
  await writeFile(tree, pagedTree(standing))
  const shown = await show(stage, `${stage.inside}/pages.tree`, [`${stage.inside}/root`])
  return {
    ...shown,
    async finish() {
      const rows = (await shown.finish()).split('\0').filter((row) => row !== '')
      const read = rows.map((row) => {
        const [, pages = '-', path = ''] = row.split('\t')
        return [path, { digest: digests.get(path)!, pages }] as const
      })
      return Object.fromEntries(read.sort(([a], [b]) => (a < b ? -1 : 1)))
    },
  }
}

/** A page that a bundle lacks of a file, and who read it first. */
export interface LackedPage {
  readonly path: string
  readonly page: number
  readonly process: string
}

/**
 * Shows what a bundle that was unpacked on a stage has of its files of pages, and tells which others are read: they are
 * given from the full stack, so that one run tells all of them. `whole`: files that are whole in the stage's view.
 */
export async function replayPages(
  stage: Stage,
  { tree, pages }: { readonly tree: string; readonly pages: string },
  whole: readonly string[],
): Promise<Shown<LackedPage[]>> {
  const inside = (path: string) => `${stage.inside}/root${path}`
  const shown = await show(stage, inside(tree), [`${stage.inside}/stack`, inside(pages)])
  for (const path of whole) {
    const [file, ...words] = [...stage.enter(), 'mount', '--bind', `${stage.inside}/stack${path}`]
    await run(file!, [...words, `${stage.inside}/view${path}`])
  }
  return {
    ...shown,
    async finish() {
      const rows = (await shown.finish()).split('\n').filter((row) => row !== '')
      return rows.map((row) => {
        const [page = '', , process = '', path = ''] = row.split('\t')
        return { path, page: Number(page), process }
      })
    },
  }
}

/** Of these files, those that are in the copy, and not something else or of another size. */
async function standingOf(stage: Stage, files: readonly Entry[]): Promise<PagedFile[]> {
  const standing: PagedFile[] = []
  for (const entry of files) {
    const found = await lstat(join(stage.directory, 'root', entry.path)).catch(() => undefined)
    if (!found?.isFile() || found.size !== entry.size) continue
    standing.push({ entry, pages: '-', mtime: Math.floor(found.mtimeMs / 1000) })
  }
  return standing
}

async function show(stage: Stage, tree: string, from: readonly string[]): Promise<Shown<string>> {
  await mkdir(join(stage.directory, 'pages'))
  const out = 'pages.out'
  const words = [tree, ...['pages', 'root', out].map((name) => `${stage.inside}/${name}`), ...from]
  const program = await startBeside(stage, { name: 'pages', does: 'shows files page by page', words })
  return {
    ...program,
    async finish() {
      await program.finish()
      return readFile(join(stage.directory, out), 'utf8')
    },
  }
}
