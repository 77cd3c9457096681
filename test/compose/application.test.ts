import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { servicesOf } from '../../src/blueprint/services.ts'
import { type DescriptionFile, describeApplication } from '../../src/compose/application.ts'
import { shellWords } from '../../src/compose/shell.ts'
import { run } from '../../src/config/command.ts'
import type { Component } from '../../src/repository/component.ts'
import { Store } from '../../src/store/store.ts'
import { blueprintOf, componentOf } from './stack.ts'

const passwd = 'root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n'
const group = 'root:x:0:\nwww-data:x:33:\n'
let directory: string
let store: Store

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-app-'))
  store = await Store.open(join(directory, 'store'))
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

/** The description of a blueprint whose stack has `passwd`, for a bundle that has `inBundle`. */
async function described(more: Readonly<Record<string, unknown>>, inBundle = passwd): Promise<DescriptionFile[]> {
  const blueprint = blueprintOf(more)
  const { digest } = await componentOf(store, 'configuration', 'configuration', '1', {
    '/etc/passwd': passwd,
    '/etc/group': group,
  })
  const services = await servicesOf(blueprint, [await store.readJson<Component>(digest)], store)
  return describeApplication(blueprint, services, inBundle)
}

test('a NUL is refused, for no argument can hold one', async () => {
  const start = { command: ['/bin/true', 'a\0b'] }
  await expect(described({ start })).rejects.toMatchObject({ code: 'VALUE_UNFIT' })
})

test('a description starts, prepares and probes the application as the blueprint says', async () => {
  const [script, sent, expected, service] = await described({
    start: {
      command: ['/usr/sbin/apache2', '-DFOREGROUND'],
      user: 'www-data',
      environment: { B: 'two words', A: "it's" },
      stop: 'WINCH',
    },
    writable: [{ path: '/run/apache2', owner: 'www-data', mode: '0750' }],
    probe: { http: '/a b?c=%20#\r\nX: y', port: 8080, expect: { status: 301, contains: 'moved' } },
  })
  expect(script!.content).toBe(`# Made from the blueprint by \`bootloom compose\`; sourced by init.
app_name='test'
app_services='1'
app_probe() {
  probe_http 8080 301
}
`)
  expect(sent).toMatchObject({ name: 'app.send' })
  expect(sent!.content.split('\r\n')[0]).toBe('GET /a%20b?c=%20#%0D%0AX:%20y HTTP/1.0')
  expect(expected).toEqual({ name: 'app.expect', content: 'moved' })
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  expect(service).toEqual({
    name: 'service-1.sh',
    content: `# Made from the blueprint by \`bootloom compose\`; sourced by the process that keeps this service running.
service_name='test'
service_type='simple'
service_after=''
service_directory='/'
service_pid_file=''
service_umask='0022'
service_open_files=''
service_directories() {
  make_directory '/run/apache2' '33:33' '0750'
}
service_pre() {
  :
}
service_start() {
  exec setsid env -i -- 'A=it'\\''s' 'B=two words' 'PATH=${path}' "$tools/start-stop-daemon" -S -q -p "$run/none" -c 33:33 -x '/usr/sbin/apache2' -- '-DFOREGROUND'
}
service_start_may_fail=''
service_reload() {
  signal_main 'HUP'
}
service_stop() {
  signal_main 'WINCH'
}
service_probe() {
  :
}
`,
  })
})

test('an account that the stack or the bundle does not have is refused before any node meets it', async () => {
  const start = { command: ['/bin/true'], user: 'redis' }
  await expect(described({ start })).rejects.toMatchObject({ code: 'ACCOUNT_UNKNOWN' })
  const writable = [{ path: '/x', owner: 'redis' }]
  await expect(described({ writable })).rejects.toMatchObject({ code: 'ACCOUNT_UNKNOWN' })
  const known = { command: ['/bin/true'], user: 'www-data' }
  await expect(described({ start: known }, '')).rejects.toMatchObject({ code: 'ACCOUNT_UNKNOWN', where: '/etc/passwd' })
  await expect(described({}, '')).resolves.toHaveLength(2)
})
