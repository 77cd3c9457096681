import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { documents } from './documents.ts'

/** `npm run docs` */
const root = join(import.meta.dirname, '..', '..', '..')
for (const [path, text] of Object.entries(documents)) {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), text())
  console.log(path)
}
