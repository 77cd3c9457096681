import { BootloomError } from '../../config/errors.ts'
import type { PendingRequest, PendingUpdate } from '../../repository/pending.ts'
import type { Context } from '../context.ts'
import { securityIsStale } from '../security.ts'
import { answerCve } from './cve.ts'
import { ImpactIndex, indexPath } from './file-index.ts'
import { rowsOfDigest, rowsOfFile } from './files.ts'
import { type Answer, type Asking, answerPackage, answerPending } from './offers.ts'
import type { ImpactQuestion, ImpactReport } from './report.ts'
import { bundlesInUse, standings } from './use.ts'

/** The heavy work that a question may lead to; a server has its workshop do it. */
export interface ImpactWork {
  index(rebuild: boolean): Promise<unknown>
  pending(request: PendingRequest): Promise<PendingUpdate[]>
  /** Reads the security data for these releases. */
  security(releases: readonly string[]): Promise<unknown>
}

/**
 * What an update, a flaw, a file or a digest means for the bundles in use: for each selection, whether it is affected, by
 * which files, on which channels and nodes. Answered from the index, which is brought up to date first.
 * USAGE, COMPONENT_UNKNOWN, CVE_UNKNOWN, SECURITY_DATA, MIRROR_UNREACHABLE.
 */
export async function impactOf(question: ImpactQuestion, context: Context, work: ImpactWork): Promise<ImpactReport> {
  if (Object.values(question).filter((part) => part !== undefined).length > 1) {
    throw new BootloomError('USAGE', 'ask after one thing: a package, a CVE, a file or a digest')
  }
  const inUse = await bundlesInUse(context.state.redis)
  const digests = inUse.map(({ digest }) => digest)
  const index = await currentIndex(digests, context, work)
  try {
    const subjects = await standings(index, inUse, context.state.redis)
    const asking = { context, index, subjects, pending: (request: PendingRequest) => work.pending(request) }
    const releases = [...subjects.values()].flatMap(({ subject }) => subject.suites?.suite ?? [])
    if (question.file === undefined && question.digest === undefined) {
      await currentSecurity([...new Set(releases)].sort(), question, context, work)
    }
    const { offered, rows } = await answer(question, asking)
    const { bundles, subjects: all } = index.header
    return {
      question,
      at: Date.now(),
      offered,
      rows,
      bundles: inUse.flatMap((bundle) => {
        const subject = all[bundles[bundle.digest] ?? -1]
        return subject ? [{ ...bundle, blueprint: subject.blueprint }] : []
      }),
      unread: digests.filter((digest) => bundles[digest] === -1),
    }
  } finally {
    await index.close()
  }
}

async function answer({ package: words, cve, file, digest }: ImpactQuestion, asking: Asking): Promise<Answer> {
  if (words !== undefined) return answerPackage(asking, words)
  if (cve !== undefined) return answerCve(asking, cve)
  if (file !== undefined) return { offered: [], rows: await rowsOfFile(asking.index, asking.subjects, file) }
  if (digest !== undefined) return { offered: [], rows: await rowsOfDigest(asking.index, asking.subjects, digest) }
  return answerPending(asking)
}

async function currentIndex(
  bundles: readonly `sha256:${string}`[],
  { directory }: Context,
  work: ImpactWork,
): Promise<ImpactIndex> {
  const found = await ImpactIndex.open(indexPath(directory))
  if (found && bundles.every((bundle) => found.header.bundles[bundle] !== undefined)) return found
  await found?.close()
  await work.index(found === undefined)
  const made = await ImpactIndex.open(indexPath(directory))
  if (made) return made
  throw new BootloomError('INTERNAL', 'the impact index was made and cannot be read', { where: indexPath(directory) })
}

/** Stale security data are in nobody's way, unless they are what is asked after. */
async function currentSecurity(
  releases: readonly string[],
  question: ImpactQuestion,
  { settings, directory, log }: Context,
  work: ImpactWork,
): Promise<void> {
  if (!(await securityIsStale(settings.security, directory, releases))) return
  try {
    await work.security(releases)
  } catch (error) {
    if (question.cve !== undefined) throw error
    log.warn({ event: 'security-data-unread', reason: (error as Error).message })
  }
}
