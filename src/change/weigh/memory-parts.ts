import type { NodeMemory } from './told.ts'
import type { Part } from './weight.ts'

const measured = (name: string, bytes: number): Part => ({
  name,
  bytes: Math.max(0, Math.round(bytes)),
  how: 'measured',
})

/** The RAM of a node in parts that do not overlap; what nobody accounts for is the last of them. */
export function memoryParts(ram: number, { info, kernel }: NodeMemory): Part[] {
  const of = (name: string) => info[name] ?? 0
  const { code = 0, rodata = 0, rwdata = 0, bss = 0 } = kernel
  const image = code + rodata + rwdata + bss
  const stacks = of('KernelStack')
  const parts = [
    measured('kernel: code', code),
    measured('kernel: read-only data', rodata),
    measured('kernel: data', rwdata + bss),
    // What it freed after its start is in MemTotal again.
    measured('kernel: page descriptors and what the firmware keeps', ram - of('MemTotal') - image),
    measured('kernel: slab', of('Slab')),
    measured('kernel: modules and other mapped memory', of('VmallocUsed') - stacks),
    measured('kernel: stacks', stacks),
    measured('kernel: page tables', of('PageTables')),
    measured('kernel: per processor', of('Percpu')),
    measured('files in RAM (tmpfs)', of('Shmem')),
    measured('page cache', of('Cached') + of('Buffers') - of('Shmem')),
    measured('processes (anonymous)', of('AnonPages')),
    measured('free', of('MemFree')),
  ]
  const known = parts.reduce((sum, { bytes }) => sum + bytes, 0)
  return [...parts, measured('not accounted for', ram - known)]
}

/** Each process by its name, those of one name together. */
export function processParts({ processes }: NodeMemory): Part[] {
  const sums = new Map<string, { bytes: number; count: number }>()
  for (const { name, program, anonymous } of processes) {
    const key = program.startsWith('/.bootloom/') ? `${name} (Bootloom)` : name
    const before = sums.get(key) ?? { bytes: 0, count: 0 }
    sums.set(key, { bytes: before.bytes + anonymous, count: before.count + 1 })
  }
  return [...sums]
    .map(([name, { bytes, count }]) => measured(count > 1 ? `${count} × ${name}` : name, bytes))
    .sort((a, b) => b.bytes - a.bytes)
}

export const kernelParts = ({ slabs, modules }: NodeMemory): Part[] => [
  ...(modules > 0 ? [measured('modules', modules)] : []),
  ...slabs.map(({ name, bytes }) => measured(`slab ${name}`, bytes)),
]
