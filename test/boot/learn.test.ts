import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

const program = new URL('../../build/native/learn', import.meta.url).pathname
const mac = '52:54:00:aa:00:01'
let root: string
let told: string[]
let server: ReturnType<typeof createServer>
let status: number

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bootloom-learn-'))
  await mkdir(join(root, 'etc'))
  for (const name of ['early', 'late', 'never']) {
    await writeFile(join(root, 'etc', name), name)
    // As the kernel unpacks them.
    await utimes(join(root, 'etc', name), 1000, 1000)
  }
  told = []
  status = 200
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (status === 200) told.push(...body.split('\n').filter(Boolean))
    response.writeHead(status).end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  server.close()
  await rm(root, { recursive: true, force: true })
})

/** Starts it, and gives the process id that it prints once it sees what is touched. */
async function start(): Promise<number> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { stdout } = await execa(program, [root, url, mac, 'b1'], { stderr: 'ignore' })
  return Number(stdout)
}

const isRunning = (pid: number): boolean => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

const paths = () => told.map((line) => line.split('\t')[2])

test.skipIf(process.getuid?.() !== 0)('what was touched until its end is told before it goes', async () => {
  const pid = await start()
  try {
    await readFile(join(root, 'etc/early'))
    await vi.waitFor(() => expect(paths()).toContain('/etc/early'), 25_000)
    status = 503
    await readFile(join(root, 'etc/late'))
    process.kill(pid, 'SIGTERM')
    // Not yet: the server is busy.
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect(isRunning(pid)).toBe(true)
    status = 200
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 25_000)
  } finally {
    if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  }
  expect(paths()).toContain('/etc/late')
  expect(paths()).not.toContain('/etc/never')
})

test.skipIf(process.getuid?.() !== 0)('it ends when the server says that nobody learns from this boot', async () => {
  const pid = await start()
  try {
    status = 410
    await readFile(join(root, 'etc/early'))
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 25_000)
  } finally {
    if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  }
})
