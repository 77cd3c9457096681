import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../config/log.ts'

const helper = fileURLToPath(new URL('./sendfile.pl', import.meta.url))

interface Job {
  readonly resolve: (sent: boolean) => void
  readonly reject: (error: Error) => void
}

/**
 * Sends parts of files to sockets without copying them, by a child process that borrows the socket (sendfile.pl,
 * docs/decisions/0012). Where the kernel or a container forbids borrowing, `usable` turns false: write the bytes then.
 */
export class FileSender {
  readonly #log: Logger
  readonly #jobs = new Map<number, Job>()
  #child: ChildProcess | undefined
  #last = 0
  #usable = true

  constructor(log: Logger) {
    this.#log = log
  }

  get usable(): boolean {
    return this.#usable
  }

  /**
   * Resolves with true when the socket has taken the bytes; with false when none was sent, and they are to be written.
   * Nothing else may be written meanwhile. Rejects when the reader went away or takes nothing for a minute.
   */
  send(socket: Socket, path: string, start: number, length: number, signal: AbortSignal): Promise<boolean> {
    const fd = descriptorOf(socket)
    if (fd === undefined || signal.aborted) return Promise.reject(new Error('the reader went away'))
    const child = this.#start()
    const id = ++this.#last
    const drop = () => void child.stdin!.write(`drop ${id}\n`)
    signal.addEventListener('abort', drop, { once: true })
    return new Promise<boolean>((resolve, reject) => {
      this.#jobs.set(id, { resolve, reject })
      child.stdin!.write(`send ${id} ${fd} ${socket.remotePort} ${start} ${length} ${path}\n`)
    }).finally(() => {
      this.#jobs.delete(id)
      signal.removeEventListener('abort', drop)
    })
  }

  close(): void {
    this.#usable = false
    this.#child?.stdin?.end()
  }

  #start(): ChildProcess {
    if (this.#child) return this.#child
    const child = spawn('perl', [helper], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child = child
    child.stdin!.on('error', () => {})
    createInterface({ input: child.stdout! }).on('line', (line) => this.#hear(line))
    const lost = (reason: string) => {
      if (this.#child !== child) return
      this.#child = undefined
      if (this.#usable) this.#log.error({ event: 'sendfile-ended', reason })
      for (const { reject } of this.#jobs.values()) reject(new Error('the sending process ended'))
    }
    child.once('error', (error) => {
      this.#usable = false
      lost(error.message)
    })
    child.once('exit', (code, signal) => lost(String(signal ?? code)))
    return child
  }

  #hear(line: string): void {
    const [, id, reason] = /^(\d+)(?: (.*))?$/.exec(line) ?? []
    const job = this.#jobs.get(Number(id))
    if (reason === undefined) job?.resolve(true)
    else if (reason.startsWith('cannot ')) {
      if (this.#usable) this.#log.warn({ event: 'sendfile-forbidden', reason: reason.slice('cannot '.length) })
      this.#usable = false
      job?.resolve(false)
    } else job?.reject(new Error(reason))
  }
}

/** Node keeps it to itself, and has nothing else by which a child could find the socket. */
const descriptorOf = (socket: Socket): number | undefined => {
  const { fd } = (socket as { _handle?: { fd?: number } })._handle ?? {}
  return fd !== undefined && fd >= 0 ? fd : undefined
}
