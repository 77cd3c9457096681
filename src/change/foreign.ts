import type { ForeignBlueprint, ForeignFile } from '../blueprint/foreign.ts'
import { bundleForeign } from '../compose/foreign.ts'
import { initramfsParts } from '../compose/initramfs.ts'
import { fetchForeign } from '../repository/foreign.ts'
import type { BlueprintRecord } from '../state/blueprints.ts'
import { putBundle } from '../state/bundles.ts'
import { publish } from './publish.ts'
import type { ComposeReport } from './report.ts'
import type { Work } from './work.ts'

/** Fetches what a foreign blueprint names, makes a bundle of it and publishes that: nothing is observed or woven. */
export async function composeForeign(
  { blueprint, record }: { readonly blueprint: ForeignBlueprint; readonly record: BlueprintRecord },
  { context, progress, signal }: Work,
): Promise<ComposeReport> {
  const started = performance.now()
  const { store, state } = context
  const { name, foreign } = blueprint
  const fetch = async (file: ForeignFile) => ({
    from: file.from,
    ...(await fetchForeign(file, store, progress, signal)),
  })
  const kernel = await fetch(foreign.kernel)
  const initrds = []
  for (const initrd of foreign.initrds) initrds.push(await fetch(initrd))
  const request = { blueprint: name, blueprintDigest: record.digest, kernel, initrds, cmdline: foreign.cmdline }
  const { digest, manifest } = await bundleForeign(request, store)
  const initramfsBytes = initramfsParts(manifest).size
  const level = 'foreign'
  const none = { files: 0, rawBytes: 0, fullStackBytes: 0 }
  const sizes = { kernelBytes: kernel.size, initramfsBytes }
  await putBundle(state.redis, { digest, blueprint: name, level, ...none, ...sizes, createdAt: Date.now() })
  await publish(
    context,
    { blueprint: name, bundle: digest, level, reason: 'fetched', woven: [] },
    { applied: record.digest },
  )
  return {
    digest,
    blueprint: name,
    level,
    rows: [],
    totals: { files: 0, raw: 0, size: initramfsBytes, kernel: kernel.size },
    fullStack: { files: 0, bytes: 0 },
    reused: 0,
    woven: [],
    seconds: (performance.now() - started) / 1000,
  }
}
