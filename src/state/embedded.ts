import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import { isAlive } from '../config/process.ts'

const startDeadline = 10_000

/**
 * Debian's redis-server on a Unix socket in the state directory, with an append-only file. The first process that needs
 * it starts it, keeps it running and ends it; later ones connect to the same. It outlives a process that is killed, and
 * the next one finds it there.
 */
export class EmbeddedRedis {
  readonly socket: string
  readonly #directory: string
  readonly #log: Logger
  #child: ChildProcess | undefined
  #released = false

  private constructor(directory: string, log: Logger) {
    this.#directory = directory
    this.#log = log
    this.socket = join(directory, 'redis.sock')
  }

  static async attach(stateDirectory: string, log: Logger): Promise<EmbeddedRedis> {
    const directory = join(stateDirectory, 'redis')
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const redis = new EmbeddedRedis(directory, log)
    // A Unix socket's path holds 107 bytes at most (unix(7)); redis-server would cut a longer one silently.
    if (Buffer.byteLength(redis.socket) > 107) {
      throw new BootloomError('REDIS_UNREACHABLE', 'the state directory has too long a path for a Unix socket', {
        where: redis.socket,
        hint: 'Choose a shorter one with --state, or name a Redis of your own with redis.url.',
      })
    }
    for (const began = Date.now(); Date.now() - began < startDeadline; await sleep(20)) {
      if (await answers(redis.socket)) return redis
      if (await redis.#lock()) {
        try {
          // Another one may have started it between our look and our lock.
          if (!(await answers(redis.socket))) await redis.#start()
        } finally {
          await redis.#unlock()
        }
        return redis
      }
    }
    throw await redis.#failure()
  }

  /** Ends redis-server if this process started it; its data is on disk when this returns. */
  async release(): Promise<void> {
    this.#released = true
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    // It was let go of when it started, so that it holds up nobody's end; its own end is waited for.
    child.ref()
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await gone
  }

  async #start(): Promise<void> {
    await rm(this.socket, { force: true })
    const settings = {
      port: '0',
      unixsocket: this.socket,
      unixsocketperm: '700',
      dir: this.#directory,
      appendonly: 'yes',
      appendfsync: 'everysec',
      save: '',
      logfile: join(this.#directory, 'redis.log'),
    }
    const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
    const child = spawn('redis-server', words, { stdio: 'ignore', detached: true })
    child.unref()
    this.#child = child
    const refused = new Promise<never>((_resolve, reject) => {
      child.once('error', (cause) =>
        reject(new BootloomError('TOOL_MISSING', 'redis-server is not installed', { cause })),
      )
    })
    child.once('exit', (code, signal) => this.#revive(code, signal))
    await Promise.race([refused, this.#untilItAnswers()])
  }

  async #untilItAnswers(): Promise<void> {
    for (const began = Date.now(); Date.now() - began < startDeadline; await sleep(20)) {
      if (await answers(this.socket)) return
    }
    throw await this.#failure()
  }

  /** A redis-server that dies under us is started again: the append-only file has what it acknowledged. */
  async #revive(code: number | null, signal: string | null): Promise<void> {
    if (this.#released) return
    this.#log.error({ event: 'redis-ended', code, signal })
    await sleep(500)
    if (this.#released) return
    await this.#start().catch((error: Error) => this.#log.error({ event: 'redis-not-started', reason: error.message }))
  }

  async #failure(): Promise<BootloomError> {
    const log = await readFile(join(this.#directory, 'redis.log'), 'utf8').catch(() => '')
    return new BootloomError('REDIS_UNREACHABLE', 'the embedded redis-server did not start', {
      where: this.#directory,
      details: log.trimEnd().split('\n').slice(-6),
    })
  }

  get #lockFile(): string {
    return join(this.#directory, 'starting')
  }

  /** Only one process starts redis-server at a time; the lock of one that was killed does not count. */
  async #lock(): Promise<boolean> {
    try {
      const file = await open(this.#lockFile, 'wx')
      await file.writeFile(String(process.pid))
      await file.close()
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const holder = Number(await readFile(this.#lockFile, 'utf8').catch(() => ''))
      if (holder && !isAlive(holder)) await this.#unlock()
      return false
    }
  }

  async #unlock(): Promise<void> {
    await rm(this.#lockFile, { force: true })
  }
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
    connection.once('close', () => settle(false))
  })
}
