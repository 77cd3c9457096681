import type { Socket } from 'node:dgram'
import type { Logger } from '../config/log.ts'
import { usualSize } from './packet.ts'
import type { Destination } from './reply.ts'
import { findSocket, type InterfacePort } from './sockets.ts'

/** The kernel cuts a send into so many datagrams at most (UDP_MAX_SEGMENTS, linux/udp.h). */
const mostTogether = 64
/** Answers that wait for the kernel to take them. Beyond, who asked asks again: forged addresses fill any queue. */
const mostUnsent = 512
/** The route's MTU is smaller, the device does not do checksums, or the kernel does not cut. */
const cannotCut = new Set(['EMSGSIZE', 'EIO', 'EINVAL', 'EOPNOTSUPP'])

/** Answers of one turn of the event loop to one place. */
interface Group {
  readonly to: Destination
  readonly answers: Buffer[]
}

/**
 * Sends answers. What one turn of the event loop has to say to one place (a relay; all that have no address yet) leaves
 * in one call, where the answers are of the usual size: docs/decisions/0014.
 */
export class Outbox {
  readonly #socket: Socket
  readonly #log: Logger
  #cutting: Socket | undefined
  #groups: Group[] = []
  readonly #flush = () => this.#sendGroups()

  private constructor(socket: Socket, cutting: Socket | undefined, log: Logger) {
    this.#socket = socket
    this.#cutting = cutting
    this.#log = log
  }

  /** For the answers to what `socket`, bound to this port, receives. */
  static async open(socket: Socket, { interface: name, port }: InterfacePort, log: Logger): Promise<Outbox> {
    const cutting = await findSocket({ interface: name, port, size: usualSize })
    cutting?.on('error', (error) => log.error({ event: 'dhcp-socket', reason: error.message }))
    return new Outbox(socket, cutting, log)
  }

  /** So many answers wait already that no more are taken. */
  get isFull(): boolean {
    return this.#socket.getSendQueueCount() + (this.#cutting?.getSendQueueCount() ?? 0) >= mostUnsent
  }

  send(answer: Buffer, to: Destination): void {
    if (!this.#cutting || answer.length !== usualSize) {
      this.#sendOne(answer, to)
      return
    }
    const group = this.#groups.find((each) => each.to.address === to.address && each.to.port === to.port)
    if (group) {
      group.answers.push(answer)
      if (group.answers.length < mostTogether) return
      this.#groups.splice(this.#groups.indexOf(group), 1)
      this.#sendGroup(group)
    } else {
      if (this.#groups.length === 0) setImmediate(this.#flush)
      this.#groups.push({ to, answers: [answer] })
    }
  }

  async close(): Promise<void> {
    this.#sendGroups()
    const sockets = [this.#socket, ...(this.#cutting ? [this.#cutting] : [])]
    this.#cutting = undefined
    await Promise.all(sockets.map((each) => new Promise<void>((resolve) => each.close(resolve))))
  }

  #sendGroups(): void {
    const groups = this.#groups
    this.#groups = []
    for (const group of groups) this.#sendGroup(group)
  }

  #sendGroup({ to, answers }: Group): void {
    if (answers.length === 1 || !this.#cutting) {
      for (const answer of answers) this.#sendOne(answer, to)
      return
    }
    this.#cutting.send(answers, to.port, to.address, (error) => {
      if (!error) return
      if (cannotCut.has((error as NodeJS.ErrnoException).code ?? '')) {
        this.#log.warn({ event: 'dhcp-one-by-one', reason: error.message })
        this.#stopCutting()
      }
      for (const answer of answers) this.#sendOne(answer, to)
    })
  }

  #sendOne(answer: Buffer, to: Destination): void {
    this.#socket.send(answer, to.port, to.address, (error) => {
      if (error) this.#log.warn({ event: 'dhcp-send', mac: macIn(answer), to: to.address, reason: error.message })
    })
  }

  #stopCutting(): void {
    this.#cutting?.close()
    this.#cutting = undefined
  }
}

/** The client's, as the answer names it (`chaddr`, RFC 2131 §2). */
const macIn = (answer: Buffer) => answer.toString('hex', 28, 34).replace(/..(?=.)/g, '$&:')
