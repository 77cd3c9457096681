import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const agent = new URL('../../build/native/agent', import.meta.url).pathname
const mac = '52:54:00:aa:00:31'
const space = `lease-${process.pid}`
const ip = (...words: string[]) => execa('ip', words)

/** A node's root with nothing but the agent in it, and a network of its own with one card. */
describe.runIf(process.getuid?.() === 0)('the lease of a node (skipped without root)', () => {
  let root: string

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'lease-'))
    for (const name of ['.bootloom/run', '.bootloom/kept', 'etc', 'sys', 'proc'])
      await mkdir(join(root, name), { recursive: true })
    await execa('cp', [agent, join(root, '.bootloom/agent')])
    await symlink('agent', join(root, '.bootloom/lease'))
    await ip('netns', 'add', space)
    await ip('-n', space, 'link', 'add', 'eth0', 'address', mac, 'type', 'veth', 'peer', 'name', 'other')
    await ip('-n', space, 'link', 'set', 'other', 'up')
  })
  afterEach(async () => {
    await ip('netns', 'delete', space)
    await rm(root, { recursive: true, force: true })
  })

  const inside = (words: string[], env: Record<string, string> = {}) => {
    const enter = 'mount -t sysfs none "$1/sys" && mount -t proc none "$1/proc" && shift && exec chroot "$@"'
    const all = ['netns', 'exec', space, 'unshare', '--uts', '--mount', 'sh', '-c', enter, 'sh', root, root, ...words]
    return execa('ip', all, { env, reject: false })
  }
  const event = (name: string, env: Record<string, string> = {}) =>
    inside(['/.bootloom/lease', name], { interface: 'eth0', hostname_set: 'ours', ...env })
  const connect = (of = mac) => inside(['/.bootloom/agent', 'network', of], { hostname_set: 'ours' })
  const addresses = async () => {
    const { stdout } = await ip('-n', space, '-j', '-4', 'address', 'show', 'dev', 'eth0')
    type Shown = { addr_info?: { local: string; prefixlen: number; broadcast?: string }[] }[]
    const all = (JSON.parse(stdout) as Shown).flatMap(({ addr_info }) => addr_info ?? [])
    return all.map((at) => [`${at.local}/${at.prefixlen}`, at.broadcast])
  }
  const text = (path: string) => readFile(join(root, path), 'utf8')

  const lease = {
    ip: '10.9.0.20',
    mask: '24',
    broadcast: '10.9.0.255',
    router: '10.9.0.1 10.9.0.2',
    dns: '10.9.0.3 10.9.0.4',
    domain: 'rack.example',
    mtu: '1400',
    lease: '600',
  }

  test('is set as udhcpc tells of it, replaced by another one, and taken away', async () => {
    expect((await connect()).stdout).toBe('eth0')
    expect((await event('bound', lease)).exitCode).toBe(0)
    expect(await addresses()).toEqual([['10.9.0.20/24', '10.9.0.255']])
    expect((await ip('-n', space, 'route')).stdout).toContain('default via 10.9.0.1 dev eth0')
    expect((await ip('-n', space, 'link', 'show', 'eth0')).stdout).toContain('mtu 1400')
    expect(await text('etc/resolv.conf')).toBe('search rack.example\nnameserver 10.9.0.3\nnameserver 10.9.0.4\n')
    const [, until] = /^until=(\d+)$/m.exec(await text('.bootloom/run/lease'))!
    expect(Math.abs(Number(until) - Date.now() / 1000 - 600)).toBeLessThan(20)
    expect((await event('renew', lease)).exitCode).toBe(0)
    expect(await addresses()).toEqual([['10.9.0.20/24', '10.9.0.255']])
    expect((await event('renew', { ...lease, ip: '10.9.0.77', router: '10.9.0.2' })).exitCode).toBe(0)
    expect(await addresses()).toEqual([['10.9.0.77/24', '10.9.0.255']])
    const { stdout: routes } = await ip('-n', space, 'route', 'show', 'default')
    expect(routes.trim()).toBe('default via 10.9.0.2 dev eth0')
    expect((await event('leasefail')).exitCode).toBe(0)
    expect((await event('deconfig')).exitCode).toBe(0)
    expect(await addresses()).toEqual([])
  })

  test('of values that are none, nothing is set or written', async () => {
    await connect()
    const odd = { router: '10.9.0', dns: 'x 10.9.0.3 1.2.3.4;', domain: 'a\nnameserver 6.6.6.6', mtu: '20' }
    expect((await event('bound', { ...lease, ...odd })).exitCode).toBe(0)
    expect(await addresses()).toEqual([['10.9.0.20/24', '10.9.0.255']])
    expect((await ip('-n', space, 'route', 'show', 'default')).stdout).toBe('')
    expect((await ip('-n', space, 'link', 'show', 'eth0')).stdout).toContain('mtu 1500')
    expect(await text('etc/resolv.conf')).toBe('nameserver 10.9.0.3\n')
    expect(await text('.bootloom/run/lease')).not.toContain('6.6.6.6')
    for (const bad of [{ ip: '10.9.0.300' }, { mask: '33' }, { mask: '' }, { interface: 'eth7' }])
      expect((await event('renew', { ...lease, ...bad })).exitCode).not.toBe(0)
    expect(await addresses()).toEqual([['10.9.0.20/24', '10.9.0.255']])
  })

  const hand = (left: number, more = '') => {
    const until = Math.floor(Date.now() / 1000) + left
    const lines = `interface=eth9\nip=10.9.0.20\nmask=24\nbroadcast=\nrouter=10.9.0.1\n${more}until=${until}\n`
    return writeFile(join(root, '.bootloom/kept/lease'), lines)
  }

  test('that the boot before handed on is gone on with, stays while it is asked for, and ends as any', async () => {
    await hand(500)
    const { stdout } = await connect()
    expect(stdout).toMatch(/^eth0 10\.9\.0\.20 (49\d|500)$/)
    expect(await addresses()).toEqual([['10.9.0.20/24', undefined]])
    expect((await ip('-n', space, 'route')).stdout).toContain('default via 10.9.0.1 dev eth0')
    // It may be handed on once more before it was asked for.
    expect(await text('.bootloom/run/lease')).toContain('ip=10.9.0.20\n')
    await event('deconfig')
    expect(await addresses()).toEqual([['10.9.0.20/24', undefined]])
    await event('bound', { ...lease, ip: '10.9.0.21' })
    expect(await addresses()).toEqual([['10.9.0.21/24', '10.9.0.255']])
    await event('deconfig')
    expect(await addresses()).toEqual([])
  })

  test.for([
    ['with less than a minute left', () => hand(50)],
    ['that is damaged', () => writeFile(join(root, '.bootloom/kept/lease'), 'ip=10.9\nuntil=99999999999\n')],
    ['without an address', () => writeFile(join(root, '.bootloom/kept/lease'), 'until=99999999999\n')],
  ] as const)('a handed one %s is not', async ([, put]) => {
    await put()
    expect((await connect()).stdout).toBe('eth0')
    expect(await addresses()).toEqual([])
  })

  test('without a MAC address the first card is taken, and of one that is not there nothing comes up', async () => {
    expect((await connect('')).stdout).toMatch(/^(eth0|other)$/)
    const { stdout, exitCode } = await connect('52:54:00:aa:00:99')
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 })
  })
})
