import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { listens } from '../../src/config/unix-socket.ts'

/** An admins' server on a state directory, to be killed and started again. */
export class KilledServer {
  readonly #state: string
  readonly #settings: Readonly<Record<string, unknown>>
  #child: ChildProcess | undefined

  /** `settings` over those that it needs at all. */
  constructor(state: string, settings: Readonly<Record<string, unknown>> = {}) {
    this.#state = state
    this.#settings = { state, network: { interface: 'lo' }, dhcp: { mode: 'off' }, ...settings }
  }

  /** Returns once its API answers. */
  async start(): Promise<void> {
    const file = join(this.#state, 'server.json')
    await writeFile(file, JSON.stringify(this.#settings))
    const launcher = fileURLToPath(new URL('../../src/bootloom.sh', import.meta.url))
    const log = openSync(join(this.#state, 'server.log'), 'a')
    const child = spawn('sh', [launcher, 'serve', '--config', file, '--role', 'control'], {
      stdio: ['ignore', log, log],
      // Leads a group of its own, which can be killed as one.
      detached: true,
    })
    this.#child = child
    while (!(await listens(join(this.#state, 'api.sock')))) {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`)
      await sleep(20)
    }
  }

  /**
   * kill -9: it cannot say anything any more. Whatever it started has to find out by itself, unless it is killed at the
   * same moment (`all`).
   */
  async kill({ all = false }: { readonly all?: boolean } = {}): Promise<void> {
    const ended = once(this.#child!, 'exit')
    process.kill(all ? -this.#child!.pid! : this.#child!.pid!, 'SIGKILL')
    await ended
  }

  async stop(): Promise<void> {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
  }
}
