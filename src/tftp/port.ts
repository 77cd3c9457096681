import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { BootloomError } from '../config/errors.ts'
import { Awake } from './awake.ts'
import { encodeTftp, tftpErrors } from './packet.ts'
import type { Session, Wire } from './session.ts'

/** Bytes that the kernel keeps for us; it grants less where net.core.rmem_max says so. */
const socketBuffer = 4 * 1024 * 1024

const awake = new Awake()

/** How many times the length of what an unverified source sent an answer to it may have. */
const mostTimes = 3
/** Of an ERROR without its message. Bytes. */
const errorFrame = 5

const keyOf = ({ address, port }: { readonly address: string; readonly port: number }) => `${address}:${port}`

/**
 * A UDP socket and the sessions that run over it, told apart by the client's address and port: each pair of our port and
 * the client's is a transfer (RFC 1350 §4), and one socket for many spares the kernel calls that a socket for each costs.
 */
export class Port {
  readonly #socket: Socket
  readonly #sessions = new Map<string, Session>()
  readonly #failed: (reason: string) => void
  /** Bytes of the datagrams into which the kernel cuts a longer send. */
  segment: number | undefined
  /** Has the kernel cut no more: a network of a small MTU cannot even be sent one datagram else. */
  unsegment: (() => void) | undefined
  /** What came from nobody with a session here; undefined: that is told ERROR 5. */
  onStranger: ((bytes: Buffer, from: RemoteInfo) => void) | undefined

  private constructor(socket: Socket, failed: (reason: string) => void) {
    this.#socket = socket
    this.#failed = failed
    socket.on('message', (bytes, from) => this.#receive(bytes, from))
    socket.on('error', (error) => failed(error.message))
  }

  /** Binds; `port` 0 is any free one. Throws SOCKET_UNAVAILABLE. */
  static async open(address: string, port: number, failed: (reason: string) => void): Promise<Port> {
    // Addresses are always literal: answering at once spares a turn of the event loop for each datagram.
    const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
    const listening = once(socket, 'listening')
    socket.bind(port, address)
    try {
      await listening
    } catch (cause) {
      const where = `${address}:${port}/udp`
      throw new BootloomError('SOCKET_UNAVAILABLE', (cause as Error).message, { where, cause })
    }
    socket.setRecvBufferSize(socketBuffer)
    socket.setSendBufferSize(socketBuffer)
    return new Port(socket, failed)
  }

  get number(): number {
    return this.#socket.address().port
  }

  session(peer: RemoteInfo): Session | undefined {
    return this.#sessions.get(keyOf(peer))
  }

  attach(peer: RemoteInfo, session: Session): void {
    this.#sessions.set(keyOf(peer), session)
  }

  /** Only this session: another may be at its place by now. */
  detach(peer: RemoteInfo, session: Session): void {
    if (this.session(peer) === session) this.#sessions.delete(keyOf(peer))
  }

  /** To one client. */
  wire({ address, port }: RemoteInfo): Wire {
    const socket = this.#socket
    const refused = (failed: () => void) => {
      if (this.segment !== undefined) this.unsegment?.()
      this.segment = undefined
      failed()
    }
    return {
      segment: this.segment,
      send(bytes, failed) {
        // Without a function to call back, a refused datagram is as good as lost on the way.
        if (failed) socket.send(bytes, port, address, (error) => error && refused(failed))
        else socket.send(bytes, port, address)
      },
      expect: (now) => awake.for(now),
    }
  }

  /** Answers a datagram by an ERROR, its message cut to what a forged address may be sent for it. */
  refuse({ address, port, size }: RemoteInfo, code: number, message: string): void {
    const told = message.slice(0, Math.max(0, mostTimes * size - errorFrame))
    this.#socket.send(encodeTftp({ op: 'error', code, message: told }), port, address)
  }

  /** Resolves when what was sent until now has left, and the socket is closed. */
  async close(): Promise<void> {
    await new Promise(setImmediate)
    await new Promise<void>((resolve) => this.#socket.close(resolve))
  }

  #receive(bytes: Buffer, from: RemoteInfo): void {
    try {
      const session = this.#sessions.get(keyOf(from))
      // A request is nothing that a session could take: it may come where one runs over the port for requests.
      if (session && bytes[1] !== 1 && bytes[1] !== 2) session.receive(bytes, performance.now())
      else if (this.onStranger) this.onStranger(bytes, from)
      // An ERROR is never answered.
      else if (bytes.length >= 4 && bytes[1] !== 5) this.refuse(from, tftpErrors.unknownTransfer, 'unknown')
    } catch (error) {
      this.#failed(String(error))
    }
  }
}
