import { posix } from 'node:path'
import type { Store } from '../../store/store.ts'
import type { Layers } from '../layers.ts'
import type { ElfFacts } from './elf.ts'

/** Where Debian's x86-64 loader looks of itself, after what the file and ld.so.conf say (ld.so(8)). */
const defaults = ['/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu', '/lib', '/usr/lib', '/lib64', '/usr/lib64']

/** Below a library directory: builds for newer processors, which the loader prefers where the node has one. */
const processorLevels = ['x86-64-v4', 'x86-64-v3', 'x86-64-v2']

/** The directories that /etc/ld.so.conf.d names, then the loader's own (ldconfig(8)). */
export async function libraryDirectories({ at }: Layers, store: Store): Promise<string[]> {
  const named: string[] = []
  for (const path of [...at.keys()].filter((name) => /^\/etc\/ld\.so\.conf(\.d\/[^/]+\.conf)?$/.test(name)).sort()) {
    const { digest, size } = at.get(path)!.entry
    if (digest === undefined || size > 65_536) continue
    const lines = (await store.read(digest)).toString('utf8').split('\n')
    named.push(...lines.map((line) => line.trim()).filter((line) => line.startsWith('/')))
  }
  return [...named, ...defaults]
}

/** The paths in the stack that the loader may take for what an ELF file at `path` needs. */
export function librariesOf(path: string, elf: ElfFacts, directories: readonly string[], { world }: Layers): string[] {
  const own = elf.searched.map((directory) => expanded(directory, path))
  const exists = (candidate: string) => world.has(world.resolve(candidate, true).path)
  return elf.needed.flatMap((name) => {
    if (name.includes('/')) return [posix.resolve(posix.dirname(path), expanded(name, path))]
    const directory = [...own, ...directories].find((place) => exists(`${place}/${name}`))
    const newer = [...own, ...directories].flatMap((place) =>
      processorLevels.map((level) => `${place}/glibc-hwcaps/${level}/${name}`).filter(exists),
    )
    return directory === undefined ? newer : [`${directory}/${name}`, ...newer]
  })
}

function expanded(text: string, path: string): string {
  return text
    .replace(/\$(ORIGIN|\{ORIGIN\})/g, posix.dirname(path))
    .replace(/\$(LIB|\{LIB\})/g, 'lib/x86_64-linux-gnu')
    .replace(/\$(PLATFORM|\{PLATFORM\})/g, 'x86_64')
}
