import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeApplication } from '../../src/compose/application.ts'
import { shellWords } from '../../src/compose/shell.ts'
import { run } from '../../src/config/command.ts'
import { blueprintOf } from './stack.ts'

const passwd = 'root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n'
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-app-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test('busybox sh reads back every word as it was, whatever it holds', async () => {
  const hostile = [
    "'",
    "''\\''",
    '$(reboot)',
    '`reboot`',
    'a\nb\r',
    '"; reboot; "',
    '\\',
    '-n',
    '',
    ' ',
    '!*?[a]',
    'ü€𝄞',
  ]
  const random = fc.sample(fc.string({ unit: 'binary', maxLength: 40 }), 300).filter((text) => !text.includes('\0'))
  const words = [...hostile, ...random].map((word) => word.toWellFormed())
  const script = join(directory, 'words.sh')
  await writeFile(script, `printf '%s\\0' ${shellWords(words)}\n`)
  expect((await run('busybox', ['sh', script])).split('\0').slice(0, -1)).toEqual(words)
})

test('a NUL is refused, for no argument can hold one', () => {
  const blueprint = blueprintOf({ start: { command: ['/bin/true', 'a\0b'] } })
  expect(() => describeApplication(blueprint, passwd)).toThrow(expect.objectContaining({ code: 'VALUE_UNFIT' }))
})

test('a description starts, prepares and probes the application as the blueprint says', () => {
  const blueprint = blueprintOf({
    start: {
      command: ['/usr/sbin/apache2', '-DFOREGROUND'],
      user: 'www-data',
      environment: { B: 'two words', A: "it's" },
      stop: 'WINCH',
    },
    writable: [{ path: '/run/apache2', owner: 'www-data', mode: '0750' }],
    probe: { http: '/a b?c=%20#\r\nX: y', port: 8080, expect: { status: 301, contains: 'moved' } },
  })
  const [script, sent, expected] = describeApplication(blueprint, passwd)
  expect(script!.content).toBe(`# Made from the blueprint by \`bootloom compose\`; sourced by init.
app_name='test'
app_directory='/'
app_stop='WINCH'
app_reload='HUP'
app_run() {
  exec setsid env -i -- 'A=it'\\''s' 'B=two words' "$tools/start-stop-daemon" -S -q -p "$run/none" -c 'www-data' -x '/usr/sbin/apache2' -- '-DFOREGROUND'
}
app_directories() {
  :
  make_directory '/run/apache2' '33:33' '0750'
}
app_probe() {
  probe_http 8080 301
}
`)
  expect(sent).toMatchObject({ name: 'probe.send' })
  expect(sent!.content.split('\r\n')[0]).toBe('GET /a%20b?c=%20#%0D%0AX:%20y HTTP/1.0')
  expect(expected).toEqual({ name: 'probe.expect', content: 'moved' })
})

test('an account that the bundle does not have is refused before any node meets it', () => {
  const unknown = expect.objectContaining({ code: 'ACCOUNT_UNKNOWN' })
  const start = { command: ['/bin/true'], user: 'redis' }
  expect(() => describeApplication(blueprintOf({ start }), passwd)).toThrow(unknown)
  expect(() => describeApplication(blueprintOf({ writable: [{ path: '/x', owner: 'redis' }] }), passwd)).toThrow(
    unknown,
  )
  expect(() => describeApplication(blueprintOf({}), '')).not.toThrow()
})
