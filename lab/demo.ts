import prettyBytes from 'pretty-bytes'
import type { ComposeReport, ObserveReport } from '../src/change/report.ts'
import { BootloomError } from '../src/config/errors.ts'
import { ApiClient } from '../src/http/api-client.ts'
import { layOut } from './blueprint.ts'
import { addressOf, type BootStage, watchBoot } from './boot-watch.ts'
import { fetchInside } from './fetch.ts'
import { openForward } from './forward.ts'
import { down, up } from './lab.ts'
import { macOf, startNode } from './node.ts'
import { type Place, paths } from './place.ts'
import { personBehind } from './root.ts'
import { seconds, type Telling, tell } from './telling.ts'

export interface DemoOptions {
  /** End by itself as soon as the node has answered. */
  readonly once: boolean
  /** Port of 127.0.0.1 that shows the node's page. */
  readonly port: number
}

/** What `--once` prints as its last line. */
interface Outcome {
  readonly node: string
  readonly mac: string
  readonly blueprint: string
  readonly bundle: string
  readonly files: number
  /** Of the bundle, and of what a golden image would have shipped. */
  readonly bytes: { readonly kernel: number; readonly initramfs: number; readonly fullStack: number }
  /** `boot` is from power-on to the page. */
  readonly seconds: { readonly observe: number; readonly compose: number; readonly boot: number }
}

const blueprint = 'apache'
const mac = macOf(1)
/** Milliseconds; an emulated node on a busy machine takes a while. */
const bootTimeout = 240_000

/**
 * The whole road once: a lab, Apache observed and woven, a node powered on that serves the page from its RAM. Ctrl-C, or
 * any failure, takes everything down; what was fetched and woven stays for the next run.
 */
export async function runDemo(place: Place, options: DemoOptions): Promise<void> {
  const abort = new AbortController()
  const onSignal = () => abort.abort()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, onSignal)
  const telling = tell()
  let outcome: Outcome | undefined
  try {
    outcome = await play(place, options, telling, abort.signal)
  } catch (error) {
    // However a Ctrl-C surfaces, it is how this ends; only `--once` was to get somewhere.
    if (!abort.signal.aborted || options.once) throw error
  } finally {
    if (!options.once) telling.line('Taking the lab down.')
    await down(place)
    for (const signal of signals) process.off(signal, onSignal)
  }
  if (options.once) console.log(JSON.stringify(outcome))
}

async function play(place: Place, options: DemoOptions, telling: Telling, signal: AbortSignal): Promise<Outcome> {
  await telling.step('Bring up an isolated lab', (progress) => up(place, { held: true, progress, signal }))
  const api = new ApiClient(paths.api(place))
  const job = <T>(title: string, path: string, body: unknown, done: (result: T) => string) =>
    timed(() => telling.step(title, (progress) => api.job<T>('POST', path, body, progress, signal), done))

  const site = await telling.step(
    'Apply the blueprint apache',
    async () => {
      const { yaml, directory, site } = await layOut(place, blueprint)
      await api.request('POST', '/v1/blueprints', { yaml, directory })
      return site
    },
    (site) => (site === undefined ? 'done' : `its site is ${site}`),
  )
  await job('Fetch its packages and kernel', '/v1/repo/update', { blueprint }, () => 'up to date')
  const observed = await job<ObserveReport>(
    'Watch Apache run',
    `/v1/blueprints/${blueprint}/observe`,
    {},
    ({ paths }) => `it touched ${paths} paths`,
  )
  const composed = await job<ComposeReport>(
    'Weave a bundle of them',
    `/v1/blueprints/${blueprint}/compose`,
    {},
    ({ totals, woven, reused }) =>
      `${totals.files} files, ${prettyBytes(totals.size)}; ${woven.length} segments woven, ${reused} reused`,
  )
  await telling.step(`Assign it to node ${mac}`, () => api.request('PUT', `/v1/nodes/${mac}`, { blueprint }))

  const poweredOn = Date.now()
  const node = await telling.step('Power the node on', () => startNode(place, { index: 1, mac }))
  const onStage = (stage: BootStage) => telling.line(stageLine(stage, poweredOn))
  const boot = await watchBoot(api, node, { since: poweredOn, timeout: bootTimeout, signal, onStage })
  const address = addressOf(boot)
  if (!address) throw new BootloomError('LAB_FAILED', `the server knows no address of node ${mac}`)
  const page = await fetchInside(place.name, `http://${address}/`, { patience: 20_000, signal })
  const booted = Date.now() - poweredOn

  const { totals, fullStack } = composed.result
  const outcome: Outcome = {
    node: address,
    mac,
    blueprint,
    bundle: boot.bundle ?? composed.result.digest,
    files: totals.files,
    bytes: { ...sizesOf(composed.result, boot.bundle, boot.stages), fullStack: fullStack.bytes },
    seconds: { observe: rounded(observed.took), compose: rounded(composed.took), boot: rounded(booted) },
  }
  telling.line(summary(outcome, page.body, fullStack.files))
  if (!options.once) await stay(place, telling, { address, port: options.port, site, signal })
  return outcome
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; took: number }> {
  const began = Date.now()
  return { result: await work(), took: Date.now() - began }
}

const rounded = (milliseconds: number) => Math.round(milliseconds / 10) / 100

/** The node may already have been given a later bundle of the same files, more thoroughly compressed: then what was sent. */
function sizesOf(
  composed: ComposeReport,
  bundle: string | undefined,
  stages: readonly BootStage[],
): { kernel: number; initramfs: number } {
  const { kernel, size } = composed.totals
  const sent = (name: string) => stages.find(({ stage, bytes }) => stage === name && bytes)?.bytes
  if (bundle === undefined || bundle === composed.digest) return { kernel, initramfs: size }
  return { kernel: sent('kernel') ?? kernel, initramfs: sent('initramfs') ?? size }
}

function stageLine({ stage, at, bytes, detail = '' }: BootStage, poweredOn: number): string {
  const size = bytes === undefined ? '' : prettyBytes(bytes)
  return `  ${seconds(at - poweredOn).padStart(7)}  ${stage.padEnd(10)} ${size.padStart(8)}  ${detail}`.trimEnd()
}

function summary({ node, bytes, files, seconds }: Outcome, page: string, fullFiles: number): string {
  const text = page.trim().split('\n')
  const bundle = bytes.kernel + bytes.initramfs
  return [
    '',
    `Node ${node} serves this page from its RAM:`,
    '',
    ...text.slice(0, 8).map((line) => `    ${line.slice(0, 100)}`),
    ...(text.length > 8 ? [`    … ${text.length - 8} more lines`] : []),
    '',
    `  full stack   ${prettyBytes(bytes.fullStack)} in ${fullFiles} files`,
    `  bundle       ${prettyBytes(bundle)}: kernel ${prettyBytes(bytes.kernel)}, initramfs ${prettyBytes(bytes.initramfs)} of ${files} files`,
    `  times        observed in ${seconds.observe} s, woven in ${seconds.compose} s, power-on to page ${seconds.boot} s`,
    '',
  ].join('\n')
}

interface Stay {
  readonly address: string
  readonly port: number
  readonly site: string | undefined
  readonly signal: AbortSignal
}

/** Shows the page to the machine's browser, says how to go on, and waits for Ctrl-C. */
async function stay(place: Place, telling: Telling, { address, port, site, signal }: Stay): Promise<void> {
  const forward = await openForward(place.name, { port, to: { address, port: 80 } })
  try {
    const command = `${personBehind() ? 'sudo ' : ''}npx bootloom`
    const server = `${command} --state ${paths.state(place)}`
    telling.line(`Open http://127.0.0.1:${forward.port}/ in a browser on this machine. Then, in another terminal:

  the node's serial console      ${command} lab node 1 --console
  its boot, step by step         ${server} node show ${mac}
  change the site                edit ${site ?? 'the site'}, then: ${command} lab node 1 --reset
  Redis on a second node         ${server} blueprint apply templates/blueprints/redis.yaml
                                 ${server} observe redis
                                 ${server} compose redis
                                 ${server} node set ${macOf(2)} --blueprint redis
                                 ${command} lab node 2

Ctrl-C takes the lab down.`)
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    await forward.close()
  }
}
