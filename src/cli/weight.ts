import type { Part, Weight } from '../change/weigh/weight.ts'
import { shortDigest } from '../store/digest.ts'
import { bytesText, table } from './output.ts'

/** Parts below this share of the whole stand together in one line. */
const small = 0.004

/** Where the bytes of a bundle go, for people. */
export async function renderWeight(weight: Weight): Promise<string> {
  const size = await bytesText()
  const signed = (bytes: number) => (bytes < 0 ? `${size(-bytes)} more` : size(bytes))
  const rows = (parts: readonly Part[]) => gathered(parts).map(({ name, bytes }) => [name, size(bytes)])
  const section = async (title: string, parts: readonly Part[], total = sum(parts)) =>
    table([title, '>bytes'], [...rows(parts), ['together', size(total)]])
  const counted = weight.files.filter(({ how }) => how === 'counted')
  const taken = weight.files.filter(({ how }) => how === 'measured').map(({ name, bytes }) => [name, size(bytes)])
  const savings = weight.savings.map(({ option, wire, memory, from }) => [option, signed(wire), signed(memory), from])
  return [
    `bundle ${shortDigest(weight.bundle)} of ${weight.blueprint}, ${weight.level}, root as ${weight.root}`,
    await section('on the wire', weight.wire),
    await section(`memory, measured on a node of ${size(weight.ram)}`, weight.memory),
    await table(['files in RAM, in whole pages', '>bytes'], [...rows(counted), ...taken]),
    await table(['processes, their own memory', '>bytes'], rows(weight.processes)),
    ...(weight.kernel.length === 0 ? [] : [await table(["of the kernel's", '>bytes'], rows(weight.kernel))]),
    ...(savings.length === 0
      ? []
      : [await table(['would save, estimated', '>on the wire', '>in memory', 'from'], savings)]),
  ].join('\n\n')
}

const sum = (parts: readonly Part[]): number => parts.reduce((total, { bytes }) => total + bytes, 0)

function gathered(parts: readonly Part[]): Part[] {
  const limit = sum(parts) * small
  const rest = parts.filter(({ bytes }) => bytes < limit)
  if (rest.length < 3) return [...parts]
  const together: Part = { name: `${rest.length} smaller ones`, bytes: sum(rest), how: rest[0]!.how }
  return [...parts.filter(({ bytes }) => bytes >= limit), together]
}
