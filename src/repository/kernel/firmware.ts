import type { Store } from '../../store/store.ts'
import type { Component, Entry } from '../component.ts'
import { loadComponent } from '../recorded.ts'
import type { Stack } from '../stack.ts'
import type { KernelModule } from './kernel.ts'

export interface Firmware {
  /** By name, as the kernel asks for it: `rtl_nic/rtl8168h-2.fw`. */
  readonly files: readonly { readonly name: string; readonly entry: Entry }[]
  /** What modules say that they load, and no package of the stack has. */
  readonly missing: readonly { readonly module: string; readonly name: string }[]
}

/** The firmware that modules say they load, out of the packages of the stack (firmware-*, of non-free-firmware). */
export async function firmwareFor(modules: readonly KernelModule[], stack: Stack, store: Store): Promise<Firmware> {
  const wanted = new Map<string, string>()
  for (const { name, digest } of modules) {
    for (const file of firmwareNames(store.readNow(digest))) wanted.set(file, name)
  }
  if (wanted.size === 0) return { files: [], missing: [] }
  const packages = stack.components.filter(({ kind, name }) => kind === 'deb' && name.includes('firmware'))
  const components = await Promise.all(packages.map((ref) => loadComponent(ref, store)))
  const found = new Map(components.flatMap(entriesByName))
  const names = [...wanted.keys()].sort()
  return {
    files: names.flatMap((name) => (found.has(name) ? [{ name, entry: found.get(name)! }] : [])),
    missing: names.flatMap((name) => (found.has(name) ? [] : [{ module: wanted.get(name)!, name }])),
  }
}

/** Of links, what they lead to: a node is given files alone. */
function entriesByName({ entries }: Component): (readonly [string, Entry])[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]))
  return entries.flatMap((entry) => {
    const name = /^(?:\/usr)?\/lib\/firmware\/(.+)$/.exec(entry.path)?.[1]
    let at: Entry | undefined = entry
    for (let hops = 0; at && at.type !== 'file' && hops < 8; hops++) {
      at = at.target ? byPath.get(new URL(at.target, `file://${at.path}`).pathname) : undefined
    }
    return name === undefined || at?.type !== 'file' || at.digest === undefined ? [] : [[name, at] as const]
  })
}

/**
 * The firmware that a module's file names (modinfo(8), `firmware`): strings of its section .modinfo (ELF-64). None where
 * it is compressed.
 */
function firmwareNames(file: Buffer): string[] {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) return []
  const [start, size, count, names] = [
    Number(file.readBigUInt64LE(0x28)),
    file.readUInt16LE(0x3a),
    file.readUInt16LE(0x3c),
    file.readUInt16LE(0x3e),
  ]
  const section = (index: number) => {
    const at = start + index * size
    return at + 64 > file.length
      ? undefined
      : {
          name: file.readUInt32LE(at),
          from: Number(file.readBigUInt64LE(at + 0x18)),
          length: Number(file.readBigUInt64LE(at + 0x20)),
        }
  }
  const strings = section(names)
  if (!strings) return []
  for (let index = 0; index < count; index++) {
    const one = section(index)
    if (!one) return []
    const from = strings.from + one.name
    if (file.toString('latin1', from, from + 9) !== '.modinfo\0') continue
    const texts = file.toString('latin1', one.from, one.from + one.length).split('\0')
    return texts.flatMap((text) => (text.startsWith('firmware=') ? [text.slice('firmware='.length)] : []))
  }
  return []
}
