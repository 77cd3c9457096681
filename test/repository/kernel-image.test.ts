import { describe, expect, it } from 'vitest'
import { readImage, readUnpacked } from '../../src/repository/kernel/image.ts'

/** A bzImage of one setup sector (the boot protocol's fields, and nothing that could run). */
function image({ payload = Buffer.from('payload!'), offset = 16 } = {}): Buffer {
  const bytes = Buffer.alloc(0x1000)
  bytes[0x1f1] = 1
  bytes.write('HdrS', 0x202, 'latin1')
  bytes.writeUInt16LE(0x300 - 0x200, 0x20e)
  bytes.write('6.1.0-56-cloud-amd64 (debian) #1 SMP Debian\0', 0x300, 'latin1')
  bytes.writeUInt32LE(offset, 0x248)
  bytes.writeUInt32LE(payload.length + 4, 0x24c)
  payload.copy(bytes, 1024 + 16)
  bytes.writeUInt32LE(4711, 1024 + 16 + payload.length)
  return bytes
}

describe('the image of a kernel', () => {
  it('names its version and its payload', () => {
    const { version, payload, unpacked } = readImage(image(), 'x')
    expect(version).toBe('6.1.0-56-cloud-amd64 (debian) #1 SMP Debian')
    expect(payload.toString()).toBe('payload!')
    expect(unpacked).toBe(4711)
  })

  it('is refused when it is no bzImage, or its payload leads out of it', () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.alloc(0x1000),
      image().subarray(0, 0x800),
      image({ offset: 0xfff0 }),
    ]) {
      expect(() => readImage(bytes, 'x')).toThrow(expect.objectContaining({ code: 'KERNEL_UNFIT' }))
    }
  })
})

/** An ELF file of sections without contents, and relocations behind its end. */
function elf(sections: readonly (readonly [string, bigint, bigint])[], tail = 'relocations'): Buffer {
  const names = ['', ...sections.map(([name]) => name), '.shstrtab']
  const texts = Buffer.from(`${names.join('\0')}\0`, 'latin1')
  const header = Buffer.alloc(64)
  header.writeUInt32BE(0x7f454c46, 0)
  header[4] = 2
  const table = header.length + texts.length
  header.writeBigUInt64LE(BigInt(table), 0x28)
  header.writeUInt16LE(64, 0x3a)
  header.writeUInt16LE(names.length, 0x3c)
  header.writeUInt16LE(names.length - 1, 0x3e)
  const rows = names.map((name, index) => {
    const row = Buffer.alloc(64)
    row.writeUInt32LE(texts.indexOf(`${name}\0`, 0, 'latin1'), 0)
    const [, address = 0n, size = 0n] = sections[index - 1] ?? []
    row.writeBigUInt64LE(address, 0x10)
    row.writeBigUInt64LE(size, 0x20)
    if (name === '.shstrtab') row.writeBigUInt64LE(BigInt(header.length), 0x18)
    return row
  })
  return Buffer.concat([header, texts, ...rows, Buffer.from(tail)])
}

describe('an unpacked kernel', () => {
  const sections = [
    ['.text', 0xffffffff81000000n, 0x1000n],
    ['.rodata', 0xffffffff82000000n, 0x1000n],
    ['.bss', 0xffffffff832b1000n, 0x54f000n],
    ['.brk', 0xffffffff83800000n, 0x2fff0n],
  ] as const

  it('ends before its relocations, and has the addresses that the code in front of it is compiled with', () => {
    const { elf: kernel, relocations, symbols } = readUnpacked(elf(sections), 'x')
    expect(relocations.toString()).toBe('relocations')
    expect(kernel.length + relocations.length).toBe(elf(sections).length)
    expect(symbols).toEqual({
      _text: 0xffffffff81000000n,
      __start_rodata: 0xffffffff82000000n,
      __bss_start: 0xffffffff832b1000n,
      _end: 0xffffffff83830000n,
    })
  })

  it('is refused when it is none, is cut off, or lacks a section', () => {
    const cut = elf(sections, '')
    for (const bytes of [
      Buffer.alloc(10),
      Buffer.alloc(100),
      cut.subarray(0, cut.length - 1),
      elf(sections.slice(1)),
    ]) {
      expect(() => readUnpacked(bytes, 'x')).toThrow(expect.objectContaining({ code: 'KERNEL_UNFIT' }))
    }
  })
})
