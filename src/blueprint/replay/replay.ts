import { join } from 'node:path'
import { BootloomError } from '../../config/errors.ts'
import type { Logger } from '../../config/log.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Component } from '../../repository/component.ts'
import { parseGlob } from '../glob.ts'
import { layersOf } from '../layers.ts'
import type { ObservationRecord } from '../observe/observe.ts'
import { replayPages } from '../observe/paged.ts'
import type { Deadlines, Run } from '../observe/run.ts'
import { Stage } from '../observe/stage.ts'
import { staged } from '../observe/staged.ts'
import { Trace } from '../observe/trace.ts'
import type { Blueprint } from '../schema.ts'
import type { Service } from '../service.ts'
import { World } from '../world.ts'
import { compareRuns, type Difference, type Ran } from './compare.ts'
import { type Lack, Lacks } from './lacks.ts'

export interface ReplayInput {
  readonly blueprint: Blueprint
  readonly services: readonly Service[]
  /** The directory that the stack's packages are installed in: commands of the workload find their programs there. */
  readonly root: string
  /** Unpacks the bundle below a directory. */
  readonly unpack: (root: string) => Promise<void>
  /** Files of which the bundle has only pages, and where those and their list stand in it. */
  readonly paged?: { readonly tree: string; readonly pages: string; readonly paths: readonly string[] } | undefined
  /** Those of the stack, and the blueprint's own files if it adds any. */
  readonly components: readonly Component[]
  /** What the full stack answered. */
  readonly expected: ObservationRecord
  /** Runs the full stack once more; asked when an answer differs, before that counts. */
  readonly again: () => Promise<ObservationRecord>
  readonly log: Logger
  readonly deadlines?: Partial<Deadlines>
}

/** What a replay found. */
export interface Replayed {
  readonly holds: boolean
  /** Steps that went another way than in the full stack. */
  readonly differences: readonly Difference[]
  /** Files that the stack has, the bundle lacks, and the application asked for. */
  readonly lacking: readonly Lack[]
  /** The same of those that the blueprint drops: told, but by intention. */
  readonly dropped: readonly string[]
  readonly seconds: number
}

/**
 * Starts what a bundle holds, and nothing else, as init does, and drives it as it was driven while it was watched. Needs
 * root; leaves nothing running or mounted. Throws only what says nothing about the bundle: DISK_FULL, COMMAND_FAILED.
 */
export async function replay(input: ReplayInput, progress: OnProgress, signal?: AbortSignal): Promise<Replayed> {
  const { blueprint, services, deadlines, components } = input
  const begun = performance.now()
  progress({ step: 'replay', detail: 'what the bundle holds' })
  const stage = await Stage.open(input.root, { hostname: blueprint.name, content: 'nothing', signal })
  const watched = (event: Parameters<OnProgress>[0]) =>
    progress({ ...event, step: 'replay', detail: `${event.step} ${event.detail ?? ''}`.trim() })
  const options = { blueprint, services, deadlines, progress: watched, signal }
  const { ran, lacks } = await staged(stage, options, async (run) => {
    await input.unpack(join(stage.directory, 'root'))
    const runs = runsCommands(blueprint, services)
    if (runs) await stage.layOver()
    // What commands read of these files is nothing that the bundle need have.
    await using paged = input.paged && (await replayPages(stage, input.paged, runs ? input.paged.paths : []))
    const inBundle = World.fromListing(await stage.list('before'))
    const lacks = new Lacks(layersOf(components), components, inBundle, new Set(input.expected.gone))
    const ran = await runToTheEnd(run, stage)
    const trace = new Trace(join(stage.directory, 'trace'), `${stage.inside}/root`, (named, by) =>
      lacks.named(named, by),
    )
    await trace.read(await stage.pids())
    if (paged) lacks.lackPages(await paged.finish())
    return { ran, lacks }
  })
  let differences = compareRuns(input.expected, ran)
  // What the full stack itself does not answer twice in the same way says nothing.
  if (differences.some(({ suspected }) => suspected)) {
    input.log.debug({ event: 'replay-suspects', blueprint: blueprint.name, differences })
    progress({ step: 'replay', detail: 'asking the full stack once more' })
    differences = compareRuns(input.expected, ran, await input.again())
  }
  const isDropped = dropped(blueprint)
  const all = lacks.found()
  const lacking = all.filter(({ path }) => !isDropped(path))
  const replayed = {
    holds: lacking.length === 0 && differences.length === 0,
    differences,
    lacking,
    dropped: all.filter(({ path }) => isDropped(path)).map(({ path }) => path),
    seconds: Math.round(performance.now() - begun) / 1000,
  }
  const { holds, seconds } = replayed
  input.log.info({
    event: 'replayed',
    blueprint: blueprint.name,
    holds,
    lacking: lacking.map(({ path }) => path),
    seconds,
  })
  return replayed
}

/** Only then is there anything to be run in the view. */
function runsCommands({ probe, workload }: Blueprint, services: readonly Service[]): boolean {
  const steps = [probe, ...workload, ...services.flatMap((service) => service.probe ?? [])]
  return steps.some((step) => 'command' in step || 'sql' in step || 'scripts' in step || 'rotate' in step)
}

function dropped({ drop }: Blueprint): (path: string) => boolean {
  const globs = drop.map(parseGlob)
  return (path) => globs.some((glob) => glob.matches(path))
}

/** Codes of what an application that lacks a file may end with. */
const failures = new Set(['OBSERVE_START_FAILED', 'PROBE_NEVER_ANSWERED', 'WORKLOAD_FAILED'])

async function runToTheEnd(run: Run, stage: Stage): Promise<Ran> {
  try {
    const probe = await run.start()
    const workload = await run.workload()
    return { probe, workload, stopped: await run.stop(), exits: await stage.exits() }
  } catch (error) {
    if (!(error instanceof BootloomError) || !failures.has(error.code)) throw error
    return { failed: [error.message, ...error.details].join('\n') }
  }
}
