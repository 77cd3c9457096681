import { expect, it } from 'vitest'
import { parseGlob } from '../../src/blueprint/glob.ts'

it.each([
  ['/etc/passwd', ['/etc/passwd'], ['/etc/passwd-', '/etc']],
  ['/etc/*.conf', ['/etc/a.conf', '/etc/.conf'], ['/etc/d/a.conf']],
  ['/var/lib/redis/**', ['/var/lib/redis', '/var/lib/redis/a/b'], ['/var/lib/redis2', '/var/lib']],
  ['/usr/**/lib*.so.?', ['/usr/lib.so.6', '/usr/a/b/libc.so.6'], ['/usr/a/libc.so.66', '/opt/libc.so.6']],
  ['/usr/lib/libnss_{files,dns}.so.*', ['/usr/lib/libnss_dns.so.2'], ['/usr/lib/libnss_nis.so.2']],
  ['/a/[bc]d', ['/a/bd', '/a/cd'], ['/a/dd', '/a/b']],
  ['/a/[!b]', ['/a/c'], ['/a/b']],
  ['/a+(b)$', ['/a+(b)$'], ['/aab']],
])('the glob %s', (text, yes, no) => {
  const glob = parseGlob(text)
  for (const path of yes) expect(glob.matches(path), path).toBe(true)
  for (const path of no) expect(glob.matches(path), path).toBe(false)
})
