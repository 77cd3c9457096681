import { join } from 'node:path'
import type { Logger } from '../../config/log.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Component, Entry } from '../../repository/component.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import type { Answer } from '../answer.ts'
import type { PagesRead } from '../pages.ts'
import type { Profile } from '../profile.ts'
import type { Blueprint } from '../schema.ts'
import type { Service } from '../service.ts'
import { World } from '../world.ts'
import { recordPages } from './paged.ts'
import { placeFiles, placeTree } from './place.ts'
import type { Deadlines, StepResult } from './run.ts'
import { Stage } from './stage.ts'
import { staged } from './staged.ts'
import { Touched, type Toucher } from './touched.ts'
import { startWatcher } from './watcher.ts'

export interface Observation {
  readonly profile: Profile
  readonly record: ObservationRecord
}

/** What differs between two runs, and so is no part of the profile. */
export interface ObservationRecord {
  /** Which stack was watched. */
  readonly stack: Digest
  /** Seconds that each part took. */
  readonly seconds: Readonly<Record<'copy' | 'start' | 'workload' | 'stop' | 'read' | 'total', number>>
  readonly methods: Profile['methods']
  readonly counts: { readonly paths: number; readonly created: number; readonly kernelOnly: number }
  readonly probe: { readonly detail: string; readonly answer?: Answer }
  readonly workload: readonly StepResult[]
  /** `killed`: the stop signal did not end it within its time. */
  readonly stopped: 'by signal' | 'killed'
  /** Exit statuses of the programs that were run, by the service's name and their number. */
  readonly exits: Readonly<Record<string, number>>
  /** Who touched a path first, and how; what only an access time tells of is not there. */
  readonly first: Readonly<Record<string, Toucher>>
  /** Paths of the stack that the application had removed when it asked for them. */
  readonly gone: readonly string[]
  /** Who looked first for a path that the stack does not have. */
  readonly absent: Readonly<Record<string, Toucher>>
  /** Which pages were read of each file that was watched page by page. */
  readonly pages?: Readonly<Record<string, PagesRead>>
}

/** How a run is watched; strictatime always adds what it can. */
export type Method = 'strace' | 'fanotify'

export interface ObserveInput {
  readonly blueprint: Blueprint
  /** As resolved against the stack, in the order of their start. */
  readonly services: readonly Service[]
  readonly stackDigest: Digest
  /** The directory that the stack's packages are installed in. It is copied, never changed. */
  readonly root: string
  /** The tree components, in the stack's order; their contents are in the store. */
  readonly trees: readonly Component[]
  readonly store: Store
  readonly log: Logger
  readonly method?: Method | undefined
  /** Files of the packages to watch page by page, if strace watches; others may be asked for at any speed. */
  readonly large?: readonly Entry[]
  /** Is told each path of the stack as it is first touched, within a quarter of a second. */
  readonly onTouched?: ((path: string, by: Toucher | undefined) => void) | undefined
  /** Instead of 20 s for the probe, 30 s for each step of the workload, 600 s for all of it and 30 s for the stop. */
  readonly deadlines?: Partial<Deadlines>
}

/**
 * Runs the application in its full stack, in namespaces of its own, and tells what it touched: seccomp-filtered strace
 * (or fanotify) united with access times, for neither is complete alone. Throws OBSERVE_START_FAILED,
 * PROBE_NEVER_ANSWERED, WORKLOAD_FAILED, DISK_FULL. Needs root; leaves nothing running or mounted, whatever happens.
 */
export async function observe(input: ObserveInput, progress: OnProgress, signal?: AbortSignal): Promise<Observation> {
  const { blueprint, services, deadlines, log, method = 'strace' } = input
  const clock = stopwatch()
  progress({ step: 'copy', detail: 'the full stack into memory' })
  const stage = await Stage.open(input.root, { hostname: blueprint.name, traced: method === 'strace', signal })
  return staged(stage, { blueprint, services, deadlines, progress, signal }, async (run) => {
    const root = join(stage.directory, 'root')
    for (const tree of input.trees) await placeTree(root, tree, input.store)
    await placeFiles(root, blueprint)
    const touched = new Touched(World.fromListing(await stage.list('before')), input.onTouched)
    await stage.calm()
    await using paged = await recordPages(stage, method === 'strace' ? (input.large ?? []) : [])
    await using watcher = await startWatcher(stage, method, touched, input.onTouched !== undefined)
    clock.lap('copy')

    const probe = await run.start()
    clock.lap('start')
    const workload = await run.workload()
    clock.lap('workload')
    const stopped = await run.stop()
    const exits = await stage.exits()
    clock.lap('stop')

    progress({ step: 'read', detail: 'what was touched' })
    await watcher.finish()
    for (const path of await stage.touched()) touched.read(`/${path}`)
    const pages = await paged.finish()
    for (const [path, read] of Object.entries(pages)) if (read.pages !== '-') touched.read(path)
    clock.lap('read')

    const methods = [method, 'strictatime'] as const
    const profile = { blueprint: blueprint.name, stack: input.stackDigest, methods, paths: touched.paths() }
    const counts = touched.counts()
    log.info({ event: 'observed', blueprint: blueprint.name, ...counts, seconds: clock.total().total })
    const { detail, answer } = probe
    const record = {
      ...{ stack: input.stackDigest, seconds: clock.total(), methods, counts, workload, stopped, exits },
      ...{
        probe: { detail, ...(answer && { answer }) },
        first: touched.first(),
        gone: touched.gone(),
        absent: touched.absent(),
        pages,
      },
    }
    return { profile, record }
  })
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
