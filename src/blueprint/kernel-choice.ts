import { BootloomError } from '../config/errors.ts'
import { nearest } from '../config/nearest.ts'
import type { KernelFragment, KernelWant } from './kernel-fragments.ts'

/** What a lean kernel is configured for. */
export interface KernelNeeds {
  /** What the bundle keeps. */
  readonly paths: readonly string[]
  /** Modaliases of the nodes' devices; undefined: nothing is known of them. */
  readonly hardware: readonly string[] | undefined
  /** Of the nodes' devices as they told of them: for these too, but nothing is left out because of it. */
  readonly reported?: readonly string[]
  readonly wants: readonly KernelWant[]
  /** Fragments that the blueprint names. */
  readonly named: readonly string[]
  /** Options that the blueprint sets itself; they come last. */
  readonly options: Readonly<Record<string, string | number>>
}

export interface ChosenFragment {
  readonly name: string
  readonly why: string
  /** What of this blueprint and its nodes chose it. */
  readonly because: string
  readonly options: Readonly<Record<string, string | number>>
}

/**
 * The fragments for what a bundle and its nodes need, in the order given. Fragments set the same option to the same value,
 * or the one behind wins. KERNEL_FRAGMENT_UNKNOWN when the blueprint names one that is not there.
 */
export function chooseFragments(fragments: readonly KernelFragment[], needs: KernelNeeds): ChosenFragment[] {
  const names = fragments.map(({ name }) => name)
  const unknown = needs.named.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    const close = nearest(unknown, names)
    throw new BootloomError('KERNEL_FRAGMENT_UNKNOWN', `there is no fragment ${unknown}`, {
      where: 'kernel.fragments',
      ...(close === undefined ? {} : { hint: `Did you mean ${close}? \`bootloom kernel fragments\` lists them.` }),
    })
  }
  const because = new Map<string, string>()
  for (const fragment of fragments) {
    const reason = reasonOf(fragment, needs)
    if (reason !== undefined) because.set(fragment.name, reason)
  }
  // As often as one follows from another.
  for (let before = -1; before !== because.size; ) {
    before = because.size
    for (const { name, when } of fragments) {
      const other = when?.with.find((one) => because.has(one))
      if (other !== undefined && !because.has(name)) because.set(name, `with ${other}`)
    }
  }
  const chosen = fragments.flatMap(({ name, why, options }) => {
    const reason = because.get(name)
    return reason === undefined ? [] : [{ name, why, because: reason, options }]
  })
  if (Object.keys(needs.options).length === 0) return chosen
  const own = { name: 'blueprint', why: 'The blueprint sets these itself.', because: 'kernel.options' }
  return [...chosen, { ...own, options: needs.options }]
}

function reasonOf({ name, when }: KernelFragment, needs: KernelNeeds): string | undefined {
  if (needs.named.includes(name)) return 'kernel.fragments'
  if (when === undefined) return 'always'
  const want = when.bundle.find((one) => needs.wants.includes(one))
  if (want !== undefined) return wantText[want]
  if (when.unstated && needs.hardware === undefined) return 'no hardware is stated'
  for (const device of when.hardware) {
    const found = [...(needs.hardware ?? []), ...(needs.reported ?? [])].find((modalias) => device.matches(modalias))
    if (found !== undefined) return found
  }
  for (const glob of when.paths) {
    const found = needs.paths.find((path) => glob.matches(path))
    if (found !== undefined) return found
  }
  return undefined
}

const wantText: Readonly<Record<KernelWant, string>> = {
  squashfs: 'the root is an image',
  fuse: 'files come while the node runs',
  learn: 'the node learns',
}

/** Of a device that wants a network driver and finds none in the fragments. */
const isNetworkCard = (modalias: string): boolean => /^pci:.*bc02sc[0-9a-f]{2}/i.test(modalias)

/** Network cards among a node's devices that no fragment has a driver for. */
export function unservedCards(fragments: readonly KernelFragment[], hardware: readonly string[]): string[] {
  const devices = fragments.flatMap(({ when }) => when?.hardware ?? [])
  return hardware.filter((modalias) => isNetworkCard(modalias) && !devices.some((device) => device.matches(modalias)))
}

/** Every option that the fragments set; of those set twice, as the last one does. */
export function optionsOf(chosen: readonly ChosenFragment[]): Map<string, { value: string; fragment: string }> {
  const options = new Map<string, { value: string; fragment: string }>()
  for (const { name, options: own } of chosen) {
    for (const [option, value] of Object.entries(own)) options.set(option, { value: String(value), fragment: name })
  }
  return new Map([...options].sort(([a], [b]) => (a < b ? -1 : 1)))
}
