import { access } from 'node:fs/promises'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'

/** What building a kernel takes, each with the package that has it; headers by their path. */
const tools: Readonly<Record<string, string>> = {
  make: 'make',
  gcc: 'gcc',
  ld: 'binutils',
  flex: 'flex',
  bison: 'bison',
  bc: 'bc',
  xz: 'xz-utils',
  lz4: 'lz4',
  zstd: 'zstd',
  pahole: 'dwarves',
  '/usr/include/stdio.h': 'libc6-dev',
  '/usr/include/gelf.h': 'libelf-dev',
}

/**
 * What compiles: its versions are part of what a kernel's bytes follow from. KERNEL_TOOLS_MISSING with the line that
 * installs what is not here.
 */
export async function compilerOf(signal?: AbortSignal): Promise<string> {
  const found = await Promise.all(Object.keys(tools).map(isHere))
  const missing = Object.values(tools).filter((_, index) => !found[index])
  if (missing.length > 0) {
    throw new BootloomError('KERNEL_TOOLS_MISSING', `building a kernel takes ${missing.join(', ')}`, {
      hint: `As root: apt-get install --no-install-recommends ${missing.join(' ')}`,
    })
  }
  const options = signal === undefined ? {} : { signal }
  const versions = await Promise.all(['gcc', 'ld'].map((tool) => run(tool, ['--version'], options)))
  return versions.map((text) => text.split('\n')[0]).join('; ')
}

async function isHere(tool: string): Promise<boolean> {
  const places = tool.startsWith('/') ? [tool] : (process.env.PATH ?? '').split(':').map((place) => `${place}/${tool}`)
  const found = await Promise.all(
    places.map((place) =>
      access(place)
        .then(() => true)
        .catch(() => false),
    ),
  )
  return found.includes(true)
}
