import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { programPath } from '../compose/native.ts'
import { lastLines } from '../config/command.ts'
import { BootloomError } from '../config/errors.ts'
import { FrameReader, type Told } from './frames.ts'

interface Listening {
  readonly address: string
  /** 0: any free one. */
  readonly port: number
  /** For transfers, beside the one for requests. */
  readonly sockets: number
}

/** carry/carry.c at work, from its start to its end. */
export class CarrierProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  #complaints = ''
  #ended = false
  #port = 0
  onTold: (told: Told) => void = () => {}
  /** It ended, for whatever reason. */
  onEnd: (reason: string) => void = () => {}

  private constructor(program: string, { address, port, sockets }: Listening) {
    const child = spawn(program, [address, String(port), String(sockets)], { stdio: ['pipe', 'pipe', 'pipe'] })
    const frames = new FrameReader((told) => {
      if (told.kind === 'listening') this.#port = told.port
      this.onTold(told)
    })
    child.stdout.on('data', (bytes: Buffer) => frames.read(bytes))
    child.stderr.on('data', (bytes: Buffer) => {
      this.#complaints = (this.#complaints + bytes).slice(-4096)
    })
    child.stdin.on('error', () => {})
    child.on('close', (code, signal) => {
      this.#ended = true
      this.onEnd(lastLines(this.#complaints).join('; ') || `it ended with ${signal ?? code}`)
    })
    this.#child = child
  }

  /** Throws SOCKET_UNAVAILABLE, NATIVE_MISSING. */
  static start(listening: Listening): Promise<CarrierProcess> {
    const program = programPath('carry')
    const { promise, resolve, reject } = Promise.withResolvers<CarrierProcess>()
    const one = new CarrierProcess(program, listening)
    one.onTold = () => resolve(one)
    one.onEnd = (reason) => {
      const where = `${listening.address}:${listening.port}/udp`
      reject(new BootloomError('SOCKET_UNAVAILABLE', reason, { where }))
    }
    one.#child.once('error', (cause) => {
      reject(new BootloomError('NATIVE_MISSING', 'carry was not built', { where: program, cause }))
    })
    return promise
  }

  /** For requests. */
  get port(): number {
    return this.#port
  }

  get ended(): boolean {
    return this.#ended
  }

  /** What is ordered of one that has ended is lost. */
  order(bytes: Buffer): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(bytes)
  }

  /** Resolves when what was ordered until now is done, and the sockets are closed. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#child.stdin.end()
    await once(this.#child, 'close')
  }
}
