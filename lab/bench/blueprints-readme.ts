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
  /** All that the blueprint's stack has. */
  readonly stack: number
  /** The golden image that the bundle takes the place of, and the same without the kernel's modules. */
  readonly image: number
  readonly withoutModules: number
}

/** Writes templates/blueprints/README.md from the blueprints and what they were found to weigh. */
export async function writeReadme(all: readonly Weighed[]): Promise<void> {
  const rows = await Promise.all(
    all.map(async ({ blueprint, files, kept, stack, image }) => {
      const { description } = parse(await readFile(join(templates, `${blueprint}.yaml`), 'utf8')) as {
        description: string
      }
      const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
      return [
        `[${blueprint}](${blueprint}.yaml)`,
        description,
        String(files),
        ...[kept, stack, image].map(megabytes),
        ...[stack, image].map((other) => `${(other / kept).toFixed(1)} ×`),
      ]
    }),
  )
  const headings = [
    'blueprint',
    '',
    'files',
    'MB',
    'stack, MB',
    'golden image, MB',
    'smaller than its stack',
    'than the image',
  ]
  await writeFile(join(templates, 'README.md'), `${introduction}\n${markdownTable(headings, rows)}\n`)
}

const introduction = `# Ready-made blueprints

\`bootloom observe NAME\` takes one of these, applies it, and watches it run; \`bootloom compose NAME\` weaves it. Each is a
file to begin your own with; every key is in the [reference](../../docs/reference/blueprint.md). For packages that none
of them names, \`bootloom blueprint init NAME --package PACKAGE\` writes a first one.

MB are those of the initramfs, without the kernel, all compressed at the same level (\`fast\`). The *stack* is what the
blueprint draws on: Debian's essential packages and those that it names, with what they depend on. The *golden image* is
what a server would have been installed from: Debian's base system as debootstrap makes it, the packages with what they
recommend, and the kernel's modules. Written by \`npm run docs:blueprints\`.
`
