import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BootloomError } from '../../src/config/errors.ts'
import { loadSettings } from '../../src/config/load.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bootloom-config-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

type Options = NonNullable<Parameters<typeof loadSettings>[0]>

/** Settings as a command started in `directory` would have them, from this file and nothing of the machine's own. */
function load(yaml: string | undefined, options: Options = {}) {
  if (yaml !== undefined) writeFileSync(join(directory, 'bootloom.yaml'), yaml)
  return loadSettings({ cwd: directory, env: {}, ...options })
}

function failure(yaml: string | undefined, options: Options = {}): BootloomError {
  try {
    load(yaml, options)
  } catch (error) {
    expect(error).toBeInstanceOf(BootloomError)
    return error as BootloomError
  }
  throw new Error('the settings were accepted')
}

const subnet = (cidr: string, first: string, last: string, more = '') =>
  `    - subnet: ${cidr}\n      range: [${first}, ${last}]\n${more}`

test('without a file, variables and flags, every setting is its default', () => {
  const { settings, file, origin } = load(undefined)
  expect(settings.state).toBe('/var/lib/bootloom')
  expect(settings.http.port).toBe(8080)
  expect(settings.unknown).toEqual({ action: 'reject' })
  expect(file).toBeUndefined()
  expect(origin(['http', 'port'])).toBe('default')
})

test('a variable stands over the file and a flag over both, and each tells where it comes from', () => {
  const yaml = 'state: ./here\nhttp:\n  port: 1000\ntftp:\n  port: 2000\nlog: { level: warn }\n'
  const env = { BOOTLOOM_TFTP_PORT: '2001', BOOTLOOM_STATE: '/from/variable', PATH: '/bin' }
  const { settings, origin, file } = load(yaml, { env, flags: { state: '/from/flag' } })
  expect(settings).toMatchObject({ state: '/from/flag', http: { port: 1000 }, tftp: { port: 2001 } })
  expect(file).toBe(join(directory, 'bootloom.yaml'))
  expect(origin(['state'])).toBe('--state')
  expect(origin(['tftp', 'port'])).toBe('BOOTLOOM_TFTP_PORT')
  expect(origin(['http', 'port'])).toBe('bootloom.yaml:3')
  expect(origin(['log', 'level'])).toBe('bootloom.yaml:6')
  expect(origin(['dhcp', 'mode'])).toBe('default')
})

test('the file is the one of --config, else of BOOTLOOM_CONFIG, else ./bootloom.yaml', () => {
  const named = (name: string, port: number) => {
    writeFileSync(join(directory, name), `http: { port: ${port} }\n`)
    return join(directory, name)
  }
  named('bootloom.yaml', 1)
  const env = { BOOTLOOM_CONFIG: named('variable.yaml', 2) }
  expect(load(undefined).settings.http.port).toBe(1)
  expect(load(undefined, { env }).settings.http.port).toBe(2)
  expect(load(undefined, { env, flags: { config: named('flag.yaml', 3) } }).settings.http.port).toBe(3)
})

test('a relative state directory counts from the file that says it, else from where the command is run', () => {
  writeFileSync(join(directory, 'a.yaml'), 'state: lab\n')
  const elsewhere = { config: join(directory, 'a.yaml') }
  expect(loadSettings({ cwd: '/', env: {}, flags: elsewhere }).settings.state).toBe(join(directory, 'lab'))
  expect(loadSettings({ cwd: '/', env: {}, flags: { ...elsewhere, state: 'x' } }).settings.state).toBe('/x')
})

test('a variable that holds a list is written as YAML or JSON', () => {
  const env = {
    BOOTLOOM_DHCP_SUBNETS: '[{"subnet": "10.1.0.0/24", "range": ["10.1.0.5", "10.1.0.9"]}]',
    BOOTLOOM_UNKNOWN: '{ action: blueprint, blueprint: apache }',
    BOOTLOOM_TFTP_ENABLED: 'false',
  }
  const { settings, origin } = load(undefined, { env })
  expect(settings.dhcp.subnets[0]?.range).toEqual(['10.1.0.5', '10.1.0.9'])
  expect(settings.unknown).toEqual({ action: 'blueprint', blueprint: 'apache' })
  expect(settings.tftp.enabled).toBe(false)
  expect(origin(['dhcp', 'subnets', 0, 'subnet'])).toBe('BOOTLOOM_DHCP_SUBNETS')
})

test('all that is wrong is said at once, each with its path and where it was said', () => {
  const yaml = [
    'http:',
    '  port: x',
    '  prt: 4',
    'logg: debug',
    'compose: { fast: 0 }',
    'dhcp:',
    '  subnets:',
    '    - subnet: 10.0.0.0/24',
    '      range: [10.0.0.9, 10.0.1.4]',
    '    - range: [1.2.3.4]',
  ].join('\n')
  const env = { BOOTLOOM_HTP_PORT: '1', BOOTLOOM_TFTP_PORT: '99999' }
  const error = failure(yaml, { env, flags: { interface: 'eth 0' } })
  expect(error.code).toBe('SETTINGS_INVALID')
  expect(error.exit).toBe(2)
  expect(error.where).toBe(join(directory, 'bootloom.yaml'))
  expect([...error.details].sort()).toEqual([
    'BOOTLOOM_HTP_PORT: no such variable; did you mean BOOTLOOM_HTTP_PORT?',
    'compose.fast (bootloom.yaml:5): must be at least 1, got 0',
    'dhcp.subnets[0].range[1] (bootloom.yaml:9): 10.0.1.4 is outside of 10.0.0.0/24',
    'dhcp.subnets[1].range (bootloom.yaml:10): must have at least 2 entries',
    'dhcp.subnets[1].subnet (bootloom.yaml:10): is needed: must be text',
    'http.port (bootloom.yaml:2): must be a number, got "x"',
    'http.prt (bootloom.yaml:3): no such setting; did you mean port?',
    'logg (bootloom.yaml:4): no such setting; did you mean log?',
    'network.interface (--interface): must be the name of a network interface, as eth1, got "eth 0"',
    'tftp.port (BOOTLOOM_TFTP_PORT): must be at most 65535, got 99999',
  ])
})

test('a file that is no YAML is refused with the line', () => {
  const error = failure('http:\n  port: [1\nlog: }\n')
  expect(error.code).toBe('SETTINGS_UNREADABLE')
  expect(error.details[0]).toMatch(/^bootloom\.yaml:\d+ {2}/)
})

test.each([
  ['a list instead of names', '- 1\n', /must hold names/],
  ['aliases that unfold without bound', bomb(), /cannot be unfolded/],
  ['more than 1 MiB', `# ${'x'.repeat(1024 * 1024)}\n`, /larger than 1 MiB/],
])('a file with %s is refused', (_what, yaml, message) => {
  expect(failure(yaml).message).toMatch(message)
})

function bomb(): string {
  const names = 'abcdefgh'.split('')
  const lines = names.map((name, i) => {
    const item = i === 0 ? 'x' : `*${names[i - 1]}`
    return `${name}: &${name} [${Array(10).fill(item).join(', ')}]`
  })
  return lines.join('\n')
}

test('a file that was named but is not there is refused, and an empty one is a file without settings', () => {
  expect(failure(undefined, { flags: { config: 'nowhere.yaml' } }).code).toBe('SETTINGS_UNREADABLE')
  expect(load('# nothing yet\n').settings.http.port).toBe(8080)
})

test.each([
  ['a range in the wrong order', subnet('10.0.0.0/24', '10.0.0.9', '10.0.0.5'), '10.0.0.9 comes after 10.0.0.5'],
  ['the network address', subnet('10.0.0.0/24', '10.0.0.0', '10.0.0.5'), "10.0.0.0 is the network's own address"],
  ['the broadcast address', subnet('10.0.0.0/24', '10.0.0.1', '10.0.0.255'), '10.0.0.255 is the broadcast address'],
  [
    'a router of another subnet',
    subnet('10.0.0.0/24', '10.0.0.1', '10.0.0.5', '      router: 10.9.0.1\n'),
    '10.9.0.1 is outside of 10.0.0.0/24',
  ],
  [
    'subnets that overlap',
    subnet('10.0.0.0/16', '10.0.0.1', '10.0.0.5') + subnet('10.0.1.0/24', '10.0.1.1', '10.0.1.5'),
    '10.0.1.0/24 overlaps with 10.0.0.0/16',
  ],
])('%s is found', (_what, subnets, finding) => {
  const { details } = failure(`dhcp:\n  subnets:\n${subnets}`)
  expect(details).toHaveLength(1)
  expect(details[0]).toContain(finding)
})

test('what only serving needs is asked for only when serving', () => {
  expect(load('').settings.network.interface).toBeUndefined()
  const { details } = failure('', { serving: true })
  expect(details.map((line) => line.split(' ')[0])).toEqual(['network.interface:', 'dhcp.subnets'])
  const off = 'network: { interface: eth1 }\ndhcp: { mode: off }\n'
  expect(load(off.replace('off', '"off"'), { serving: true }).settings.dhcp.mode).toBe('off')
})

test('credentials of the Redis URL are in no message', () => {
  for (const url of ['http://u:hunter2@host', 'redis//:hunter2@host', 'redis://u:hunter2@ho st/']) {
    const error = failure(`redis: { url: "${url}" }\n`)
    expect(JSON.stringify(error)).not.toContain('hunter2')
    expect(error.details[0]).toMatch(/^redis\.url \(bootloom\.yaml:1\)/)
  }
  const error = failure('redis: { url: redis://u:hunter2@host, url: redis://u:hunter2@host }}\n')
  expect(JSON.stringify(error)).not.toContain('hunter2')
})
