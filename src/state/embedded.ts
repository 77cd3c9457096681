import { spawn } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../config/errors.ts'

/**
 * Debian's redis-server on a Unix socket in the state directory, with an append-only file. The first process that needs
 * it starts it, later ones connect to the same; the one that started it ends it. It outlives a process that is killed,
 * and the next one finds it there.
 */
export class EmbeddedRedis {
  readonly socket: string
  readonly #directory: string
  readonly #startedHere: boolean

  private constructor(directory: string, startedHere: boolean) {
    this.#directory = directory
    this.#startedHere = startedHere
    this.socket = join(directory, 'redis.sock')
  }

  static async attach(stateDirectory: string): Promise<EmbeddedRedis> {
    const directory = join(stateDirectory, 'redis')
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const socket = join(directory, 'redis.sock')
    if (await answers(socket)) return new EmbeddedRedis(directory, false)
    await start(directory, socket)
    return new EmbeddedRedis(directory, true)
  }

  /** Ends redis-server if this process started it; its data is on disk when this returns. */
  async release(): Promise<void> {
    if (!this.#startedHere) return
    const pid = Number(await readFile(join(this.#directory, 'redis.pid'), 'utf8').catch(() => '0'))
    if (!pid) return
    process.kill(pid, 'SIGTERM')
    for (let waited = 0; waited < 5000 && (await answers(this.socket)); waited += 20) await sleep(20)
  }
}

async function start(directory: string, socket: string): Promise<void> {
  // A Unix socket's path holds 107 bytes at most (unix(7)); redis-server would cut a longer one silently.
  if (Buffer.byteLength(socket) > 107) {
    throw new BootloomError('REDIS_UNREACHABLE', 'the state directory has too long a path for a Unix socket', {
      where: socket,
      hint: 'Choose a shorter one with --state, or name a Redis of your own with redis.url.',
    })
  }
  await rm(socket, { force: true })
  const settings = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    pidfile: join(directory, 'redis.pid'),
    logfile: join(directory, 'redis.log'),
    daemonize: 'yes',
  }
  const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn('redis-server', words, { stdio: 'ignore', detached: true })
  await new Promise<void>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new BootloomError('TOOL_MISSING', 'redis-server is not installed', { cause })),
    )
    child.once('exit', () => resolve())
  })
  for (let waited = 0; waited < 10_000; waited += 20) {
    if (await answers(socket)) return
    await sleep(20)
  }
  const log = await readFile(join(directory, 'redis.log'), 'utf8').catch(() => '')
  throw new BootloomError('REDIS_UNREACHABLE', 'the embedded redis-server did not start', {
    where: directory,
    details: log.trimEnd().split('\n').slice(-6),
  })
}

/** True once a PING on the socket is answered with a PONG: a server that still loads its file does not count. */
function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket)
    const settle = (value: boolean) => {
      connection.destroy()
      resolve(value)
    }
    connection.setTimeout(1000, () => settle(false))
    connection.once('error', () => settle(false))
    connection.once('connect', () => connection.write('PING\r\n'))
    connection.once('data', (data) => settle(data.toString().startsWith('+PONG')))
  })
}
