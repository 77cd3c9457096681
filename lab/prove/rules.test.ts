import { chmod, copyFile, lchown, mkdir, mkdtemp, readFile, rename, rm, rmdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { loadRules } from '../../src/blueprint/rules.ts'
import { select } from '../../src/blueprint/select.ts'
import type { SelectedFile, Selection } from '../../src/blueprint/selection.ts'
import { servicesOf } from '../../src/blueprint/services.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { proofs, type Question } from './rule-proofs.ts'
import { type Installed, install, stackNames, state } from './stacks.ts'

let context: Context
const stacks = new Map<string, Installed>()
const rules = await loadRules()

beforeAll(async () => {
  context = await openContext(settingsSchema.parse({ state }), silent)
  for (const name of stackNames) stacks.set(name, await install(name, context))
})
afterAll(() => context?.close())

describe.each(Object.entries(proofs))('%s', (name, { stack, yaml, port, later }) => {
  let root: string
  let whole: Map<string, SelectedFile>
  let selectWithout: (rule: string) => Promise<Set<string>>

  beforeAll(async () => {
    const { update, components } = stacks.get(stack)!
    const blueprint = parseBlueprint(
      `name: ${name.replaceAll(' ', '-')}\nstack: [ { deb: { packages: [x1] } } ]\nprobe: { tcp: ${port} }\n${yaml}`,
      '/srv/x.yaml',
    )
    const { store } = context
    const services = await servicesOf(blueprint, components, store)
    const seen = await observe(
      { blueprint, services, stackDigest: update.digest, root: update.root, trees: [], store, log: silent },
      () => {},
    )
    const given = {
      blueprint,
      stackDigest: update.digest,
      stack: update.stack,
      components,
      profile: seen.profile,
      profileDigest: update.digest,
      store,
    }
    whole = filesOf(await select({ ...given, rules }))
    root = await lay(whole)
    selectWithout = async (rule) =>
      new Set(filesOf(await select({ ...given, rules: rules.filter((one) => one.name !== rule) })).keys())
  })
  afterAll(async () => {
    if (root) await rm(root, { recursive: true, force: true })
  })

  it.each(later)('$rule', async ({ rule, says, ...question }) => {
    const kept = await selectWithout(rule)
    const lacking = [...whole.values()].filter(({ path, type }) => type !== 'dir' && !kept.has(path))
    const bare = [...whole.values()].filter(({ path, type }) => type === 'dir' && !kept.has(path))
    expect(lacking.length + bare.length).toBeGreaterThan(0)

    expect(await ask(root, question)).toContain(says)
    const aside = await mkdtemp(join(state, 'aside-'))
    try {
      for (const [index, { path }] of lacking.entries()) await rename(join(root, path), join(aside, `${index}`))
      for (const { path } of bare.reverse()) await rmdir(join(root, path)).catch(() => {})
      expect(await ask(root, question)).not.toContain(says)
    } finally {
      for (const { path, ...entry } of bare.reverse()) await make({ path, ...entry }, root)
      for (const [index, { path }] of lacking.entries()) await rename(join(aside, `${index}`), join(root, path))
      await rm(aside, { recursive: true })
    }
  })
})

const filesOf = (selection: Selection) =>
  new Map(selection.parts.flatMap(({ files }) => files.map((file) => [file.path, file] as const)))

/** Lays a selection out as a root directory. */
async function lay(files: ReadonlyMap<string, SelectedFile>): Promise<string> {
  const root = await mkdtemp(join(state, 'root-'))
  await chmod(root, 0o755)
  const sorted = [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  for (const file of sorted) await make(file, root)
  return root
}

async function make({ path, type, mode, uid, gid, digest, target }: SelectedFile, root: string): Promise<void> {
  const place = join(root, path)
  await mkdir(dirname(place), { recursive: true })
  if (type === 'dir') await mkdir(place, { recursive: true })
  else if (type === 'symlink') await symlink(target!, place)
  else if (type === 'file') await copyFile(context.store.path(digest!), place)
  else return
  await lchown(place, uid, gid)
  if (type !== 'symlink') await chmod(place, mode)
}

/** What a command writes in the root and how it ends, with /proc and the usual devices, and no network. */
async function ask(root: string, { command, input = '', user = 'root', environment = {} }: Question): Promise<string> {
  const table = await readFile(join(root, 'etc/passwd'), 'utf8').catch(() => '')
  const [, , uid = '0', gid = '0'] =
    table
      .split('\n')
      .find((line) => line.startsWith(`${user}:`))
      ?.split(':') ?? []
  const script = `set -e
for place in dev run; do mount -t tmpfs tmpfs "$0/$place"; done
mount -t proc proc "$0/proc"
for device in null zero urandom random; do touch "$0/dev/$device"; mount --bind /dev/$device "$0/dev/$device"; done
mkdir -p "$0/run/lock" "$0/run/apache2" "$0/dev/shm"
mkdir -m 1777 "$0/run/mysqld" "$0/run/postgresql"
chmod 1777 "$0/dev/shm"
ip link set lo up
hostname localhost
exec timeout -k 5 40 chroot --userspec=${uid}:${gid} "$0" "$@"`
  const namespaces = ['--mount', '--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child=KILL']
  const done = await execa('unshare', [...namespaces, 'sh', '-c', script, root, ...command], {
    reject: false,
    all: true,
    input,
    extendEnv: false,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...environment },
  })
  return `${done.all}\nstatus ${done.exitCode}`
}
