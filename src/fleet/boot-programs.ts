import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { BootloomError } from '../config/errors.ts'
import type { Settings } from '../config/settings.ts'

/** Firmware that needs a boot program of its own, as `boot.programs` names it. */
type ProgramFor = keyof Settings['boot']['programs']

export interface BootPrograms {
  /** By the name that nodes ask for. */
  readonly files: ReadonlyMap<string, Buffer>
  /** The name of each firmware's; absent where the settings name none. */
  readonly names: { readonly [firmware in ProgramFor]?: string }
}

type Programs = Settings['boot']['programs']

/** What a boot program loads before anything else, by the name of its file, and where Debian has it. */
const companions: Readonly<Record<string, readonly string[]>> = {
  'pxelinux.0': ['/usr/lib/syslinux/modules/bios/ldlinux.c32'],
  'lpxelinux.0': ['/usr/lib/syslinux/modules/bios/ldlinux.c32'],
}

/** Reads every boot program into memory, once at start. Throws BOOT_PROGRAM_MISSING. */
export async function bootPrograms(programs: Programs): Promise<BootPrograms> {
  const names = programNames(programs)
  const wanted = (Object.entries(names) as [ProgramFor, string][]).flatMap(([firmware, name]) => [
    { name, path: programs[firmware]!, firmware },
    ...(companions[basename(programs[firmware]!)] ?? []).map((path) => ({ name: basename(path), path, firmware })),
  ])
  const load = async ({ name, path, firmware }: (typeof wanted)[number]) => [name, await read(path, firmware)] as const
  return { names, files: new Map(await Promise.all(wanted.map(load))) }
}

/** Under its own file name; two of one name lie in directories of their own, one for each firmware. */
export function programNames(programs: Programs): BootPrograms['names'] {
  const names: { [firmware in ProgramFor]?: string } = {}
  for (const [firmware, path] of Object.entries(programs) as [ProgramFor, string | undefined][]) {
    if (path === undefined) continue
    const file = basename(path)
    names[firmware] = Object.values(names).includes(file) ? `${firmware}-${file}` : file
  }
  return names
}

async function read(path: string, firmware: ProgramFor): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new BootloomError('BOOT_PROGRAM_MISSING', `the boot program boot.programs.${firmware} cannot be read`, {
      where: path,
      cause,
    })
  }
}
