import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { markdownTable } from '../../src/cli/reference/schema.ts'
import { templates } from '../blueprint.ts'

/** What one ready-made blueprint weighs, in bytes of its initramfs at the fast level. */
export interface Weighed {
  readonly blueprint: string
  readonly files: number
  readonly kept: number
  readonly fullFiles: number
  readonly full: number
}

/** Writes templates/blueprints/README.md from the blueprints and what they were found to weigh. */
export async function writeReadme(all: readonly Weighed[]): Promise<void> {
  const rows = await Promise.all(
    all.map(async ({ blueprint, files, kept, fullFiles, full }) => {
      const { description } = parse(await readFile(join(templates, `${blueprint}.yaml`), 'utf8')) as {
        description: string
      }
      const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
      const ratio = `${(full / kept).toFixed(1)} ×`
      return [
        `[${blueprint}](${blueprint}.yaml)`,
        description,
        String(files),
        megabytes(kept),
        String(fullFiles),
        megabytes(full),
        ratio,
      ]
    }),
  )
  const headings = ['blueprint', '', 'files', 'MB', 'files of the full stack', 'MB', 'smaller']
  await writeFile(join(templates, 'README.md'), `${introduction}\n${markdownTable(headings, rows)}\n`)
}

const introduction = `# Ready-made blueprints

\`bootloom observe NAME\` takes one of these, applies it, and watches it run; \`bootloom compose NAME\` weaves it. Each is a
file to begin your own with; every key is in the [reference](../../docs/reference/blueprint.md). For packages that none
of them names, \`bootloom blueprint init NAME --package PACKAGE\` writes a first one.

MB are those of the initramfs, without the kernel; the bundle and its full stack are compressed at the same level
(\`fast\`). Written by \`npm run docs:blueprints\`.
`
