import { join } from 'node:path'
import { execa } from 'execa'

const root = join(import.meta.dirname, '..', '..')

export const launcher = join(root, 'src/bootloom.sh')

/** What a person's shell would have: nothing of ours. */
export const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/nonexistent', NO_COLOR: '1' }

interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the real launcher, as a person does. */
export async function bootloom(
  words: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>>; readonly launcher?: string } = {},
): Promise<Outcome> {
  const { exitCode, stdout, stderr } = await execa(options.launcher ?? launcher, words, {
    reject: false,
    extendEnv: false,
    env: { ...environment, ...options.env },
    cwd: options.cwd ?? '/',
    stdin: 'ignore',
    timeout: 20_000,
  })
  return { exitCode: exitCode ?? -1, stdout, stderr }
}
