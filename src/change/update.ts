import type { Profile } from '../blueprint/profile.ts'
import { select } from '../blueprint/select.ts'
import type { Selection } from '../blueprint/selection.ts'
import { updateStack } from '../repository/update.ts'
import { wovenBlueprint } from './applied.ts'
import { observeBlueprint } from './observe.ts'
import type { UpdateReport } from './report.ts'
import { contentOf, selectInput } from './selected.ts'
import { composeBlueprint } from './weave.ts'
import { rememberStack, requestOf, type Work } from './work.ts'

/**
 * Asks the sources for newer versions. The bundle is woven anew only when a file that it selects differs; the
 * application is then watched again, for a new version may touch other files.
 */
export async function updateBlueprintStack(name: string, work: Work): Promise<UpdateReport> {
  const { context, progress, signal } = work
  const started = performance.now()
  const applied = await wovenBlueprint(context, name)
  const { record } = applied
  const { digest, stack, changed } = await updateStack(await requestOf(applied, context), context, progress, signal)
  await rememberStack(applied, digest, context)
  const versions = changed.map(({ name, from, to }) => ({ name, from: from ?? null, to: to ?? null }))
  const report = { blueprint: name, stack: digest, changed: versions }
  const seconds = () => (performance.now() - started) / 1000
  if (record.profileDigest === undefined || record.selectionDigest === undefined) {
    return { ...report, verdict: 'not-woven', seconds: seconds() }
  }
  if (digest === record.stackDigest) return { ...report, verdict: 'unchanged', seconds: seconds() }
  const before = await context.store.readJson<Selection>(record.selectionDigest)
  const after = await select(await selectInput(applied, stack, digest, context))
  const kernelMoved = changed.some((change) => change.name === stack.kernel.name)
  if (!kernelMoved && contentOf(before) === contentOf(after))
    return { ...report, verdict: 'unaffected', seconds: seconds() }
  // What was watched is watched anew; what was learned in other ways, over days perhaps, is kept.
  const profile = await context.store.readJson<Profile>(record.profileDigest)
  const isLearned = profile.methods.some((method) => method === 'node' || method === 'fanotify')
  await observeBlueprint(name, { fresh: !isLearned }, work)
  const reason = versions
    .map(({ name, to }) => `${name} ${to ?? 'gone'}`)
    .join(', ')
    .slice(0, 200)
  const { digest: bundle } = await composeBlueprint(name, { reason }, work)
  return { ...report, verdict: 'woven', bundle, seconds: seconds() }
}
