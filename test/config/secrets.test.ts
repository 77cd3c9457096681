import { expect, test } from 'vitest'
import { maskCredentials } from '../../src/config/secrets.ts'

test.each([
  ['redis://user:secret@host:6379/0', 'redis://***@host:6379/0'],
  ['rediss://:s@cret@host', 'rediss://***@host'],
  ['redis://host/0?password=secret&db=1', 'redis://host/0?password=***&db=1'],
  ['redis://host:6379', 'redis://host:6379'],
])('%s is shown as %s', (url, shown) => {
  expect(maskCredentials(url)).toBe(shown)
})
