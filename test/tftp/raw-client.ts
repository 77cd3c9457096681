import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { decodeTftp, encodeTftp, type TftpPacket } from '../../src/tftp/packet.ts'

/** A client that does only what it is told, so that a test can lose, repeat and delay as it likes. */
export class RawClient {
  readonly received: TftpPacket[] = []
  readonly #socket: Socket
  readonly #server: number
  /** The port of the transfer: where the first answer came from. */
  #transfer = 0
  #waiting: (() => void) | undefined

  private constructor(socket: Socket, server: number) {
    this.#socket = socket
    this.#server = server
    socket.on('message', (bytes, source) => {
      if (source.port !== this.#server) this.#transfer ||= source.port
      this.received.push(decodeTftp(bytes))
      this.#waiting?.()
    })
  }

  static async open(server: number, address = '127.0.0.1'): Promise<RawClient> {
    const socket = createSocket('udp4')
    socket.bind(0, address)
    await once(socket, 'listening')
    return new RawClient(socket, server)
  }

  /** Its own. */
  get port(): number {
    return this.#socket.address().port
  }

  get transfer(): number {
    return this.#transfer
  }

  ask(file: string, options: Record<string, string> = {}, mode = 'octet', op: 'read' | 'write' = 'read'): void {
    this.send({ op, file, mode, options: new Map(Object.entries(options)) }, this.#server)
  }

  ack(block: number, port = this.#transfer): void {
    this.send({ op: 'ack', block: block & 0xffff }, port)
  }

  send(packet: TftpPacket, port = this.#transfer): void {
    this.#socket.send(encodeTftp(packet), port, '127.0.0.1')
  }

  /** The next packets, as soon as there are so many; rejects after `patience` milliseconds. */
  async next(count = 1, patience = 3000): Promise<TftpPacket[]> {
    const until = performance.now() + patience
    while (this.received.length < count) {
      const left = until - performance.now()
      if (left <= 0) throw new Error(`${this.received.length} of ${count} packets came`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return this.received.splice(0, count)
  }

  /** What comes within so many milliseconds. */
  async within(milliseconds: number): Promise<TftpPacket[]> {
    await new Promise((resolve) => setTimeout(resolve, milliseconds))
    return this.received.splice(0)
  }

  /** Ends a transfer that is under way, too. */
  async close(): Promise<void> {
    const abort = encodeTftp({ op: 'error', code: 0, message: 'test over' })
    if (this.#transfer !== 0) {
      await new Promise((sent) => this.#socket.send(abort, this.#transfer, '127.0.0.1', sent))
    }
    this.#socket.close()
  }
}
