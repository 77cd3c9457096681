import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../config/log.ts'
import type { Probe } from './context.ts'

const program = fileURLToPath(new URL('./arp.pl', import.meta.url))

/** Milliseconds. Neighbours answer within one; the second question is for a lost first one. */
const [askAgain, patience] = [120, 300]
/** Beyond this many at once nobody is asked: a flood of new clients must not wait for it. */
const mostAtOnce = 256
/** Milliseconds before a helper that ended is started again. */
const restartAfter = 5000

interface Question {
  readonly answer: Promise<string | undefined>
  settle(mac: string | undefined): void
}

/** Asks on one interface, by ARP, whether an address is in use; see docs/decisions/0010. */
export class ArpProbe implements Probe {
  readonly #interface: string
  readonly #log: Logger
  readonly #questions = new Map<string, Question>()
  #helper: ChildProcessByStdio<Writable, Readable, Readable> | undefined
  #startedAt = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(name: string, log: Logger) {
    this.#interface = name
    this.#log = log
    this.#start()
  }

  isPending(address: string): boolean {
    return this.#questions.has(address)
  }

  ask(address: string): Promise<string | undefined> {
    const pending = this.#questions.get(address)
    if (pending) return pending.answer
    const helper = this.#helper ?? this.#start()
    if (!helper || this.#questions.size >= mostAtOnce) return Promise.resolve(undefined)
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    const send = () => helper.stdin.write(`${address}\n`)
    const again = setTimeout(send, askAgain)
    const settle = (mac: string | undefined) => {
      clearTimeout(again)
      clearTimeout(end)
      this.#questions.delete(address)
      resolve(mac)
    }
    const end = setTimeout(() => settle(undefined), patience)
    this.#questions.set(address, { answer: promise, settle })
    send()
    return promise
  }

  async close(): Promise<void> {
    this.#closed = true
    const helper = this.#helper
    if (!helper || helper.exitCode !== null || helper.signalCode !== null) return
    const ended = new Promise((resolve) => helper.once('exit', resolve))
    helper.stdin.end()
    await ended
  }

  #start(): ChildProcessByStdio<Writable, Readable, Readable> | undefined {
    if (this.#closed || performance.now() - this.#startedAt < restartAfter) return undefined
    this.#startedAt = performance.now()
    const helper = spawn('/usr/bin/perl', [program, this.#interface], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#helper = helper
    const ended = (reason: string) => {
      if (this.#helper !== helper) return
      this.#helper = undefined
      for (const { settle } of [...this.#questions.values()]) settle(undefined)
      if (this.#closed) return
      this.#log.error({ event: 'dhcp-probe-unavailable', interface: this.#interface, reason })
    }
    let last = 'it ended'
    createInterface({ input: helper.stderr }).on('line', (line) => {
      last = line
    })
    helper.stdin.on('error', () => {})
    helper.on('error', (error) => ended(error.message)).on('exit', () => ended(last))
    createInterface({ input: helper.stdout }).on('line', (line) => {
      const [address = '', mac] = line.split(' ')
      this.#questions.get(address)?.settle(mac)
    })
    return helper
  }
}
