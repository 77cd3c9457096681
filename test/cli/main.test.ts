import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import metadata from '../../package.json' with { type: 'json' }
import { bootloom } from './launcher.ts'

const root = join(import.meta.dirname, '..', '..')
let directory: string

beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'bootloom-cli-')))
})
afterAll(() => rmSync(directory, { recursive: true }))

test('the launcher finds its checkout through links, from anywhere', async () => {
  symlinkSync(join(root, 'src/bootloom.sh'), join(directory, 'first'))
  symlinkSync('first', join(directory, 'second'))
  const { stdout, exitCode } = await bootloom(['--version'], { launcher: join(directory, 'second'), cwd: '/' })
  expect([stdout, exitCode]).toEqual([metadata.version, 0])
})

test('the launcher says to run npm ci where that has not been done', async () => {
  const bare = join(directory, 'a checkout')
  await mkdir(join(bare, 'src'), { recursive: true })
  const launcher = join(bare, 'src', 'bootloom.sh')
  const { copyFileSync } = await import('node:fs')
  copyFileSync(join(root, 'src/bootloom.sh'), launcher)
  const { stderr, exitCode } = await bootloom(['--help'], { launcher })
  expect(exitCode).toBe(1)
  expect(stderr).toContain(`${bare}/node_modules`)
  expect(stderr).toContain('npm ci')
})

test.each([
  [['node', 'lst'], "unknown command 'lst'"],
  [['node', 'set'], "missing required argument 'mac'"],
  [['node', 'list', '--jsn'], "unknown option '--jsn'"],
  [['compose', 'apache', '--level', 'best'], 'Allowed choices are fast, thorough'],
  [['serve', '--role', 'x'], 'Allowed choices are boot, control, all'],
  [['lab', 'node', 'one'], "'one' is no whole number"],
])('%j is a usage error: exit status 2, the message and a hint', async (words, message) => {
  const { stdout, stderr, exitCode } = await bootloom(words)
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(/^error USAGE: /)
  expect(stderr).toContain(message)
  expect(stderr).toMatch(/\nhint: .+$/)
  expect(stdout).toBe('')
})

test('a noun without its verb shows its help, with exit status 2', async () => {
  const { stderr, exitCode } = await bootloom(['node'])
  expect(exitCode).toBe(2)
  expect(stderr).toContain('Usage: bootloom node')
})

test('with --json an error is one object on standard output, and nothing else is printed', async () => {
  writeFileSync(join(directory, 'bad.yaml'), 'http: { port: 0 }\nhtttp: {}\n')
  const { stdout, stderr, exitCode } = await bootloom(['config', '--config', join(directory, 'bad.yaml'), '--json'])
  expect(exitCode).toBe(2)
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual({
    error: {
      code: 'SETTINGS_INVALID',
      message: '2 findings in the settings',
      where: join(directory, 'bad.yaml'),
      details: [
        'http.port (bad.yaml:1): must be at least 1, got 0',
        'htttp (bad.yaml:2): no such setting; did you mean http?',
      ],
      hint: expect.any(String),
    },
  })
})

test('config --show tells where each setting comes from, and never a password', async () => {
  writeFileSync(join(directory, 'bootloom.yaml'), 'log:\n  level: warn\n')
  const env = { BOOTLOOM_REDIS_URL: 'redis://admin:hunter2@redis.example:6379', BOOTLOOM_HTTP_PORT: '8081' }
  const text = await bootloom(['config', '--show', '--state', 'here'], { cwd: directory, env })
  expect(text.stdout + text.stderr).not.toContain('hunter2')
  expect(text.stdout).toMatch(/redis\.url +redis:\/\/\*\*\*@redis\.example:6379 +BOOTLOOM_REDIS_URL/)

  const { stdout } = await bootloom(['config', '--show', '--state', 'here', '--json'], { cwd: directory, env })
  expect(stdout).not.toContain('hunter2')
  const shown = JSON.parse(stdout) as { file: string; settings: { setting: string; value: unknown; from: string }[] }
  expect(shown.file).toBe(join(directory, 'bootloom.yaml'))
  const from = Object.fromEntries(shown.settings.map((row) => [row.setting, [row.value, row.from]]))
  expect(from).toMatchObject({
    state: [join(directory, 'here'), '--state'],
    'log.level': ['warn', 'bootloom.yaml:2'],
    'http.port': [8081, 'BOOTLOOM_HTTP_PORT'],
    'tftp.port': [69, 'default'],
  })
})

test('serve insists on the interface and a subnet before it touches anything', async () => {
  const { stderr, exitCode } = await bootloom(['serve', '--state', join(directory, 'never')])
  expect(exitCode).toBe(2)
  expect(stderr).toContain('network.interface')
  expect(stderr).toContain('dhcp.subnets')
})
