import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { bootsOf } from '../../src/state/boots.ts'
import { latestEvents } from '../../src/state/events.ts'
import { listMisses, type Miss } from '../../src/state/misses.ts'
import { digestOf } from '../../src/store/digest.ts'
import { type Fixture, pattern, startFixture } from '../http/fixture.ts'
import { bootNode, type Line, lineTo, type Node } from './misses.ts'

const macs = { deny: '52:54:00:aa:01:01', fetch: '52:54:00:aa:01:02' } as const
const large = pattern(700_000, 5)
const lacking = {
  '/srv/absent.html': 'brought while you waited\n',
  '/srv/deep': null,
  '/srv/deep/er': null,
  '/srv/deep/er/page.html': 'from further down\n',
  '/srv/link.html': { to: 'deep/er/page.html' },
  '/srv/large': large,
  '/srv/damaged': 'never to be seen',
  '/srv/away': 'nobody brings it',
  '/srv/later': 'brought by the second process',
  '/srv/odd name %': 'x',
  '/usr/bin/hello': '#!/.bootloom/busybox sh\necho hello from afar\n',
}

const deep = '/srv/1/2/3/4/5/6/7/8/9/10/11'
const denied = {
  ...{ '/srv/only-here': 'x', '/srv/in-a-storm': 'x', '/srv/in-another': 'x', '/srv/refused': 'x', '/srv/busy': 'x' },
  ...{
    [`${deep}/page.html`]: 'x',
    [`${deep}/12/page.html`]: 'x',
    [`${deep}/12/more.html`]: 'x',
    '/srv/7/8/9/10/11/page.html': 'x',
  },
}

let fixture: Fixture
let line: Line
let deny: Node
let fetching: Node

beforeAll(async () => {
  fixture = await startFixture()
  line = await lineTo(fixture)
  deny = await bootNode(fixture, line, {
    mac: macs.deny,
    onMiss: 'deny',
    lacking: { ...lacking, ...denied },
  })
  fetching = await bootNode(fixture, line, { mac: macs.fetch, onMiss: 'fetch', lacking })
  await Promise.all([ready('deny'), ready('fetch')])
}, 120_000)

afterAll(async () => {
  for (const node of [deny, fetching]) {
    node?.process.kill('SIGKILL')
    if (process.env.CONSOLE) console.info(node?.machine.console())
  }
  line?.close()
  await fixture?.close()
})

async function ready(which: keyof typeof macs): Promise<void> {
  await vi.waitFor(
    async () => {
      await fixture.boots.flush()
      const [boot] = await bootsOf(fixture.state.redis, macs[which], 1)
      expect(boot?.outcome).toBe('ready')
    },
    { timeout: 60_000, interval: 200 },
  )
}

/** What is known of a path, once `holds`. */
async function missOf(path: string, node: string, holds = (_: Miss) => true): Promise<Miss> {
  let found: Miss | undefined
  await expect
    .poll(
      async () => {
        const all = await listMisses(fixture.state.redis, 'test')
        found = all.find((miss) => miss.path === path && miss.nodes.some((one) => one.node === node) && holds(miss))
        return found !== undefined
      },
      { timeout: 20_000, interval: 100, message: `a miss of ${path}` },
    )
    .toBe(true)
  return found!
}

test('a locked node says no, and tells which process asked for which file of which component', async () => {
  expect((await deny.get('/only-here')).status).toBe(404)
  const before = Date.now()
  expect(await missOf('/srv/only-here', macs.deny)).toMatchObject({
    component: 'more',
    type: 'file',
    process: 'httpd',
    outcome: 'missed',
    count: 1,
  })
  expect(Date.now() - before).toBeLessThan(10_000)
  const events = await latestEvents(fixture.state.redis, 100)
  expect(events.filter(({ event, path }) => event === 'file-missed' && path === '/srv/only-here')).toHaveLength(1)
})

test('a locked node names the file that was wanted in a directory that is missing itself', async () => {
  expect((await deny.get('/deep/er/page.html')).status).toBe(404)
  await missOf('/srv/deep/er/page.html', macs.deny)
  await deny.get('/deep/er/nothing-anywhere')
  await deny.shell('cat "/srv/odd name %" /srv/./deep/../absent.html')
  await missOf('/srv/odd name %', macs.deny)
  await missOf('/srv/absent.html', macs.deny)
  const paths = (await listMisses(fixture.state.redis, 'test')).map(({ path }) => path)
  expect(paths).not.toContain('/srv/deep')
  expect(paths).not.toContain('/srv/deep/er/nothing-anywhere')
})

test('a locked node names what was wanted below more directories than the kernel tells of', async () => {
  await deny.shell(`mkdir -p ${deep} /srv/7/8/9/10/11; cat ${deep}/page.html; cat ${deep}/nothing`)
  await missOf(`${deep}/page.html`, macs.deny)
  await deny.shell(`cat ${deep}/12/page.html`)
  await missOf(`${deep}/12/page.html`, macs.deny)
  // Made by the application later than the directories were looked at.
  await deny.shell(`mkdir ${deep}/12; cat ${deep}/12/more.html`)
  await missOf(`${deep}/12/more.html`, macs.deny)
  expect((await listMisses(fixture.state.redis, 'test')).map(({ path }) => path)).not.toContain(
    '/srv/7/8/9/10/11/page.html',
  )
})

test.each([
  ['of one name', '/srv/nowhere', '/srv/in-a-storm'],
  ['in a directory of which nothing was left out', '/run/nowhere$i', '/srv/in-another'],
])('a miss in a storm %s is told', async (_, nowhere, path) => {
  const storm = `i=0; end=$(($(date +%s) + 5)); while [ $(date +%s) -lt $end ]; do
    j=0; while [ $j -lt 2000 ]; do [ -e ${nowhere} ]; i=$((i + 1)); j=$((j + 1)); done; done; echo $i`
  const looked = deny.shell(storm)
  await sleep(3500)
  await deny.shell(`cat ${path}`)
  const count = Number(await looked)
  console.info(`${count} look-ups in 5 s`)
  expect(count).toBeGreaterThan(10_000)
  await missOf(path, macs.deny)
})

test('a report that is refused is told again or, where that is of no use, counted', async () => {
  line.refuses.push({ mac: macs.deny, status: 425 })
  await deny.shell('cat /srv/busy')
  await missOf('/srv/busy', macs.deny)
  line.refuses.push({ mac: macs.deny, status: 413 })
  await deny.shell('cat /srv/refused')
  await vi.waitFor(
    () => expect(deny.machine.console()).toMatch(/misses were refused \(413\); [1-9]\d* are lost/),
    10_000,
  )
  await deny.shell('cat /srv/later')
  await missOf('/srv/later', macs.deny)
  expect(line.told.some((url) => url.includes(macs.deny) && /&lost=[1-9]\d*$/.test(url))).toBe(true)
})

test('looking at what was missed makes no miss', async () => {
  const seen = async () => Number(/ miss +(\d+)/.exec(await deny.shell('cat /sys/kernel/tracing/kprobe_profile'))?.[1])
  const before = await seen()
  await sleep(2000)
  expect((await seen()) - before).toBeLessThan(100)
})

test('making a file that the stack has too is no miss', async () => {
  expect(await deny.shell('echo new >/srv/away; cat /srv/away')).toBe('new\n')
  await deny.shell('cat /srv/large')
  await missOf('/srv/large', macs.deny)
  expect((await listMisses(fixture.state.redis, 'test')).map(({ path }) => path)).not.toContain('/srv/away')
})

test('a node that may reach back serves what it lacks on the first request, and is told of', async () => {
  expect(await fetching.get('/absent.html')).toEqual({ status: 200, text: 'brought while you waited\n' })
  const { took, outcome } = await missOf('/srv/absent.html', macs.fetch, (miss) => miss.outcome === 'fetched')
  expect(outcome).toBe('fetched')
  console.info(`fetched in ${took} ms on the node`)
  expect(took).toBeLessThan(2000)
  expect((await fetching.get('/link.html')).text).toBe('from further down\n')
  expect(await fetching.shell('sha256sum </srv/large')).toContain(digestOf(large).slice('sha256:'.length))
  expect(await fetching.shell('hello')).toBe('hello from afar\n')
  expect(fetching.machine.console()).toMatch(/httpd \[\d+\] asked for \/srv\/absent\.html: fetched, 25 bytes in \d+ ms/)
})

test('on a node that may reach back, directories list what the whole stack has, and files can be written', async () => {
  expect((await fetching.shell('find /srv | sort')).trim().split('\n')).toEqual(
    expect.arrayContaining([
      '/srv',
      '/srv/absent.html',
      '/srv/deep/er/page.html',
      '/srv/index.html',
      '/srv/odd name %',
    ]),
  )
  expect(await fetching.shell('echo mine >>/srv/absent.html; cat /srv/absent.html /.hidden; ls /etc')).toBe(
    'brought while you waited\nmine\nseenhosts\npasswd\nresolv.conf\n',
  )
})

test('a content that is not what its name says is refused, and told of', async () => {
  line.blobs = 'damaged'
  expect(await fetching.shell('cat /srv/damaged; echo status $?')).toMatch(/Input\/output error\nstatus 1\n/)
  line.blobs = 'whole'
  await missOf('/srv/damaged', macs.fetch, (miss) => miss.outcome === 'corrupt')
})

test('a process that waits for a server that is away can be killed, and one that waits on gets an error in time', async () => {
  line.blobs = 'cut'
  const killed = await fetching.shell('cat /srv/later & sleep 1; kill -9 $!; wait $!; echo status $?')
  expect(killed).toContain('status 137')
  const began = Date.now()
  expect(await fetching.shell('cat /srv/away; echo status $?')).toMatch(/Input\/output error\nstatus 1\n/)
  expect(Date.now() - began).toBeLessThan(14_000)
  line.blobs = 'whole'
  await missOf('/srv/away', macs.fetch, (miss) => miss.outcome === 'away')
})

test('a request in flight is answered when the process that had it dies', async () => {
  line.blobs = 'cut'
  const reading = fetching.shell('cat /srv/later')
  // Its keeper has another name.
  const ended = await fetching.shell(
    'sleep 1; cd /proc; for p in [0-9]*; do read -r c <$p/comm; [ "$c" != reach ] || kill -9 $p; done; echo done',
  )
  expect(ended).toBe('done\n')
  line.blobs = 'whole'
  expect(await reading).toBe('brought by the second process')
  expect(fetching.machine.console()).toContain('reach ended (9), starting it again')
})

test('no node fetches what its own bundle does not lack, or where its blueprint says deny', async () => {
  const blob = (mac: string, boot: string, text: string | Buffer) =>
    fixture.get(`/blob/${digestOf(text)}?mac=${mac}&boot=${boot}`)
  expect((await blob(macs.fetch, fetching.boot, large)).status).toBe(200)
  expect((await blob(macs.fetch, fetching.boot, 'It works\n')).status).toBe(404)
  expect((await blob(macs.deny, deny.boot, large)).status).toBe(404)
  expect((await blob(macs.fetch, deny.boot, large)).status).toBe(403)
})
