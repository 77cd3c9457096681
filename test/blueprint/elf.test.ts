import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseElf } from '../../src/blueprint/closure/elf.ts'

describe('parseElf', () => {
  it('reads the loader and the libraries of a program of this machine', () => {
    const elf = parseElf(readFileSync('/usr/bin/strace'))
    expect(elf).toMatchObject({ kind: 'elf', interpreter: '/lib64/ld-linux-x86-64.so.2' })
    expect(elf.kind === 'elf' && elf.needed).toContain('libc.so.6')
  })

  it('reads a library, which names no loader', () => {
    const elf = parseElf(readFileSync('/usr/lib/x86_64-linux-gnu/libm.so.6'))
    expect(elf).toMatchObject({ kind: 'elf', interpreter: undefined, needed: expect.arrayContaining(['libc.so.6']) })
  })

  it('finds nothing to need in a static program', () => {
    expect(parseElf(readFileSync('/bin/busybox'))).toEqual({
      kind: 'elf',
      interpreter: undefined,
      needed: [],
      searched: [],
      // What is executed is one part of it, and not its header.
      code: [[expect.any(Number), expect.any(Number)]],
    })
  })

  it('says why when a file is no ELF file that it can read', () => {
    expect(parseElf(Buffer.from('#!/bin/sh\n'))).toEqual({ kind: 'bad', reason: 'no ELF header' })
    const narrow = Buffer.from(readFileSync('/usr/bin/strace').subarray(0, 4096))
    narrow[4] = 1
    expect(parseElf(narrow)).toEqual({ kind: 'bad', reason: 'not 64-bit little-endian' })
    expect(parseElf(readFileSync('/usr/bin/strace').subarray(0, 700))).toMatchObject({ kind: 'bad' })
  })

  it('answers for any bytes at all, and never throws', () => {
    const program = readFileSync('/usr/lib/x86_64-linux-gnu/libm.so.6').subarray(0, 65_536)
    const spoilt = fc.array(fc.tuple(fc.nat(4096), fc.nat(255)), { minLength: 1, maxLength: 24 })
    fc.assert(
      fc.property(spoilt, fc.nat(65_536), (changes, length) => {
        const bytes = Buffer.from(program.subarray(0, length))
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        expect(['elf', 'bad']).toContain(parseElf(bytes).kind)
      }),
      { numRuns: 300 },
    )
  })
})
