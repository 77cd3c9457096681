import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { catalogue } from '../../src/config/error-catalogue.ts'
import { asBootloomError, BootloomError } from '../../src/config/errors.ts'

const root = join(import.meta.dirname, '..', '..')

function sources(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(root, directory, name))
}

test('every error of the catalogue is raised somewhere, and has words for the person who meets it', () => {
  const text = [...sources('src'), ...sources('lab')]
    .filter((path) => !path.endsWith('config/error-catalogue.ts'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n')
  for (const [code, { meaning, hint }] of Object.entries(catalogue)) {
    expect(text, `${code} is raised nowhere`).toContain(`'${code}'`)
    expect(meaning, code).toMatch(/\.$/)
    expect(hint, code).toMatch(/\.$/)
  }
})

test('an error crosses the API without losing anything, and an unknown code is an internal error', () => {
  const error = new BootloomError('DISK_FULL', 'no room', { where: '/x', details: ['a', 'b'], hint: 'do this' })
  const arrived = BootloomError.fromJSON(JSON.parse(JSON.stringify(error)))
  expect(arrived.toJSON()).toEqual(error.toJSON())
  expect(BootloomError.fromJSON({ code: 'toString', message: 'm', hint: 'h' }).status).toBe(500)
})

test('system errors keep their meaning', () => {
  const system = (code: string) => Object.assign(new Error(code), { code })
  expect(asBootloomError(system('ENOSPC')).code).toBe('DISK_FULL')
  expect(asBootloomError(system('EACCES')).code).toBe('NOT_PERMITTED')
  expect(asBootloomError('thrown text').message).toBe('thrown text')
})
