import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { treeComponent } from '../../src/repository/tree.ts'
import { watchTree } from '../../src/repository/watch.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'

let directory: string
let store: Store
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-tree-'))
  store = await Store.open(join(directory, 'store'))
  await mkdir(join(directory, 'site', 'img'), { recursive: true })
  await writeFile(join(directory, 'site', 'index.html'), 'Welcome')
})
// Node takes no path as long as those of one test; rm goes down by steps.
afterEach(() => void execFileSync('rm', ['-rf', directory]))

const read = (path = join(directory, 'site')) => treeComponent({ path, at: '/var/www/html', owner: '33:33' }, store)

test('a tree is what stands in the directory, at its place on the node, owned as the blueprint says', async () => {
  await chmod(join(directory, 'site', 'index.html'), 0o640)
  await symlink('../../../etc/passwd', join(directory, 'site', 'img', 'out'))
  const { entries, kind, name } = await read()
  expect([kind, name]).toEqual(['tree', '/var/www/html'])
  const owner = { uid: 33, gid: 33 }
  const at = '/var/www/html'
  expect(entries.slice(1)).toEqual([
    { path: `${at}/img`, type: 'dir', mode: 0o755, size: 0, ...owner },
    { path: `${at}/img/out`, type: 'symlink', mode: 0o777, size: 0, target: '../../../etc/passwd', ...owner },
    { path: `${at}/index.html`, type: 'file', mode: 0o640, size: 7, digest: digestOf('Welcome'), ...owner },
  ])
})

test('the same contents are the same component, wherever they stand and however old; other contents have another time', async () => {
  const first = await read()
  await mkdir(join(directory, 'copy', 'img'), { recursive: true })
  await writeFile(join(directory, 'copy', 'index.html'), 'Welcome')
  await utimes(join(directory, 'copy', 'index.html'), 1, 1)
  expect(await read(join(directory, 'copy'))).toEqual(first)
  // Apache's ETag is size and time: a page changed without changing its length must not keep both.
  await writeFile(join(directory, 'site', 'index.html'), 'welcome')
  const second = await read()
  expect(second.version).not.toBe(first.version)
  expect(second.mtime).not.toBe(first.mtime)
})

test('a change is seen even when length and modification time are put back', async () => {
  const file = join(directory, 'site', 'index.html')
  await utimes(file, 5, 5)
  await sleep(60)
  await read()
  await writeFile(file, 'WELCOME')
  await utimes(file, 5, 5)
  expect((await read()).entries.at(-1)?.digest).toBe(digestOf('WELCOME'))
})

test('a thousand unchanged files are read again in milliseconds', async () => {
  for (let n = 0; n < 1000; n++) await writeFile(join(directory, 'site', 'img', `${n}`), `${n % 50}`)
  await sleep(60)
  await read()
  const started = performance.now()
  await read()
  expect(performance.now() - started).toBeLessThan(500)
})

test('sockets and devices, a file in its place, and a missing directory are refused with the path', async () => {
  execFileSync('mkfifo', [join(directory, 'site', 'pipe')])
  await expect(read()).rejects.toMatchObject({ code: 'TREE_UNREADABLE', where: join(directory, 'site', 'pipe') })
  await expect(read(join(directory, 'site', 'index.html'))).rejects.toMatchObject({ code: 'TREE_UNREADABLE' })
  await expect(read(join(directory, 'nowhere'))).rejects.toMatchObject({ code: 'TREE_UNREADABLE' })
})

test.skipIf(process.getuid?.() !== 0)('devices and sockets are refused with the path', async () => {
  const device = join(directory, 'site', 'device')
  execFileSync('mknod', [device, 'c', '1', '3'])
  await expect(read()).rejects.toMatchObject({ code: 'TREE_UNREADABLE', where: device })
  await rm(device)
  const listening = createServer().listen(join(directory, 'site', 'socket'))
  await once(listening, 'listening')
  await expect(read()).rejects.toMatchObject({ code: 'TREE_UNREADABLE', where: join(directory, 'site', 'socket') })
  listening.close()
})

test('links in a circle are carried as they are, and watched without going round', async () => {
  await symlink('b', join(directory, 'site', 'a'))
  await symlink('a', join(directory, 'site', 'b'))
  await symlink('.', join(directory, 'site', 'img', 'self'))
  const { entries } = await read()
  expect(entries.flatMap(({ target }) => target ?? [])).toEqual(['b', 'a', '.'])
  const ended = new AbortController()
  const settled = Promise.withResolvers<void>()
  await watchTree(join(directory, 'site'), settled.resolve, ended.signal)
  await writeFile(join(directory, 'site', 'img', 'new'), 'x')
  await settled.promise
  ended.abort()
})

test('a path of 3,900 bytes is carried, a longer one refused', async () => {
  const below = (bytes: number) => {
    const names = Array.from({ length: Math.floor(bytes / 200) }, () => 'n'.repeat(199))
    return [...names, 'f'.repeat(bytes - names.length * 200)].join('/')
  }
  const room = 3900 - '/var/www/html/'.length
  const make = async (bytes: number) => {
    execFileSync('sh', [
      '-c',
      'cd "$1" && mkdir -p "$2" && cd "$2" && echo x >"$3"',
      'sh',
      join(directory, 'site'),
      dirname(below(bytes)),
      basename(below(bytes)),
    ])
  }
  await make(room)
  const { entries } = await read()
  expect(Math.max(...entries.map(({ path }) => path.length))).toBe(3900)
  await make(room + 1)
  await expect(read()).rejects.toMatchObject({
    code: 'TREE_UNREADABLE',
    message: expect.stringContaining('3900 bytes'),
  })
})

test('a file that becomes a pipe or a link while the tree is read holds nobody up', async () => {
  const file = join(directory, 'site', 'turning')
  let running = true
  const turning = (async () => {
    for (let n = 0; running; n++) {
      await rm(file, { force: true })
      if (n % 3 === 0) execFileSync('mkfifo', [file])
      else if (n % 3 === 1) await symlink('/etc/passwd', file)
      else await writeFile(file, `${n}`)
    }
  })()
  try {
    for (let n = 0; n < 40; n++) {
      const outcome = await read().then(
        ({ entries }) => entries.find(({ path }) => path.endsWith('turning'))?.type ?? 'gone',
        (error) => error.code,
      )
      expect(['file', 'symlink', 'gone', 'TREE_UNREADABLE', 'TREE_UNSTABLE']).toContain(outcome)
    }
  } finally {
    running = false
    await turning
  }
})

test('a file that grows without end is refused instead of carried half', async () => {
  const file = join(directory, 'site', 'log')
  // Long enough to read that the writer gets its turn meanwhile, however busy the machine is.
  const long = 64 * 1024 * 1024
  await writeFile(file, '')
  await truncate(file, long)
  const writer = spawn('sh', ['-c', 'while :; do echo more; done >>"$0"', file])
  try {
    while ((await stat(file)).size === long) await sleep(5)
    await expect(read()).rejects.toMatchObject({ code: 'TREE_UNSTABLE', where: file })
  } finally {
    writer.kill('SIGKILL')
    await once(writer, 'exit')
  }
})

test('a burst of changes is told once, when it is over, and none after the watch has ended', async () => {
  const ended = new AbortController()
  let settled = 0
  await watchTree(join(directory, 'site'), () => settled++, ended.signal)
  for (let n = 0; n < 5; n++) {
    await writeFile(join(directory, 'site', 'img', `${n}`), 'x')
    await sleep(30)
  }
  expect(settled).toBe(0)
  await sleep(400)
  expect(settled).toBe(1)
  ended.abort()
  await writeFile(join(directory, 'site', 'late'), 'x')
  await sleep(300)
  expect(settled).toBe(1)
})
