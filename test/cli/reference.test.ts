import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { documents } from '../../src/cli/reference/documents.ts'
import { catalogue } from '../../src/config/error-catalogue.ts'
import { leaves } from '../../src/config/leaves.ts'

const root = join(import.meta.dirname, '..', '..')

test.each(Object.entries(documents))('%s is what `npm run docs` writes', (path, text) => {
  expect(readFileSync(join(root, path), 'utf8'), 'run `npm run docs`').toBe(text())
})

test('every error and every setting is in the reference', () => {
  const errors = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8')
  const documented = [...errors.matchAll(/^## (\w+)$/gm)].map(([, code]) => code)
  expect(documented).toEqual(Object.keys(catalogue).sort())
  const settings = readFileSync(join(root, 'docs/reference/settings.md'), 'utf8')
  for (const { variable, description } of leaves) {
    expect(settings).toContain(`\`${variable}\``)
    expect(description, variable).not.toBe('')
  }
})
