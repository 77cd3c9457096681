import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { lastLines } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import { stageScript } from './stage-script.ts'

/**
 * Fresh pid, mount, network, ipc and uts namespaces around a copy of a root directory. Lives until `end`, until the
 * signal aborts, or until this process is gone, however it went: nothing of it outlives that.
 */
export class Stage {
  /** The namespaces hang on this process. */
  readonly pid: number
  /** The tmpfs with `root`, `view` and the results, as seen from outside the namespaces. */
  readonly directory: string
  /** The same as seen by processes inside. */
  readonly inside: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>
  readonly #ended: Promise<void>
  #gone = false
  #complaints = ''

  private constructor(child: ChildProcessWithoutNullStreams, lines: Interface, root: string) {
    this.#child = child
    this.#answers = lines[Symbol.asyncIterator]()
    this.pid = child.pid!
    this.inside = root
    this.directory = `/proc/${child.pid}/root${root}`
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()))
    child.once('exit', () => {
      this.#gone = true
    })
    child.stderr.on('data', (chunk: Buffer) => {
      this.#complaints = (this.#complaints + chunk.toString('utf8')).slice(-8192)
    })
    // A write to a stage that has died is told by the answer that never comes.
    child.stdin.on('error', () => {})
  }

  /** Returns once the copy of `root` stands. */
  static async open(root: string, hostname: string, signal?: AbortSignal): Promise<Stage> {
    signal?.throwIfAborted()
    const namespaces = ['--pid', '--mount', '--net', '--ipc', '--uts', '--fork', '--kill-child=KILL']
    const inner = ['sh', '-c', `hostname ${hostname}\n${stageScript}`, 'bootloom-stage', root]
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...namespaces, ...inner])
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (cause) => {
        reject(new BootloomError('TOOL_MISSING', 'setpriv (package util-linux) is not installed', { cause }))
      })
    })
    const stage = new Stage(child, createInterface({ input: child.stdout }), root)
    const abort = () => child.kill('SIGKILL')
    signal?.addEventListener('abort', abort, { once: true })
    child.once('close', () => signal?.removeEventListener('abort', abort))
    try {
      signal?.throwIfAborted()
      await stage.#answer()
      return stage
    } catch (error) {
      await stage.end()
      signal?.throwIfAborted()
      throw error
    }
  }

  /** Writes every path of the copy, with type and symlink target, to a file of the stage. */
  async list(file: string): Promise<Buffer> {
    await this.#order(`list ${file}`)
    return readFile(join(this.directory, file))
  }

  /** Sets all access times to 1970 and runs the script `launch`. */
  async start(): Promise<void> {
    await this.#order('start')
  }

  /** Sends a signal to the application's main process; false when that is gone. */
  async signal(name: string): Promise<boolean> {
    return (await this.#order(`signal ${name}`)) === 'sent'
  }

  /** The paths, below the root and without a leading slash, that were read since the start. */
  async touched(): Promise<string[]> {
    await this.#order('touched')
    return (await readFile(join(this.directory, 'touched'), 'utf8')).split('\0').filter((path) => path !== '')
  }

  /** The main process's exit status, once it has ended. */
  async exit(): Promise<number | undefined> {
    if (this.#gone) throw this.#broken()
    const text = await readFile(join(this.directory, 'exit'), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : Number(text)
  }

  async lastOutput(): Promise<string[]> {
    const text = await readFile(join(this.directory, 'output'), 'utf8').catch(() => '')
    return text.trim() === '' ? [] : lastLines(text.slice(-16_384))
  }

  /** Words before a command that make it run beside the application, in the view that nothing is attributed from. */
  enter(): string[] {
    const target = ['--target', String(this.pid), '--mount', '--net', '--ipc', '--uts']
    return ['nsenter', ...target, `--pid=/proc/${this.pid}/ns/pid_for_children`, '--']
  }

  async end(): Promise<void> {
    this.#child.stdin.end()
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  async #order(line: string): Promise<string> {
    this.#child.stdin.write(`${line}\n`)
    return this.#answer()
  }

  async #answer(): Promise<string> {
    const { value, done } = await this.#answers.next()
    if (!done) return value
    await this.#ended
    throw this.#broken()
  }

  #broken(): BootloomError {
    if (/No space left on device/.test(this.#complaints)) {
      return new BootloomError('DISK_FULL', 'the stack does not fit into memory for the watched run', {
        hint: 'Free memory on this machine: a watched run needs the size of the whole stack.',
      })
    }
    return new BootloomError('COMMAND_FAILED', 'the namespaces of the watched run ended early', {
      where: this.inside,
      details: lastLines(this.#complaints),
      hint: 'Watching needs root, and a kernel that lets it make namespaces: `bootloom doctor` checks both.',
    })
  }
}
