import { chmod, copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { BootloomError } from '../../config/errors.ts'
import type { CommandProbe, Outcome } from '../exchange.ts'
import type { WorkloadStep } from '../step-schema.ts'
import type { Driver } from './driver.ts'

type Scripts = Extract<WorkloadStep, { scripts: unknown }>
type Sql = Extract<WorkloadStep, { sql: unknown }>

/** A step in words: `GET /`, `tcp 6379`, `reload`. */
export function stepText(step: WorkloadStep): string {
  if ('http' in step) return `GET ${step.http}${step.port === 80 ? '' : ` on port ${step.port}`}`
  if ('tcp' in step)
    return `tcp ${step.tcp}${step.send === undefined ? '' : ` ${JSON.stringify(step.send.slice(0, 40))}`}`
  if ('command' in step) return step.command.join(' ').slice(0, 80)
  if ('sql' in step) return step.sql.replace(/\s+/g, ' ').trim().slice(0, 80)
  if ('scripts' in step) return `scripts of ${basename(step.scripts)}`
  if ('wait' in step) return `wait ${step.wait} s`
  return Object.keys(step)[0]!
}

/** The database's own client, as the account that may do everything, ending at the first statement that fails. */
export function sqlCommand({ sql, on, database, expect }: Sql): CommandProbe {
  const command =
    on === 'postgresql'
      ? ['psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', database ?? 'postgres', '-c', sql]
      : ['mariadb', '--batch', '--skip-column-names', ...(database ? [`--database=${database}`] : []), '-e', sql]
  return { command, user: on === 'postgresql' ? 'postgres' : 'root', expect: { exit: 0, ...expect } }
}

/** Where scripts stand while they run; below a name that no package uses. */
const place = '/tmp/.bootloom-scripts'

/** Runs each executable of a directory beside the application, until one fails. `root`: the stage's, from outside. */
export async function runScripts(step: Scripts, root: string, driver: Driver, timeout: number): Promise<Outcome> {
  const names = await executablesIn(step.scripts)
  const directory = join(root, place)
  await mkdir(directory, { mode: 0o755 })
  try {
    for (const name of names) {
      await copyFile(join(step.scripts, name), join(directory, name))
      await chmod(join(directory, name), 0o755)
      const command = { command: [`${place}/${name}`], user: step.user, expect: { exit: 0 } }
      const outcome = await driver.ask(command, timeout)
      if (!outcome.ok) return { ok: false, detail: `${name}: ${outcome.detail}` }
    }
  } finally {
    await rm(directory, { recursive: true })
  }
  return { ok: true, detail: `${names.length} scripts` }
}

async function executablesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((cause: unknown) => {
    throw new BootloomError('BLUEPRINT_INVALID', 'the directory of scripts cannot be read', { where: directory, cause })
  })
  const found = await Promise.all(
    names.sort().map(async (name) => {
      const facts = await stat(join(directory, name))
      return facts.isFile() && (facts.mode & 0o111) !== 0
    }),
  )
  return names.filter((_, index) => found[index])
}
