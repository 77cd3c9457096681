import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { lastLines } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import type { Stage } from './stage.ts'

/** A program of ours beside the application, in its namespaces but not in its root. */
interface Beside extends AsyncDisposable {
  /** Ends its input, and returns once it has done what it does then. */
  finish(): Promise<void>
}

interface Program {
  /** Of those that lab/native.sh builds. */
  readonly name: string
  /** What it does, for who reads that it failed. */
  readonly does: string
  readonly words: readonly string[]
  readonly onOutput?: (chunk: Buffer) => void
}

/** Returns once it has said something. NATIVE_MISSING when it was not built, COMMAND_FAILED when it fails. */
export async function startBeside(stage: Stage, { name, does, words, onOutput }: Program): Promise<Beside> {
  const program = fileURLToPath(new URL(`../../../build/native/${name}`, import.meta.url))
  const [file, ...before] = stage.enter()
  const child = spawn(file!, [...before, program, ...words], { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaints = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaints = (complaints + chunk).slice(-4096)
  })
  // A write to a program that has died is told by its end.
  child.stdin.on('error', () => {})
  child.stdout.on('data', onOutput ?? (() => {}))
  let isGone = false
  const ended = once(child, 'close')
    .catch((error: Error) => {
      complaints += error.message
    })
    .then(() => {
      isGone = true
    })
  const failure = () => {
    const details = lastLines(complaints)
    if (child.exitCode === 127 || /No such file.*build\/native/.test(complaints)) {
      return new BootloomError('NATIVE_MISSING', `${name} was not built`, { where: program, details })
    }
    return new BootloomError('COMMAND_FAILED', `what ${does} ended early`, { where: name, details })
  }
  await Promise.race([once(child.stdout, 'data'), ended])
  if (isGone && child.exitCode !== 0) throw failure()
  return {
    async finish() {
      child.stdin.end()
      await ended
      if (child.exitCode !== 0) throw failure()
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
