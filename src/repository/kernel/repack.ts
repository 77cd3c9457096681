import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { BuiltKernel } from '../../state/kernels.ts'
import { canonicalJson, digestOf, hexOf } from '../../store/digest.ts'
import type { ComponentRef } from '../component.ts'
import type { RepositoryContext } from '../context.ts'
import { loadComponent } from '../recorded.ts'
import { type Built, builtOnce } from './build.ts'
import { readImage, readUnpacked } from './image.ts'
import { kernelConfig, kernelImage } from './kernel.ts'
import { compilerOf } from './tools.ts'
import { type KernelTree, make } from './tree.ts'

interface RepackRequest {
  /** Debian's. */
  readonly kernel: ComponentRef
  /** The source of the same version. */
  readonly source: ComponentRef
}

/** Of the procedure: raised whenever the same inputs would give another image. */
const format = 1

/**
 * Debian's kernel, the same code, compressed by zstd at its best instead of LZ4. Only what unpacks it is compiled anew, from
 * arch/x86/boot and the EFI stub with Debian's configuration; a signature is lost by it. KERNEL_UNFIT,
 * KERNEL_TOOLS_MISSING, KERNEL_BUILD_FAILED.
 */
export async function repackedKernel(
  { kernel, source }: RepackRequest,
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<{ readonly ref: ComponentRef; readonly built: BuiltKernel }> {
  const compiler = await compilerOf(signal)
  const component = await loadComponent(kernel, context.store)
  const configured = kernelConfig(component)?.digest
  if (configured === undefined) throw new BootloomError('COMPONENT_INCOMPLETE', `${kernel.name} has no configuration`)
  const image = await context.store.read(kernelImage(component).digest)
  const config = await context.store.read(configured)
  const key = hexOf(digestOf(canonicalJson({ format, kernel: kernel.digest, source: source.digest, compiler })))
  return builtOnce(key, source, context, progress, signal, (tree) =>
    repack(tree, kernel.name, { image, config }, progress, signal),
  )
}

async function repack(
  tree: KernelTree,
  release: string,
  debian: { readonly image: Buffer; readonly config: Buffer },
  progress: OnProgress,
  signal: AbortSignal | undefined,
): Promise<Built> {
  const step = (fraction: number) => progress({ step: 'repack the kernel', detail: release, fraction })
  const objects = join(tree.directory, 'repack')
  await rm(objects, { recursive: true, force: true })
  await mkdir(join(objects, 'include', 'generated'), { recursive: true })
  const at = (name: string) => join(objects, name)
  try {
    step(0)
    const { version, payload, unpacked } = readImage(debian.image, release)
    await writeFile(at('payload'), payload)
    await run('lz4', ['-dqf', at('payload'), at('unpacked')], signal === undefined ? {} : { signal })
    const whole = await readFile(at('unpacked'))
    if (whole.length !== unpacked) throw new BootloomError('KERNEL_UNFIT', `the payload of ${release} is damaged`)
    const { elf, relocations, symbols } = readUnpacked(whole, release)
    await writeFile(at('vmlinux'), elf)
    await writeFile(at('kept.relocations'), relocations)
    await writeFile(
      at('kept.symbols'),
      Object.entries(symbols).map(([name, address]) => `${address.toString(16)} T ${name}\n`),
    )
    await script(at('relocs'), `[ "$1" = --abs-relocs ] || cat ${quoted(at('kept.relocations'))}`)
    await script(at('nm'), `[ "$1" != vmlinux ] || exec cat ${quoted(at('kept.symbols'))}\nexec nm "$@"`)
    await writeFile(at('.config'), ownConfig(debian.config.toString('utf8')))
    await writeFile(
      at('include/generated/utsversion.h'),
      `#define UTS_VERSION ${JSON.stringify(`#${version.split('#')[1]}`)}\n`,
    )
    const named = `KERNELRELEASE=${release}`
    await make(tree, objects, ['-s', 'olddefconfig'], { signal })
    step(0.1)
    // What the front of the image takes from directories of the kernel itself.
    const parts = ['drivers/firmware/efi/libstub/', 'arch/x86/kernel/cpu/capflags.o']
    await make(tree, objects, [named, 'prepare', ...parts], { signal })
    const opcodes = 'arch/x86/lib/inat-tables.c'
    await mkdir(at('arch/x86/lib'), { recursive: true })
    await copyFile(at(join('tools', 'objtool', opcodes)), at(opcodes))
    step(0.5)
    // Old, so that make takes the kernel as it stands.
    const kept = ['--no-print-directory', '--old-file=vmlinux', `CMD_RELOCS=${at('relocs')}`, `NM=${at('nm')}`]
    await make(tree, objects, [...kept, named, 'bzImage'], { signal, isWithin: true })
    const image = await readFile(at('arch/x86/boot/bzImage'))
    return { kind: 'repacked', release, image, config: await readFile(at('.config')), fragments: [] }
  } finally {
    await rm(objects, { recursive: true, force: true })
  }
}

/** Debian's configuration, but for the compressor, and what asks for keys that only Debian has. */
function ownConfig(config: string): string {
  const other = {
    KERNEL_LZ4: 'n',
    KERNEL_ZSTD: 'y',
    MODULE_SIG: 'n',
    SYSTEM_TRUSTED_KEYRING: 'n',
    DEBUG_INFO_BTF: 'n',
  }
  const names = new Set(Object.keys(other))
  const lines = config.split('\n').filter((line) => !names.has(line.match(/^(?:# )?CONFIG_(\w+)/)?.[1] ?? ''))
  const own = Object.entries(other).map(([name, value]) =>
    value === 'n' ? `# CONFIG_${name} is not set` : `CONFIG_${name}=${value}`,
  )
  return `${[...lines, ...own].join('\n')}\n`
}

async function script(path: string, text: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
}

const quoted = (path: string): string => `'${path.replaceAll("'", "'\\''")}'`
