import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { encodeTftp, type TftpPacket } from '../../src/tftp/packet.ts'
import { startTftp, type TftpEvent, type TftpServer } from '../../src/tftp/server.ts'
import { RawClient } from './raw-client.ts'

const content = new Map<string, Buffer>([
  ['empty', Buffer.alloc(0)],
  ['one-block', randomBytes(512)],
  ['odd', randomBytes(1300)],
  ['program', randomBytes(200_000)],
  // More blocks than 16 bits can number.
  ['long', randomBytes(8 * 70_000 + 3)],
  ['text', Buffer.from('a line\n'.repeat(200))],
])
const asked: string[] = []
let events: TftpEvent[] = []
let server: TftpServer
let client: RawClient

beforeAll(async () => {
  server = await startTftp({
    address: '127.0.0.1',
    port: 0,
    settings: settingsSchema.parse({}).tftp,
    log: silent,
    onEvent: (event) => events.push(event),
    async files(name) {
      asked.push(name)
      const bytes = content.get(name)
      return bytes && [bytes]
    },
  })
})
afterAll(() => server.close())
beforeEach(async () => {
  events = []
  client = await RawClient.open(server.port)
})
afterEach(() => client.close())

const blocks = (packets: readonly TftpPacket[]) =>
  packets.map((packet) => (packet.op === 'data' ? packet.block : packet.op))

/** Takes a whole file, acknowledging each window. */
async function take(window = 1): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let block = 1; ; block++) {
    let [packet] = await client.next()
    // On a busy machine our ACK may come so late that the window was sent again meanwhile.
    while (packet?.op === 'data' && ((block - 1 - packet.block) & 0xffff) < 128) [packet] = await client.next()
    if (packet?.op !== 'data') throw new Error(`a ${packet?.op} came`)
    expect(packet.block).toBe(block & 0xffff)
    parts.push(Buffer.from(packet.bytes))
    const last = packet.bytes.length < parts[0]!.length || packet.bytes.length === 0
    if (last || block % window === 0) client.ack(block)
    if (last) return Buffer.concat(parts)
  }
}

test.each(['empty', 'one-block', 'odd'])(
  '%s comes whole without options, its last block being a short one',
  async (name) => {
    client.ask(name)
    expect(await take()).toEqual(content.get(name))
  },
)

test('the numbers of blocks roll over to 0', async () => {
  client.ask('long', { blksize: '8', windowsize: '64' })
  expect((await client.next())[0]).toMatchObject({ op: 'options' })
  client.ack(0)
  expect((await take(64)).equals(content.get('long')!)).toBe(true)
})

describe('options', () => {
  const agreed = async (options: Record<string, string>) => {
    client.ask('odd', options)
    const [packet] = await client.next()
    return packet?.op === 'options' ? Object.fromEntries(packet.options) : packet?.op
  }

  test('block size, size, window and timeout are agreed to', async () => {
    const wishes = { blksize: '1428', tsize: '0', windowsize: '4', timeout: '3' }
    expect(await agreed(wishes)).toEqual({ ...wishes, tsize: '1300' })
  })

  test('a window beyond ours is narrowed', async () => {
    expect(await agreed({ windowsize: '65535' })).toEqual({ windowsize: '64' })
  })

  test('what is unknown or makes no sense is passed over, and the transfer begins when nothing is left', async () => {
    expect(await agreed({ multicast: '', blksize: '7', windowsize: '0', timeout: '999', x: '1' })).toBe('data')
  })
})

describe('loss, repetition and strangers', () => {
  test('what is not acknowledged is sent again, after a second', async () => {
    client.ask('odd')
    await client.next()
    const began = performance.now()
    expect(blocks(await client.next())).toEqual([1])
    expect(performance.now() - began).toBeGreaterThan(900)
    client.ack(1)
    expect(blocks(await client.next())).toEqual([2])
  })

  test('a repeated acknowledgement does not repeat a block', async () => {
    client.ask('odd')
    await client.next()
    for (let times = 0; times < 5; times++) client.ack(1)
    expect(blocks(await client.within(80))).toEqual([2])
    client.ack(0)
    client.ack(7)
    expect(await client.within(60)).toEqual([])
  })

  test('a repeated request starts no second transfer', async () => {
    client.ask('odd')
    client.ask('odd')
    expect(blocks(await client.within(200))).toEqual([1])
  })

  test('a window is resumed after the block that the client has, once', async () => {
    client.ask('program', { windowsize: '4' })
    await client.next()
    client.ack(0)
    expect(blocks(await client.next(4))).toEqual([1, 2, 3, 4])
    client.ack(2)
    expect(blocks(await client.next(4))).toEqual([3, 4, 5, 6])
    client.ack(2)
    client.ack(2)
    expect(blocks(await client.within(150))).toEqual([3, 4, 5, 6])
  })

  test('a lost OACK is sent again', async () => {
    client.ask('odd', { tsize: '0' })
    expect(blocks(await client.next(2))).toEqual(['options', 'options'])
  })

  test('another port is told ERROR 5, and the transfer goes on', async () => {
    client.ask('odd')
    await client.next()
    const stranger = await RawClient.open(server.port)
    stranger.send({ op: 'ack', block: 1 }, client.transfer)
    expect(await stranger.next()).toMatchObject([{ op: 'error', code: 5 }])
    await stranger.close()
    expect(await client.within(50)).toEqual([])
    client.ack(1)
    expect(blocks(await client.next())).toEqual([2])
  })

  test('garbage is passed over, at the port of the server and of the transfer', async () => {
    client.ask('odd')
    await client.next()
    for (const port of [server.port, client.transfer]) {
      client.send({ op: 'options', options: new Map() }, port)
      client.send({ op: 'data', block: 9, bytes: Buffer.from('x') }, port)
    }
    client.ack(1)
    expect(blocks(await client.next())).toEqual([2])
  })
})

test('firmware that asks for the size aborts, and gets the file when it asks again', async () => {
  client.ask('program', { tsize: '0', blksize: '1468' })
  expect(await client.next()).toMatchObject([{ op: 'options' }])
  client.send({ op: 'error', code: 8, message: 'User aborted the transfer' })
  const ofProgram = () => events.filter((event) => event.file === 'program').map((event) => event.type)
  await expect.poll(ofProgram).toEqual(['request', 'aborted'])
  const again = await RawClient.open(server.port)
  again.ask('program', { blksize: '1468', windowsize: '4' })
  expect(await again.next()).toMatchObject([{ op: 'options' }])
  await again.close()
})

describe('what is refused', () => {
  test.each([
    ['a file that is not there', 1, () => client.ask('nothing')],
    ['a path out of the name space', 1, () => client.ask('../../etc/passwd')],
    ['writing', 2, () => client.ask('odd', {}, 'octet', 'write')],
    ['a mode other than octet', 4, () => client.ask('odd', {}, 'mail')],
  ])('%s: ERROR %i', async (_what, code, ask) => {
    ask()
    expect(await client.next()).toMatchObject([{ op: 'error', code }])
  })

  test("one client's transfers beyond its share", async () => {
    const many = await Promise.all(Array.from({ length: 40 }, () => RawClient.open(server.port)))
    for (const each of many) each.ask('program')
    const answers = (await Promise.all(many.map((each) => each.next()))).map(([packet]) => packet!.op)
    expect(answers.filter((op) => op === 'data')).toHaveLength(32)
    expect(answers.filter((op) => op === 'error')).toHaveLength(8)
    for (const each of many) await each.close()
    await expect.poll(() => events.filter((event) => event.type === 'aborted').length).toBe(32)
  })
})

test('events tell of request, end and bytes', async () => {
  client.ask('odd')
  await take()
  await expect.poll(() => events.length).toBe(2)
  expect(events).toMatchObject([
    { type: 'request', client: '127.0.0.1', file: 'odd', bytes: 0 },
    { type: 'sent', client: '127.0.0.1', file: 'odd', bytes: 1300 },
  ])
})

test('netascii is translated before it is cut into blocks, and its size told so', async () => {
  client.ask('text', { tsize: '0', blksize: '513' }, 'netascii')
  const [oack] = await client.next()
  expect(oack).toMatchObject({ op: 'options', options: new Map(Object.entries({ blksize: '513', tsize: '1600' })) })
  client.ack(0)
  expect((await take()).toString()).toBe('a line\r\n'.repeat(200))
})

describe('limits', () => {
  const small = { total: 3, perClient: 3 }
  let one: TftpServer
  const open = async (settings = {}) => {
    const tftp = { ...settingsSchema.parse({}).tftp, sessions: small, ...settings }
    const files = () => [content.get('program')!]
    one = await startTftp({ address: '127.0.0.1', port: 0, settings: tftp, log: silent, files, onEvent: () => {} })
    return one
  }
  afterEach(() => one.close())

  test('one port for all: whole transfers from the port that was asked, told apart by the client', async () => {
    await open({ singlePort: true })
    const clients = await Promise.all([RawClient.open(one.port), RawClient.open(one.port)])
    for (const each of clients) each.ask('program', { blksize: '1024' })
    for (const each of clients) {
      expect(await each.next()).toMatchObject([{ op: 'options' }])
      expect(each.transfer).toBe(0)
      each.ack(0, one.port)
    }
    for (const each of clients) {
      expect(blocks(await each.next())).toEqual([1])
      each.ack(1, one.port)
      expect(blocks(await each.next())).toEqual([2])
      await each.close()
    }
  })

  test('who falls silent makes room for who waits, and those who answer keep theirs', async () => {
    await open()
    const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(one.port)))
    const [silentOne, ...others] = clients
    silentOne!.ask('program')
    await silentOne!.next()
    await new Promise((resolve) => setTimeout(resolve, 1100))
    for (const each of others.slice(0, 3)) each.ask('program')
    for (const each of others.slice(0, 3)) expect(blocks(await each.next())).toEqual([1])
    silentOne!.received.length = 0
    others[3]!.ask('program')
    expect(await others[3]!.next()).toMatchObject([{ op: 'error', message: 'busy, ask again' }])
    // Its request may have been forged: nothing more is sent there.
    expect(await silentOne!.within(1500)).toEqual([])
    for (const each of clients) await each.close()
  })

  test('a flood of forged requests makes room for each next one, and takes nothing from who answers', async () => {
    await open()
    const [honest, ...flood] = await Promise.all(
      Array.from({ length: 20 }, (_, i) => RawClient.open(one.port, `127.0.0.${i + 1}`)),
    )
    honest!.ask('program')
    expect(blocks(await honest!.next())).toEqual([1])
    honest!.ack(1)
    expect(blocks(await honest!.next())).toEqual([2])
    for (const each of flood) {
      each.ask('program', { tsize: '0' })
      expect(blocks(await each.next())).toEqual(['options'])
    }
    honest!.ack(2)
    expect(blocks(await honest!.next())).toEqual([3])
    for (const each of [honest!, ...flood]) await each.close()
  })

  test('unproven sources without options share a small budget, and who has acknowledged before is outside it', async () => {
    await open({ sessions: { total: 1000, perClient: 1000 } })
    const regular = await RawClient.open(one.port, '127.0.1.1')
    regular.ask('program')
    await regular.next()
    regular.ack(1)
    await regular.next()
    regular.send({ op: 'error', code: 0, message: 'enough' })
    const flood = await Promise.all(Array.from({ length: 300 }, () => RawClient.open(one.port, '127.0.1.2')))
    for (const each of flood) each.ask('program')
    await new Promise((resolve) => setTimeout(resolve, 300))
    const answered = flood.filter(({ received }) => received.length > 0).length
    expect(answered).toBeGreaterThan(150)
    expect(answered).toBeLessThan(280)
    regular.ask('program', {}, 'OCTET')
    expect(blocks(await regular.next())).toEqual([1])
    for (const each of [regular, ...flood]) await each.close()
  })

  test('a block is held to what the settings say', async () => {
    await open({ blockSize: 1024 })
    client = await RawClient.open(one.port)
    client.ask('program', { blksize: '65464' })
    expect(await client.next()).toMatchObject([{ op: 'options', options: new Map([['blksize', '1024']]) }])
  })
})

test('who may have forged its address is sent one datagram for a request, and never a much longer one than it sent', async () => {
  for (let times = 0; times < 20; times++) client.ask('program', { blksize: '1468', windowsize: '64', tsize: '0' })
  expect(await client.within(300)).toHaveLength(1)
  const stranger = await RawClient.open(client.transfer)
  stranger.ack(1, client.transfer)
  const [error] = await stranger.next()
  expect(encodeTftp(error!).length).toBeLessThanOrEqual(12)
  await stranger.close()
  for (const op of ['read', 'write'] as const) {
    const terse = await RawClient.open(server.port)
    // The shortest request there is: four bytes.
    terse.ask('', {}, '', op)
    const [refusal] = await terse.next()
    expect(encodeTftp(refusal!).length).toBeLessThanOrEqual(12)
    await terse.close()
  }
})

describe('clients of others', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tftp-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))
  const fetched = () => readFile(join(directory, 'got'))

  test.for([
    ['curl', () => ['-s', '-o', 'got', `tftp://127.0.0.1:${server.port}/program`]],
    ['curl', () => ['-s', '-o', 'got', '--tftp-blksize', '1428', `tftp://127.0.0.1:${server.port}/program`]],
    ['atftp', () => ['--option', 'blksize 1428', '-g', '-r', 'program', '-l', 'got', '127.0.0.1', `${server.port}`]],
    ['atftp', () => ['--option', 'windowsize 8', '-g', '-r', 'program', '-l', 'got', '127.0.0.1', `${server.port}`]],
    ['tftp', () => ['-m', 'binary', '127.0.0.1', `${server.port}`, '-c', 'get', 'program', 'got']],
  ] as const)('%s fetches the file', async ([command, words], { skip }) => {
    await rm(join(directory, 'got'), { force: true })
    const run = await execa(command, words(), { cwd: directory, reject: false, timeout: 25_000 })
    skip(run.code === 'ENOENT', `${command} is not installed`)
    expect((await fetched()).equals(content.get('program')!), run.stderr + run.stdout).toBe(true)
  })

  test('the npm package tftp2 fetches the file', async () => {
    const require = createRequire(import.meta.url)
    const tftp2 = require('tftp2')
    const other = tftp2('127.0.0.1', server.port)
    const parts: Buffer[] = []
    await other.read(
      'odd',
      (part: Buffer) => parts.push(Buffer.from(part)),
      () => {},
    )
    other.close()
    expect(Buffer.concat(parts)).toEqual(content.get('odd'))
  })
})
