import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { applyBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { observeBlueprint } from '../../src/change/observe.ts'
import { composeBlueprint } from '../../src/change/weave.ts'
import { run } from '../../src/config/command.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { openAptRoot } from '../../src/repository/deb/apt.ts'
import { aptSources } from '../../src/repository/deb/sources.ts'
import type { Stack } from '../../src/repository/stack.ts'
import { getBlueprint } from '../../src/state/blueprints.ts'
import { layOut } from '../blueprint.ts'
import { paths, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { type Measure, report, rounded } from './report.ts'

/**
 * From nothing to a bundle that was watched, woven and replayed, against mmdebstrap alone for the same packages; then
 * once more for a second blueprint that shares most of its packages with the first. Everything is fetched from the
 * mirror by both, but for what the first blueprint had fetched already: that is the point.
 */
const rounds = Number(process.argv[2] ?? 1)
const request = { suite: 'bookworm', updates: true, security: true }
const first = ['apache2', 'libapache2-mod-php', 'php-sqlite3', 'php-mbstring']
const second = [...first, 'php-curl', 'php-xml', 'php-intl']

await becomeRoot()
const results: Measure[] = []
for (let round = 0; round < rounds; round++) {
  const place = placeOf({ name: 'bootloom-install' })
  await rm(place.directory, { recursive: true, force: true })
  const context = await openContext(settingsSchema.parse({ state: paths.state(place) }), silent)
  try {
    const { yaml, directory } = await layOut(place, 'apache-php')
    const alone = await mmdebstrap(first)
    const ours = await timed(() => fromNothing(yaml, directory, context))
    results.push(atMostTimes('from nothing: install, observe, weave, replay', ours, alone, 1.5))
    const other = yaml
      .replace(/^name: .*/m, 'name: second')
      .replace(/packages: \[.*?\]/, `packages: [${second.join(', ')}]`)
    const otherAlone = await mmdebstrap(second)
    const otherOurs = await timed(() => fromNothing(other, directory, context))
    const share = Math.round(100 * (await shared(context, 'apache-php', 'second')))
    results.push(atMostTimes(`a second blueprint that shares ${share} % of its packages`, otherOurs, otherAlone, 0.5))
  } finally {
    await context.close()
    await rm(place.directory, { recursive: true, force: true })
  }
}
report('install', results)

async function fromNothing(yaml: string, directory: string, context: Context): Promise<void> {
  let told = ''
  const began = performance.now()
  const progress = ({ step }: { step: string }) => {
    if (step !== told) console.error(`  ${((performance.now() - began) / 1000).toFixed(1)} s  ${step}`)
    told = step
  }
  const work = { context, progress, signal: new AbortController().signal }
  const name = /^name: (.*)$/m.exec(yaml)![1]!
  await applyBlueprint(context, { yaml, directory })
  await observeBlueprint(name, {}, work)
  await composeBlueprint(name, { level: 'fast', reason: 'benchmark' }, work)
}

/** Seconds that mmdebstrap takes for these packages, from the same sources. */
async function mmdebstrap(packages: readonly string[]): Promise<number> {
  const work = await mkdtemp('/var/tmp/bootloom-bench-')
  try {
    const sources = await aptSources({ ...request, packages: [...packages] })
    await openAptRoot(work, sources)
    const words = ['--mode=root', '--variant=apt', '--format=directory', `--include=${packages.join(',')}`]
    const list = join(work, 'debian.sources')
    await run('tee', [list], { input: sources })
    const seconds = await timed(() => run('mmdebstrap', [...words, 'bookworm', join(work, 'root'), list]))
    console.error(`  ${seconds.toFixed(1)} s  mmdebstrap alone`)
    return seconds
  } finally {
    await run('rm', ['-rf', '--one-file-system', work])
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

/** How much of the second one's packages the first one has, at the same versions. */
async function shared(context: Context, one: string, other: string): Promise<number> {
  const debs = async (name: string) => {
    const record = await getBlueprint(context.state.redis, name)
    const stack = await context.store.readJson<Stack>(record!.stackDigest!)
    return stack.components.flatMap(({ kind, digest }) => (kind === 'deb' ? [digest] : []))
  }
  const [mine, theirs] = [new Set(await debs(one)), await debs(other)]
  return theirs.filter((digest) => mine.has(digest)).length / theirs.length
}

function atMostTimes(what: string, ours: number, peer: number, most: number): Measure {
  return {
    what,
    unit: 's',
    ours: rounded(ours),
    peer: rounded(peer),
    ratio: rounded(ours / peer),
    bar: `≤ ${most} ×`,
    holds: ours <= peer * most,
  }
}
