import { BootloomError } from '../../config/errors.ts'

/** What a kernel image says of itself (kernel document arch/x86/boot). */
export interface ImageFacts {
  /** As in `Linux version …`, from the release on. */
  readonly version: string
  /** The kernel itself, compressed, as bytes of the image. */
  readonly payload: Buffer
  /** Bytes of the payload once it is unpacked. */
  readonly unpacked: number
}

const setupSectors = 0x1f1
const magic = 0x202
const kernelVersion = 0x20e
const payloadOffset = 0x248

/** KERNEL_UNFIT when it is no bzImage of a protocol that names its payload (2.08, since 2008). */
export function readImage(image: Buffer, name: string): ImageFacts {
  if (image.length < 0x1000 || image.toString('latin1', magic, magic + 4) !== 'HdrS') throw unfit(name, 'is no bzImage')
  const start = ((image[setupSectors] || 4) + 1) * 512
  const [offset, length] = [image.readUInt32LE(payloadOffset), image.readUInt32LE(payloadOffset + 4)]
  const end = start + offset + length
  if (length < 8 || end > image.length) throw unfit(name, 'names no payload')
  const at = image.readUInt16LE(kernelVersion) + 0x200
  return {
    version: image.toString('latin1', at, image.indexOf(0, at)),
    payload: image.subarray(start + offset, end - 4),
    unpacked: image.readUInt32LE(end - 4),
  }
}

/** A kernel as its image carries it: an ELF file without symbols, and behind its end where it may be moved to. */
export interface UnpackedKernel {
  readonly elf: Buffer
  /** What CONFIG_RANDOMIZE_BASE moves; empty without it. */
  readonly relocations: Buffer
  /** Addresses that the code in front of the kernel is compiled with. */
  readonly symbols: Readonly<Record<'_text' | '__start_rodata' | '__bss_start' | '_end', bigint>>
}

/** KERNEL_UNFIT when it is not an ELF file with the sections that every kernel has. */
export function readUnpacked(bytes: Buffer, name: string): UnpackedKernel {
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2)
    throw unfit(name, 'holds no ELF file')
  const table = Number(bytes.readBigUInt64LE(0x28))
  const [size, count, names] = [bytes.readUInt16LE(0x3a), bytes.readUInt16LE(0x3c), bytes.readUInt16LE(0x3e)]
  const end = table + size * count
  if (size !== 64 || end > bytes.length || names >= count) throw unfit(name, 'holds a damaged ELF file')
  const section = (index: number) => bytes.subarray(table + index * size, table + (index + 1) * size)
  const texts = Number(section(names).readBigUInt64LE(0x18))
  const sections = new Map(
    Array.from({ length: count }, (_, index) => {
      const at = texts + section(index).readUInt32LE(0)
      const where = { address: section(index).readBigUInt64LE(0x10), size: section(index).readBigUInt64LE(0x20) }
      return [bytes.toString('latin1', at, bytes.indexOf(0, at)), where] as const
    }),
  )
  const of = (wanted: string) => {
    const found = sections.get(wanted)
    if (!found) throw unfit(name, `has no section ${wanted}`)
    return found
  }
  const brk = of('.brk')
  return {
    elf: bytes.subarray(0, end),
    relocations: bytes.subarray(end),
    symbols: {
      _text: of('.text').address,
      __start_rodata: of('.rodata').address,
      __bss_start: of('.bss').address,
      // The linker script ends the kernel with it, at the next page.
      _end: (brk.address + brk.size + 4095n) & ~4095n,
    },
  }
}

const unfit = (name: string, how: string): BootloomError =>
  new BootloomError('KERNEL_UNFIT', `the image of ${name} ${how}`)
