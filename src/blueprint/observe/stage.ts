import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { lastLines } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import { reaperScript, stageScript } from './stage-script.ts'

interface StageOptions {
  readonly hostname: string
  readonly content?: 'copy' | 'nothing'
  readonly traced?: boolean
  readonly signal?: AbortSignal | undefined
}

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
  /** Whether strace tells what programs touch. */
  readonly traced: boolean
  readonly #child: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>
  readonly #ended: Promise<void>
  #gone = false
  #complaints = ''

  private constructor(child: ChildProcessWithoutNullStreams, lines: Interface, root: string, traced: boolean) {
    this.#child = child
    this.traced = traced
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

  /**
   * Returns once it stands. `content`: what `root` begins as: a copy of the given root directory, or nothing, for who fills
   * it in and then calls `layOver`.
   */
  static async open(path: string, { hostname, content = 'copy', traced = true, signal }: StageOptions): Promise<Stage> {
    signal?.throwIfAborted()
    // Seen through /proc, an absolute symlink on the way would lead back out of the namespaces.
    const root = await realpath(path)
    const namespaces = ['--pid', '--mount', '--net', '--ipc', '--uts', '--fork', '--kill-child=KILL']
    const script = `hostname ${hostname}\n${stageScript}`
    const inner = ['sh', '-c', reaperScript, script, 'bootloom-stage', root, content]
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...namespaces, ...inner])
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (cause) => {
        reject(new BootloomError('TOOL_MISSING', 'setpriv (package util-linux) is not installed', { cause }))
      })
    })
    const stage = new Stage(child, createInterface({ input: child.stdout }), root, traced)
    const abort = () => void stage.end()
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

  /** Lays `root`, filled in by now, over the given root directory: commands in `view` find the programs of both. */
  async layOver(): Promise<void> {
    await this.#order('lay')
  }

  /** Sets all access times to 1970. */
  async calm(): Promise<void> {
    await this.#order('calm')
  }

  /** Runs a script as process of its own, under a name that no job had before. */
  async run(job: string, script: string): Promise<void> {
    await writeFile(join(this.directory, 'jobs', job), script)
    await this.#order(`run ${job}`)
  }

  /** The process id of a job's program, as seen inside, once it has one. */
  async pidOf(job: string): Promise<number | undefined> {
    const text = await readFile(join(this.directory, 'jobs', `${job}.pid`), 'utf8').catch(() => '')
    return text.endsWith('\n') ? Number(text) : undefined
  }

  /** Ids of all programs that were run, as seen inside. */
  async pids(): Promise<number[]> {
    const files = (await readdir(join(this.directory, 'jobs'))).filter((name) => name.endsWith('.pid'))
    const pids = await Promise.all(files.map((name) => this.pidOf(name.slice(0, -'.pid'.length))))
    return pids.filter((pid) => pid !== undefined)
  }

  /** Sends a signal to a process; false when that is gone. */
  async signal(pid: number, name: string): Promise<boolean> {
    return (await this.#order(`signal ${name} ${pid}`)) === 'sent'
  }

  /** A process inside, unless it has ended. */
  async process(pid: number): Promise<{ readonly parent: number; readonly leadsSession: boolean } | undefined> {
    const [state = '', parent, , session] = await this.#statOf(pid)
    if (state === '' || 'ZX'.includes(state)) return undefined
    return { parent: Number(parent), leadsSession: Number(session) === pid }
  }

  /** What all processes inside have had of the processor, in ticks (proc(5), sysconf(_SC_CLK_TCK)). */
  async processorTicks(): Promise<number> {
    const ticks = (await this.#processIds()).map(async (pid) => {
      const fields = await this.#statOf(pid)
      return Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
    })
    return (await Promise.all(ticks)).reduce((sum, one) => sum + one, 0)
  }

  /** Processes whose parent has ended: the children of process 1 but for process 2, which obeys. */
  async leftBehind(): Promise<number[]> {
    const pids = await this.#processIds()
    const found = await Promise.all(pids.map(async (pid) => ({ pid, parent: (await this.process(pid))?.parent })))
    return found.filter(({ pid, parent }) => parent === 1 && pid !== 2).map(({ pid }) => pid)
  }

  /** The paths, below the root and without a leading slash, that were read since the start. */
  async touched(): Promise<string[]> {
    await this.#order('touched')
    return (await readFile(join(this.directory, 'touched'), 'utf8')).split('\0').filter((path) => path !== '')
  }

  /** Exit status of a job, once its program and all that it left behind have ended. */
  async exit(job: string): Promise<number | undefined> {
    if (this.#gone) throw this.#broken()
    const text = await readFile(join(this.directory, 'jobs', `${job}.exit`), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : Number(text)
  }

  /** Exit statuses by job, of those that have ended. */
  async exits(): Promise<Readonly<Record<string, number>>> {
    const files = (await readdir(join(this.directory, 'jobs'))).filter((name) => name.endsWith('.exit')).sort()
    const jobs = files.map((name) => name.slice(0, -'.exit'.length))
    return Object.fromEntries(await Promise.all(jobs.map(async (job) => [job, (await this.exit(job)) ?? 0] as const)))
  }

  /** What the trace says of a process's end: its exit status, 128 and the signal that ended it, or nothing yet. */
  async tracedExit(pid: number): Promise<number | undefined> {
    const text = await readFile(join(this.directory, 'trace', `t.${pid}`), 'utf8').catch(() => '')
    const [, status, signal] =
      /\+\+\+ (?:exited with (\d+)|killed by (SIG\w+))[^\n]*\+\+\+\s*$/.exec(text.slice(-200)) ?? []
    return status !== undefined ? Number(status) : signal === undefined ? undefined : 128
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

  /** Every process and mount of it is gone when this returns. */
  async end(): Promise<void> {
    // Process 1 is killed, not unshare, which then waits for it: the kernel lets it end last of its namespaces.
    const children = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').catch(() => '')
    const first = Number(children.split(' ')[0])
    try {
      if (first > 0) process.kill(first, 'SIGKILL')
      else this.#child.kill('SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    await this.#ended
  }

  async #processIds(): Promise<number[]> {
    return (await readdir(join(this.directory, 'root/proc'))).filter((name) => /^\d+$/.test(name)).map(Number)
  }

  /** The fields of a process's `stat` from its state on; none of one that is gone. */
  async #statOf(pid: number): Promise<string[]> {
    const text = await readFile(join(this.directory, 'root/proc', String(pid), 'stat'), 'utf8').catch(() => '')
    // The name in brackets may hold anything (proc(5)).
    return text === '' ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ')
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
