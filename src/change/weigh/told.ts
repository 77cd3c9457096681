/** Where a running node's memory is, as it told (boot/native/weigh.c). Bytes. */
export interface NodeMemory {
  /** Of /proc/meminfo (proc(5)). */
  readonly info: Readonly<Record<string, number>>
  /** Of the kernel's own first line about it: code, rwdata, rodata, init, bss, reserved. */
  readonly kernel: Readonly<Record<string, number>>
  /** Taken on the file system that the bundle was unpacked to. */
  readonly root: number
  readonly slabs: readonly { readonly name: string; readonly bytes: number }[]
  readonly modules: number
  readonly processes: readonly NodeProcess[]
  /** Of each mapped file, what somebody touched: the kernel brings in a few pages around each, so it is less. */
  readonly mapped: ReadonlyMap<string, number>
}

interface NodeProcess {
  readonly name: string
  /** Its program; ours stand below /.bootloom. */
  readonly program: string
  readonly anonymous: number
  /** Its share of files that it mapped. */
  readonly files: number
  /** The same of what stands in tmpfs, the bundle's own files among it. */
  readonly shared: number
}

/** What does not fit is left out: it is a node that says it. */
export function parseMemory(text: string): NodeMemory {
  const sections = new Map(
    text.split(/^== /m).map((part) => {
      const end = part.indexOf('\n')
      return [part.slice(0, end), part.slice(end + 1).split('\n')] as const
    }),
  )
  const lines = (name: string) => sections.get(name) ?? []
  return {
    info: pairs(lines('meminfo'), /^(\w+(?:\(\w+\))?):\s+(\d+) kB$/),
    kernel: kernelOf(lines('kernel')[0] ?? ''),
    root: Number(/^\d+$/.exec(lines('root')[0] ?? '')?.[0] ?? 0),
    slabs: slabsOf(lines('slab')),
    modules: lines('modules').reduce((sum, line) => sum + Number(/^\S+ (\d+) /.exec(line)?.[1] ?? 0), 0),
    processes: lines('processes').flatMap(processOf),
    mapped: mappedOf(lines('mapped')),
  }
}

function pairs(lines: readonly string[], form: RegExp): Record<string, number> {
  const found = lines.flatMap((line) => {
    const [, name, size] = form.exec(line) ?? []
    return name ? [[name, Number(size) * 1024] as const] : []
  })
  return Object.fromEntries(found)
}

/** `Memory: 203436K/261624K available (14343K kernel code, 2326K rwdata, …, 57928K reserved, 0K cma-reserved)` */
const kernelOf = (line: string): Record<string, number> =>
  Object.fromEntries(
    [...line.matchAll(/(\d+)K (?:kernel )?(code|rwdata|rodata|init|bss|reserved)\b/g)].map(([, size, name]) => [
      name!,
      Number(size) * 1024,
    ]),
  )

/** Name, objects in use, all objects, bytes of one, objects of a slab, pages of a slab, …, slabs (slabinfo(5)). */
function slabsOf(lines: readonly string[]): NodeMemory['slabs'] {
  const all = lines.flatMap((line) => {
    const [, name, pages, slabs] =
      /^(\S+) +\d+ +\d+ +\d+ +\d+ +(\d+) : tunables .* : slabdata +\d+ +(\d+) /.exec(line) ?? []
    return name ? [{ name, bytes: Number(pages) * Number(slabs) * 4096 }] : []
  })
  return all.sort((a, b) => b.bytes - a.bytes).slice(0, 8)
}

function processOf(line: string): NodeProcess[] {
  const [, anonymous, files, shared, name, program] = /^\d+\t(\d+)\t(\d+)\t(\d+)\t([^\t]*)\t([^\t]*)$/.exec(line) ?? []
  if (name === undefined) return []
  const [one, two, three] = [anonymous, files, shared].map((size) => Number(size) * 1024)
  return [{ name, program: program!, anonymous: one!, files: two!, shared: three! }]
}

/** Of one place in a file, the process that touched most of it; of the file, its places together. */
function mappedOf(lines: readonly string[]): Map<string, number> {
  const places = new Map<string, number>()
  for (const line of lines) {
    const [, offset, size, path] = /^(\d+)\t(\d+)\t(\/.+)$/.exec(line) ?? []
    if (path === undefined) continue
    const key = `${offset} ${path}`
    places.set(key, Math.max(places.get(key) ?? 0, Number(size) * 1024))
  }
  const files = new Map<string, number>()
  for (const [key, size] of places) {
    const path = key.slice(key.indexOf(' ') + 1)
    files.set(path, (files.get(path) ?? 0) + size)
  }
  return files
}
