import { constants } from 'node:fs'
import { lstat, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Accounts } from '../account.ts'
import type { Outcome } from '../exchange.ts'
import { parseGlob } from '../glob.ts'
import type { Driver } from './driver.ts'
import type { Kept } from './kept.ts'
import { parseLogrotate, type Rotation } from './logrotate.ts'
import { placeStandIns, removeStandIns, type Told, tellingUs, toldIn } from './stand-in.ts'
import { resolveWithin } from './within.ts'

export interface Rotated {
  readonly outcome: Outcome
  readonly told: readonly Told[]
  /** Whether a block was acted on that reopens or empties the logs of a service. */
  readonly isHandled: boolean
}

/**
 * Rotates logs as logrotate --force does with the packages' own files in /etc/logrotate.d: logs are moved or copied, and
 * the scripts run beside the application, where nothing they touch is taken for its doing. What they say to systemd or
 * to init is kept, to be done to the services that are here. `root`: the stage's, from outside.
 */
export async function rotateLogs(
  root: string,
  services: readonly Kept[],
  driver: Driver,
  timeout: number,
): Promise<Rotated> {
  const accounts = await accountsOf(root)
  const told: Told[] = []
  const rotated: string[] = []
  let isHandled = false
  await placeStandIns(root)
  try {
    for (const { file, rotation } of await rotationsIn(root)) {
      const logs = await logsOf(root, rotation.logs)
      if (logs.length === 0) continue
      isHandled ||= rotation.how === 'copy' || rotation.before.length + rotation.after.length > 0
      for (const some of rotation.isShared ? [logs] : logs.map((log) => [log])) {
        const run = (script: string) => runScript(script, some, services, driver, timeout)
        for (const script of rotation.before) {
          const outcome = await run(script)
          if (!outcome.ok) return failed(file, outcome)
        }
        for (const log of some) await rotateOne(root, log, rotation, accounts)
        for (const script of rotation.after) {
          const outcome = await run(script)
          if (!outcome.ok) return failed(file, outcome)
        }
        told.push(...(await toldIn(root, services)))
      }
      rotated.push(...logs)
    }
  } finally {
    await removeStandIns(root)
  }
  return { outcome: { ok: true, detail: `${rotated.length} logs` }, told, isHandled }
}

const failed = (file: string, { detail }: Outcome): Rotated => ({
  outcome: { ok: false, detail: `a script of ${file}: ${detail}` },
  told: [],
  isHandled: true,
})

/** Gives every log below /var/log another name; what no file of a package rotates. */
export async function moveLogs(root: string): Promise<void> {
  const directory = join(root, 'var/log')
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  const logs = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.log'))
  for (const { parentPath, name } of logs) await rename(join(parentPath, name), join(parentPath, `${name}.1`))
}

async function accountsOf(root: string): Promise<Accounts> {
  const read = async (path: string) =>
    readFile(join(root, await resolveWithin(root, path, true)), 'utf8').catch(() => '')
  return new Accounts(await read('/etc/passwd'), await read('/etc/group'))
}

/** What logrotate passes over too: copies that dpkg and editors leave (its tabooext). */
const taboo = /(\.(bak|cfsaved|disabled|dpkg-\w+|old|orig|rhn-cfg-tmp-.*|rpm\w+|swp|ucf-\w+)|,v|~)$/

async function rotationsIn(root: string): Promise<{ file: string; rotation: Rotation }[]> {
  const directory = await resolveWithin(root, '/etc/logrotate.d', true)
  const names = await readdir(join(root, directory)).catch(() => [])
  const found: { file: string; rotation: Rotation }[] = []
  for (const name of names.filter((name) => !taboo.test(name)).sort()) {
    const file = await resolveWithin(root, `${directory}/${name}`, true)
    const text = await readFile(join(root, file), 'utf8').catch(() => '')
    found.push(...parseLogrotate(text).map((rotation) => ({ file, rotation })))
  }
  return found
}

/** The files that globs name, as paths in the root without symlinks, each once. */
async function logsOf(root: string, globs: readonly string[]): Promise<string[]> {
  const found = new Set<string>()
  for (const glob of globs) {
    let places = ['/']
    for (const name of glob.split('/').filter(Boolean)) places = await inEach(root, places, name)
    for (const path of places) if ((await lstat(join(root, path)).catch(() => undefined))?.isFile()) found.add(path)
  }
  return [...found].sort()
}

async function inEach(root: string, places: readonly string[], name: string): Promise<string[]> {
  const { literal, matches } = parseGlob(`/${name}`)
  const next: string[] = []
  for (const place of places) {
    const directory = await resolveWithin(root, place, true)
    if (literal !== undefined) next.push(join(directory, name))
    else {
      const names = await readdir(join(root, directory)).catch(() => [])
      // A star does not match a leading dot in a shell's globs.
      const wanted = names.filter((one) => matches(`/${one}`) && (!one.startsWith('.') || name.startsWith('.')))
      next.push(...wanted.map((one) => join(directory, one)))
    }
  }
  return next
}

/** What has become a link meanwhile is not followed: it would lead out of the root. */
async function rotateOne(root: string, log: string, { how, create }: Rotation, accounts: Accounts): Promise<void> {
  const path = join(root, log)
  const aside = `${path}.1`
  await rm(aside, { force: true, recursive: true })
  if (how === 'copy') {
    await using file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
    await writeFile(aside, await file.readFile(), { flag: 'wx' })
    await file.truncate()
    return
  }
  const old = await lstat(path)
  await rename(path, aside)
  if (!create) return
  const uid = create.owner === undefined ? old.uid : accounts.account(create.owner).uid
  const gid = create.group === undefined ? old.gid : accounts.gid(create.group)
  await using file = await open(path, 'wx')
  await file.chown(uid, gid)
  await file.chmod(create.mode ?? old.mode & 0o7777)
  // Made by us, it was read by nobody: a time that moved counts as the application's doing.
  await file.utimes(0, Date.now() / 1000)
}

async function runScript(
  script: string,
  logs: readonly string[],
  services: readonly Kept[],
  driver: Driver,
  timeout: number,
): Promise<Outcome> {
  const command = ['/bin/sh', '-c', tellingUs(script, services), 'logrotate_script', ...logs]
  return driver.ask({ command, user: 'root', expect: { exit: 0 } }, timeout)
}
