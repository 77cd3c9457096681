import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { pagedTree } from '../../src/blueprint/paged-tree.ts'
import { bytesOfPages, pageSize } from '../../src/blueprint/pages.ts'
import { parseMissReport } from '../../src/fleet/misses.ts'
import { digestOf, hexOf } from '../../src/store/digest.ts'

/** The real program on a real kernel, in namespaces that end with the test; a file of 40 pages and a bit, 4 of them kept. */
const reach = new URL('../../build/native/reach', import.meta.url).pathname
const content = randomBytes(40 * pageSize + 100)
const digest = digestOf(content)
const kept = '0,2-3,40'

let directory: string
let file: string
let server: Server
let blob: Buffer | undefined
let asked: string[]
let reports: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-paged-'))
  file = join(directory, 'big file.bin')
  blob = undefined
  asked = []
  reports = ''
  server = createServer((request, response) => {
    asked.push(request.url!)
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', async () => {
      reports += body
      await appendFile(join(directory, 'told'), body)
      if (request.url!.startsWith('/misses')) response.end('ok\n')
      else response.writeHead(blob ? 200 : 404, { 'content-length': blob?.length ?? 0 }).end(blob)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await mkdir(join(directory, 'pages'))
  await mkdir(join(directory, 'mounted'))
  await writeFile(join(directory, 'pages', hexOf(digest)), bytesOfPages(content, kept))
  const entry = { path: file, type: 'file', mode: 0o755, uid: 0, gid: 0, size: content.length, digest } as const
  await writeFile(join(directory, 'tree'), pagedTree([{ entry, pages: kept, mtime: 1_700_000_000 }]))
})
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve))
  await rm(directory, { recursive: true, force: true })
})

/** What a shell says that runs where the file is mounted by page. */
async function inside(policy: 'deny' | 'fetch', script: string): Promise<string[]> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const mount = `'${reach}' tree mounted fetched ${url} 52:54:00:aa:00:01 boot-1 ${policy} pages`
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc']
  // What a page holds, by read() and where it is mapped.
  const tools = `file="$1"; touch told
    told() { n=0; until [ "$(grep -c . told)" -ge $1 ] || [ $n -ge 100 ]; do n=$((n + 1)); sleep 0.1; done; }
    page() { dd if="$2" bs=${pageSize} skip=$1 count=1 2>/dev/null | sha256sum | cut -c1-64; }
    mapped() { perl -e 'open F, "<:mmap", $ARGV[0]; seek F, ${pageSize} * $ARGV[1], 0; read F, $b, ${pageSize}; print $b' "$2" $1; }`
  const { all } = await execa(
    'unshare',
    [...namespaces, 'sh', '-c', `${tools}\n${mount} || exit\n${script}`, 'sh', file],
    { cwd: directory, all: true, reject: false },
  )
  return all!.split('\n').filter((line) => !line.startsWith('bootloom:'))
}

const shaOf = (page: number): string =>
  hexOf(digestOf(content.subarray(page * pageSize, Math.min((page + 1) * pageSize, content.length))))
const shaOfNothing = hexOf(digestOf(''))

test('pages that are kept read as they are; others are an error, never zeroes, and are told with file and page', async () => {
  const lines = await inside(
    'deny',
    `stat -c '%s %a' "$file"
     page 2 "$file"; page 40 "$file"
     mapped 3 "$file" | sha256sum | cut -c1-64
     page 5 "$file"
     dd if="$file" of=/dev/null bs=${pageSize} count=3 2>&1 | head -n 1
     mapped 7 "$file" >/dev/null; echo "status $?"
     told 3`,
  )
  expect(lines.slice(0, 5)).toEqual([`${content.length} 755`, shaOf(2), shaOf(40), shaOf(3), shaOfNothing])
  expect(lines[5]).toContain('Input/output error')
  // 128 + SIGBUS.
  expect(lines.join('\n')).toContain('status 135')
  const told = parseMissReport(reports).map(({ path, page, outcome }) => ({ path, page, outcome }))
  expect(told).toEqual([5, 1, 7].map((page) => ({ path: file, page, outcome: 'missed' })))
}, 20_000)

test('a file of pages that is to be written is not changed, and that is told too', async () => {
  const lines = await inside(
    'deny',
    `(echo more >>"$file") 2>&1; chmod 700 "$file" 2>&1; page 2 "$file"; stat -c '%s %a' "$file"; told 1`,
  )
  expect(lines.filter((line) => line.includes('Read-only file system'))).toHaveLength(2)
  expect(lines.slice(-2)).toEqual([shaOf(2), `${content.length} 755`])
  expect(parseMissReport(reports)).toMatchObject([{ path: file, outcome: 'written' }])
}, 20_000)

test('a node that reaches back brings the whole file at the first page that it lacks, and checks it', async () => {
  blob = content
  const lines = await inside(
    'fetch',
    `f=mounted"$file"; page 2 "$f"; page 5 "$f"; mapped 9 "$f" | sha256sum | cut -c1-64; told 1`,
  )
  expect(lines).toEqual([shaOf(2), shaOf(5), shaOf(9)])
  expect(asked.filter((url) => url.startsWith(`/blob/${digest}`))).toHaveLength(1)
  expect(parseMissReport(reports)).toMatchObject([{ path: file, outcome: 'fetched' }])
}, 20_000)

test('what is brought and is not the file is an error', async () => {
  blob = randomBytes(content.length)
  expect(await inside('fetch', 'f=mounted"$file"; page 5 "$f"; page 3 "$f"')).toEqual([shaOfNothing, shaOf(3)])
}, 20_000)

test('below an overlay, a file of pages is brought whole before it is written to', async () => {
  blob = content
  const lines = await inside(
    'fetch',
    `mkdir up work root; mount -t tmpfs layers up; mkdir up/up up/work
     mount -t overlay -o lowerdir=mounted,upperdir=up/up,workdir=up/work overlay root
     printf more >>root"$file"; sha256sum <root"$file" | cut -c1-64`,
  )
  expect(lines).toEqual([hexOf(digestOf(Buffer.concat([content, Buffer.from('more')])))])
}, 20_000)
