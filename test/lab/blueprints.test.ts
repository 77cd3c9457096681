import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { addressOf } from '../../lab/boot-watch.ts'
import { fetchInside } from '../../lab/fetch.ts'
import { type LabNode, macOf } from '../../lab/node.ts'
import type { Draft } from '../../src/change/draft.ts'
import { inside } from '../../src/machine/namespace.ts'
import { exchangeInside } from './exchange-inside.ts'
import { Road } from './road.ts'

const asRoot = process.getuid?.() === 0

/** Packages, a probe, and nothing else: no blueprint or rule of ours names these. */
const strangers = {
  memcached: { packages: 'memcached', probe: '{ tcp: 11211, send: "version\\r\\n", expect: VERSION }' },
  mosquitto: { packages: 'mosquitto', probe: '{ tcp: 1883 }' },
} as const

let road: Road
let node: LabNode | undefined

/** Watches, weaves (which replays) and boots a blueprint; the address of the node that runs it. */
async function booted(name: string, memory: number): Promise<string> {
  const { seconds } = await road.observe(name)
  expect(seconds).toBeLessThan(20)
  await road.compose(name, { level: 'fast' })
  await road.assign(macOf(1), name)
  const began = Date.now()
  const { boot, node: started } = await road.boot({ index: 1, memory })
  console.info(`${name}: observed in ${seconds} s, replay holds, ready ${(Date.now() - began) / 1000} s after power-on`)
  node = started
  return addressOf(boot)!
}

async function stranger(name: keyof typeof strangers): Promise<string> {
  const { packages, probe } = strangers[name]
  const yaml = `name: ${name}\nstack: [ { deb: { packages: [${packages}] } } ]\nprobe: ${probe}\n`
  await road.api.request('POST', '/v1/blueprints', { yaml, directory: '/' })
  return booted(name, 256)
}

/** A program of an installed stack, run inside the lab's network. */
async function ofStack(program: string, words: readonly string[], input = ''): Promise<string> {
  const stacks = join(road.place.directory, 'state', 'stacks')
  const roots = readdirSync(stacks).map((name) => join(stacks, name, 'root'))
  const root = roots.find((found) => existsSync(join(found, program)))!
  const [file, ...args] = inside(road.place.name, ['chroot', root, program, ...words])
  const { stdout } = await execa(file, args, { input, timeout: 60_000, maxBuffer: 1 << 26, env: { PGPASSWORD: '' } })
  return stdout
}

const page = async (url: string) => (await fetchInside(road.place.name, url, { patience: 20_000 })).body

async function open(): Promise<void> {
  road = await Road.open('shipped')
}
async function close(): Promise<void> {
  await road?.close()
}
afterEach(async () => {
  await node?.stop()
  node = undefined
}, 30_000)

describe.skipIf(!asRoot)('a daemon that nobody described', { timeout: 300_000 }, () => {
  beforeAll(open, 120_000)
  afterAll(close, 60_000)

  it('is drafted from its package, boots and answers: its unit says what name, packages and probe do not', async () => {
    const request = { name: 'web', packages: ['lighttpd'] }
    const draft = await road.api.job<Draft>('POST', '/v1/drafts', request, () => {})
    expect(draft).toEqual({
      yaml: `name: web
stack:
  - deb: { packages: [lighttpd] }
probe: { http: / }
# workload: what the application is to do on the node, driven while it is watched
`,
      unit: '/usr/lib/systemd/system/lighttpd.service',
    })
    await road.api.request('POST', '/v1/blueprints', { yaml: draft.yaml, directory: '/' })
    const address = await booted('web', 256)
    expect(await page(`http://${address}/`)).toContain('lighttpd')
  })

  describe.skipIf(!process.env.PROVE_BLUEPRINTS)('(the long run: npm run prove:blueprints)', () => {
    it('memcached, which a script of its package starts', () => stranger('memcached'))
    it('mosquitto, which makes its directories before it starts', () => stranger('mosquitto'))

    it('apache', async () => {
      await road.apply('apache')
      const address = await booted('apache', 256)
      expect(await page(`http://${address}/`)).toContain('Bootloom')
    })

    it('apache-php', async () => {
      await road.apply('apache-php')
      const address = await booted('apache-php', 512)
      const url = `http://${address}/index.php`
      await page(`${url}?name=Bob&text=hello&zone=America/St_Johns`)
      expect(await page(url)).toMatch(/BOB.*hello.*-0[23]:30/s)
    })

    it('nginx', async () => {
      await road.apply('nginx')
      const address = await booted('nginx', 256)
      expect(await page(`http://${address}/`)).toContain('Bootloom')
    })

    it('redis', async () => {
      await road.apply('redis')
      const address = await booted('redis', 256)
      const said = await exchangeInside(road.place.name, address, 6379, 'SET a kept\r\nGET a\r\nQUIT\r\n')
      expect(said).toContain('kept')
    })

    it('python-flask', async () => {
      await road.apply('python-flask')
      const address = await booted('python-flask', 512)
      expect(await page(`http://${address}:8000/time/Asia/Kathmandu`)).toContain('+05:45')
      expect(await page(`http://${address}:8000/json?name=Bob`)).toContain('"Bob"')
    })

    it('node-http', async () => {
      await road.apply('node-http')
      const address = await booted('node-http', 512)
      expect(await page(`http://${address}:8000/time/Asia/Kathmandu`)).toContain('GMT+5:45')
    })

    it('mariadb', async () => {
      // One statement a line, as init_file wants them.
      const account = "CREATE USER IF NOT EXISTS shop@'%' IDENTIFIED BY 'loom';\\nGRANT ALL ON *.* TO shop@'%';"
      await road.apply('mariadb', (yaml) =>
        yaml
          .replace('bind-address = 0.0.0.0\\n', 'bind-address = 0.0.0.0\\ninit_file = /etc/mysql/first.sql\\n')
          .replace('files:\n', `files:\n  - { path: /etc/mysql/first.sql, content: "${account}\\n" }\n`),
      )
      const address = await booted('mariadb', 1024)
      const sql = (text: string) =>
        ofStack('/usr/bin/mariadb', ['-h', address, '-ushop', '-ploom', '--batch', '--skip-column-names', '-e', text])
      await sql('CREATE DATABASE shop; CREATE TABLE shop.item (id INT PRIMARY KEY, name TEXT, FULLTEXT (name))')
      await sql("INSERT INTO shop.item VALUES (1, 'a loom'), (2, 'a shed')")
      expect(await sql("SELECT id FROM shop.item WHERE MATCH (name) AGAINST ('shed')")).toBe('2')
      expect(await sql("SELECT CONVERT('ä' USING koi8r), COUNT(*) FROM information_schema.tables")).toMatch(/\d+$/)
      const dump = await ofStack('/usr/bin/mariadb-dump', ['-h', address, '-ushop', '-ploom', 'shop'])
      await sql('CREATE DATABASE again')
      await ofStack('/usr/bin/mariadb', ['-h', address, '-ushop', '-ploom', 'again'], dump)
      expect(await sql('SELECT COUNT(*) FROM again.item')).toBe('2')
    })

    it('postgresql: databases, extensions, text search, time zones, dump and restore, restart', async () => {
      await road.apply('postgresql', (yaml) => yaml.replace('scram-sha-256', 'trust'))
      const address = await booted('postgresql', 1024)
      const programs = '/usr/lib/postgresql/15/bin'
      const sql = (text: string, database = 'postgres') =>
        ofStack(`${programs}/psql`, ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', address, '-U', 'postgres', database], text)
      await sql('CREATE DATABASE shop')
      for (const extension of ['pg_trgm', 'hstore', 'pgcrypto', '"uuid-ossp"', 'unaccent']) {
        await sql(`CREATE EXTENSION ${extension}`, 'shop')
      }
      expect(await sql("SELECT unaccent('Hôtel'), encode(digest('a', 'sha1'), 'hex')", 'shop')).toContain('Hotel|86f7')
      const search = "SELECT to_tsvector('german', 'die Häuser') @@ to_tsquery('german', 'Haus')"
      expect(await sql(search, 'shop')).toBe('t')
      expect(await sql("SELECT '2026-07-01 00:00Z'::timestamptz AT TIME ZONE 'America/St_Johns'")).toContain('21:30')
      expect(Number(await sql('SELECT count(*) FROM pg_timezone_names'))).toBeGreaterThan(400)
      await sql('CREATE TABLE item AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 20000) n', 'shop')
      const dump = await ofStack(`${programs}/pg_dump`, ['-h', address, '-U', 'postgres', 'shop'])
      await sql('CREATE DATABASE again')
      await sql(dump, 'again')
      expect(await sql('SELECT count(*) FROM item', 'again')).toBe('20000')

      const started = await sql('SELECT pg_postmaster_start_time()')
      const end = 'read pid </var/lib/postgresql/15/main/postmaster.pid; kill -INT $pid'
      await sql(`COPY (SELECT 1) TO PROGRAM '${end}'`).catch(() => {})
      let again = started
      for (let waited = 0; waited < 30_000 && again === started; waited += 250) {
        await sleep(250)
        again = await sql('SELECT pg_postmaster_start_time()').catch(() => started)
      }
      expect(again).not.toBe(started)
      expect(await sql('SELECT count(*) FROM item', 'again')).toBe('20000')
    })
  })
})
