import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { NetworkProbe, Outcome } from '../../blueprint/exchange.ts'
import { BootloomError } from '../../config/errors.ts'
import { inside } from '../../machine/namespace.ts'

/** Asks machines on the network of a namespace, from a process of its own in there. */
export class Asker {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>

  constructor(namespace: string) {
    const program = fileURLToPath(new URL('../../blueprint/drive.ts', import.meta.url))
    const [file, ...words] = inside(namespace, [process.execPath, program])
    this.#child = spawn(file, words)
    this.#child.on('error', () => {})
    this.#child.stdin.on('error', () => {})
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** One at a time; `timeout` in milliseconds. */
  async ask(step: NetworkProbe, host: string, timeout: number): Promise<Outcome> {
    this.#child.stdin.write(`${JSON.stringify({ step, host, timeout })}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new BootloomError('INTERNAL', 'the program that asks the virtual machine ended')
    return JSON.parse(value) as Outcome
  }

  end(): void {
    this.#child.stdin.end()
    this.#child.kill('SIGKILL')
  }
}
