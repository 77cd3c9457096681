import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../config/log.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Component } from '../../repository/component.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import type { Profile } from '../profile.ts'
import type { Blueprint } from '../schema.ts'
import { World } from '../world.ts'
import { Driver } from './driver.ts'
import { launchOf, launchScript } from './launch.ts'
import { placeFiles, placeTree, placeWritable } from './place.ts'
import { type Deadlines, Run, type StepResult } from './run.ts'
import { Stage } from './stage.ts'
import { Touched } from './touched.ts'
import { readTrace } from './trace.ts'

export interface Observation {
  readonly profile: Profile
  readonly record: ObservationRecord
}

/** What differs between two runs, and so is no part of the profile. */
interface ObservationRecord {
  /** Seconds that each part took. */
  readonly seconds: Readonly<Record<'copy' | 'start' | 'workload' | 'stop' | 'read' | 'total', number>>
  readonly methods: Profile['methods']
  readonly counts: { readonly paths: number; readonly created: number; readonly kernelOnly: number }
  readonly probe: string
  readonly workload: readonly StepResult[]
  /** `killed`: the stop signal did not end it within its time. */
  readonly stopped: 'by signal' | 'killed'
}

export interface ObserveInput {
  readonly blueprint: Blueprint
  readonly stackDigest: Digest
  /** The directory that the stack's packages are installed in. It is copied, never changed. */
  readonly root: string
  /** The tree components, in the stack's order; their contents are in the store. */
  readonly trees: readonly Component[]
  readonly store: Store
  readonly log: Logger
  /** Instead of 20 s for the probe, 30 s for each step of the workload and 10 s for the stop. */
  readonly deadlines?: Partial<Deadlines>
}

const defaults: Deadlines = { probe: 20_000, step: 30_000, stop: 10_000 }

/**
 * Runs the application in its full stack, in namespaces of its own, and tells what it touched: seccomp-filtered strace
 * united with access times (neither is complete alone). Throws ACCOUNT_UNKNOWN, OBSERVE_START_FAILED,
 * PROBE_NEVER_ANSWERED, WORKLOAD_FAILED, DISK_FULL. Needs root; leaves nothing running or mounted, whatever happens.
 */
export async function observe(input: ObserveInput, progress: OnProgress, signal?: AbortSignal): Promise<Observation> {
  const { blueprint, log } = input
  const clock = stopwatch()
  progress({ step: 'copy', detail: 'the full stack into memory' })
  const stage = await Stage.open(input.root, blueprint.name, signal)
  let driver: Driver | undefined
  const abort = () => driver?.end()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const root = join(stage.directory, 'root')
    for (const tree of input.trees) await placeTree(root, tree, input.store)
    await placeFiles(root, blueprint)
    const world = World.fromListing(await stage.list('before'))
    await placeWritable(root, blueprint)
    const launch = await launchOf(blueprint, root)
    await writeFile(join(stage.directory, 'launch'), launchScript(launch, stage.inside))
    driver = new Driver(stage, launch)
    const run = new Run(stage, driver, blueprint, { ...defaults, ...input.deadlines }, progress, signal)
    clock.lap('copy')

    progress({ step: 'start', detail: blueprint.start.command.join(' ') })
    await stage.start()
    const probe = await run.untilAnswered()
    clock.lap('start')
    const workload = await run.workload()
    clock.lap('workload')
    const stopped = await run.stop()
    clock.lap('stop')

    progress({ step: 'read', detail: 'what was touched' })
    const touched = new Touched(world)
    const mainPid = Number(await readFile(join(stage.directory, 'pid'), 'utf8'))
    await readTrace(join(stage.directory, 'trace'), mainPid, `${stage.inside}/root`, (named) => touched.named(named))
    for (const path of await stage.touched()) touched.read(`/${path}`)
    clock.lap('read')

    const methods = ['strace', 'strictatime'] as const
    const profile = { blueprint: blueprint.name, stack: input.stackDigest, methods, paths: touched.paths() }
    const record = { seconds: clock.total(), methods, counts: touched.counts(), probe: probe.detail, workload, stopped }
    log.info({ event: 'observed', blueprint: blueprint.name, ...record.counts, seconds: record.seconds.total })
    return { profile, record }
  } catch (error) {
    // What broke off because the stage was taken down is told as the abort that it was.
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    driver?.end()
    await stage.end()
  }
}

type Part = 'copy' | 'start' | 'workload' | 'stop' | 'read'

function stopwatch() {
  const begun = performance.now()
  const laps: Partial<Record<Part, number>> = {}
  let last = begun
  const seconds = (from: number, to: number) => Math.round(to - from) / 1000
  return {
    lap(part: Part) {
      const now = performance.now()
      laps[part] = seconds(last, now)
      last = now
    },
    total: () => ({ copy: 0, start: 0, workload: 0, stop: 0, read: 0, ...laps, total: seconds(begun, last) }),
  }
}
