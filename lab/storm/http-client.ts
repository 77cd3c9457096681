import { createHash, type Hash } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { StageFailure } from './plan.ts'

export interface Answer {
  readonly status: number
  /** Empty for what is only counted. */
  readonly text: string
  readonly bytes: number
  /** Of what was asked to be hashed. */
  readonly sha256?: string
}

interface Ask {
  readonly method?: 'GET' | 'POST'
  readonly body?: string
  /** What becomes of the body: kept as text, counted, or counted and hashed. */
  readonly as?: 'text' | 'count' | 'hash'
  /** Milliseconds without a byte after which it is given up. */
  readonly patience?: number
}

interface Pending {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly hash: Hash | undefined
  readonly keep: boolean
  status: number
  length: number
  got: number
  text: string
}

/** Every connection reads into this: what is read is used up before the next read (one thread). */
const shared = Buffer.allocUnsafeSlow(512 * 1024)
const longestHead = 16 * 1024

/** One HTTP/1.1 connection that is kept alive, as iPXE has one for script, kernel and initrds. */
export class HttpConnection {
  readonly #from: string
  readonly #host: string
  readonly #port: number
  #socket: Socket | undefined
  #head = ''
  #pending: Pending | undefined
  #patience: NodeJS.Timeout | undefined

  constructor(from: string, host: string, port: number) {
    this.#from = from
    this.#host = host
    this.#port = port
  }

  /** Rejects with a StageFailure when the connection fails, or nothing moves for the time of its patience. */
  request(
    stage: string,
    path: string,
    { method = 'GET', body, as = 'text', patience = 60_000 }: Ask = {},
  ): Promise<Answer> {
    const socket = this.#socket && !this.#socket.destroyed ? this.#socket : this.#open()
    return new Promise<Answer>((resolve, reject) => {
      const fail = (error: Error) => reject(new StageFailure(stage, error.message))
      const hash = as === 'hash' ? createHash('sha256') : undefined
      this.#pending = { resolve, reject: fail, hash, keep: as === 'text', status: 0, length: -1, got: 0, text: '' }
      const lines = [`${method} ${path} HTTP/1.1`, `Host: ${this.#host}:${this.#port}`, 'Connection: keep-alive']
      if (body !== undefined) lines.push('Content-Type: text/plain', `Content-Length: ${Buffer.byteLength(body)}`)
      let seen = -1
      clearInterval(this.#patience)
      this.#patience = setInterval(() => {
        const got = this.#pending?.got ?? 0
        if (got === seen) this.#fail(new Error('nothing moves'))
        seen = got
      }, patience)
      socket.write(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`)
    })
  }

  close(): void {
    clearInterval(this.#patience)
    this.#socket?.destroy()
  }

  #open(): Socket {
    this.#head = ''
    const socket = createConnection({
      host: this.#host,
      port: this.#port,
      localAddress: this.#from,
      onread: {
        buffer: shared,
        callback: (count) => {
          if (this.#socket === socket) this.#receive(shared.subarray(0, count))
          return true
        },
      },
    })
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#socket === socket && this.#fail(new Error('the connection was cut')))
    this.#socket = socket
    return socket
  }

  #fail(error: Error): void {
    this.close()
    const pending = this.#pending
    this.#pending = undefined
    const far = pending && pending.length > 0 ? ` after ${pending.got} of ${pending.length} bytes` : ''
    pending?.reject(new Error(error.message + far))
  }

  #receive(bytes: Buffer): void {
    const pending = this.#pending
    if (!pending) return
    if (pending.length >= 0) {
      this.#take(pending, bytes)
      return
    }
    this.#head += bytes.toString('latin1')
    const end = this.#head.indexOf('\r\n\r\n')
    if (end === -1) {
      if (this.#head.length > longestHead) this.#fail(new Error('a head without end'))
      return
    }
    const head = this.#head.slice(0, end)
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1')
    this.#head = ''
    pending.status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)
    const length = /^content-length: *(\d+)/im.exec(head)?.[1]
    if (length === undefined || pending.status === 0) this.#fail(new Error('an answer without status or length'))
    else {
      pending.length = Number(length)
      this.#take(pending, rest)
    }
  }

  #take(pending: Pending, bytes: Buffer): void {
    pending.got += bytes.length
    pending.hash?.update(bytes)
    if (pending.keep || pending.status !== 200) pending.text += bytes.toString('latin1')
    if (pending.got < pending.length) return
    clearInterval(this.#patience)
    this.#pending = undefined
    const { status, text, got } = pending
    pending.resolve({ status, text, bytes: got, ...(pending.hash ? { sha256: pending.hash.digest('hex') } : {}) })
  }
}
