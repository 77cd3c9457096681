import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { BootloomError } from '../../config/errors.ts'
import { type Account, Accounts } from '../account.ts'
import { type CommandProbe, checkCommand, type NetworkProbe, type Outcome } from '../exchange.ts'
import type { Probe } from '../step-schema.ts'
import { inSurroundings, type Surroundings } from './launch.ts'
import type { Stage } from './stage.ts'
import { resolveWithin } from './within.ts'

/** Asks the application what a probe or a workload says, from inside its namespaces. */
export class Driver {
  readonly #stage: Stage
  readonly #surroundings: Surroundings
  readonly #child: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>

  /** Commands run in the surroundings of a service. */
  constructor(stage: Stage, surroundings: Surroundings) {
    this.#stage = stage
    this.#surroundings = surroundings
    const program = fileURLToPath(new URL('../drive.ts', import.meta.url))
    this.#child = spawn('nsenter', [`--net=/proc/${stage.pid}/ns/net`, '--', process.execPath, program])
    this.#child.on('error', () => {})
    this.#child.stdin.on('error', () => {})
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Never waits longer than `timeout` milliseconds. */
  async ask(step: Probe, timeout: number): Promise<Outcome> {
    return 'command' in step ? this.#run(step, timeout) : this.#exchange(step, timeout)
  }

  /** Takes the program that drives down. */
  end(): void {
    this.#child.stdin.end()
    this.#child.kill('SIGKILL')
  }

  async #exchange(step: NetworkProbe, timeout: number): Promise<Outcome> {
    this.#child.stdin.write(`${JSON.stringify({ step, timeout })}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new BootloomError('INTERNAL', 'the program that drives the application ended')
    return JSON.parse(value) as Outcome
  }

  async #run(step: CommandProbe, timeout: number): Promise<Outcome> {
    const surroundings =
      step.user === undefined ? this.#surroundings : { ...this.#surroundings, account: await this.#account(step.user) }
    const [file, ...words] = [
      ...this.#stage.enter(),
      // Inside the namespace, so that what the command started ends with it.
      ...['timeout', '--signal=KILL', String(timeout / 1000)],
      ...inSurroundings(surroundings, `${this.#stage.inside}/view`),
      ...step.command,
    ]
    const begun = performance.now()
    const done = await Promise.race([
      execa(file!, words, { reject: false, stdin: 'ignore', all: true, maxBuffer: 1 << 24 }),
      // A child that left for a session of its own may hold the output open until the namespaces end.
      sleep(timeout + 500, undefined, { ref: false }),
    ])
    if (done === undefined || performance.now() - begun >= timeout) {
      return { ok: false, detail: `did not end within ${timeout} ms` }
    }
    return checkCommand(step, done.exitCode, String(done.all))
  }

  /** As the application's own root has it at this moment. */
  async #account(name: string): Promise<Account> {
    const root = join(this.#stage.directory, 'root')
    const [passwd, group] = await Promise.all(
      ['/etc/passwd', '/etc/group'].map(async (path) =>
        readFile(join(root, await resolveWithin(root, path, true)), 'utf8').catch(() => ''),
      ),
    )
    return new Accounts(passwd!, group!).account(name)
  }
}
