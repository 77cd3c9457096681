import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { readTar, type TarMember } from '../../../src/repository/deb/tar.ts'
import { tarOf } from './built.ts'

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(bytes: Buffer, size = 700): Promise<TarMember[]> {
  const members: TarMember[] = []
  for await (const member of readTar(inPieces(bytes, size), 'the test')) members.push(member)
  return members
}

test.each(['gnu', 'pax'])('names longer than a header has room for are read from %s archives', async (format) => {
  const directory = await mkdtemp(join(tmpdir(), 'bootloom-tar-'))
  try {
    const long = join('x'.repeat(120), 'y'.repeat(120))
    await mkdir(join(directory, long), { recursive: true })
    await writeFile(join(directory, long, 'é'), 'hello')
    await symlink('q'.repeat(180), join(directory, 'link'))
    const made = await execa('tar', [`--format=${format}`, '-C', directory, '-cf', '-', '.'], { encoding: 'buffer' })
    const members = await read(Buffer.from(made.stdout))
    expect(members.find((member) => member.name === `./${long}/é`)?.body.toString()).toBe('hello')
    expect(members.find((member) => member.type === 'symlink')?.target).toBe('q'.repeat(180))
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('devices keep their numbers, and what follows a member of any size is found', async () => {
  const members = await read(
    tarOf([
      { name: './big', body: 'x'.repeat(5000) },
      { name: './null', type: '3', device: [1, 3] },
      { name: './fifo', type: '6' },
    ]),
  )
  expect(members.map((member) => [member.name, member.type, member.body.length, member.device])).toEqual([
    ['./big', 'file', 5000, undefined],
    ['./null', 'char', 0, [1, 3]],
    ['./fifo', 'fifo', 0, undefined],
  ])
})

test('an archive that ends early, a damaged header and an unknown kind of member are refused', async () => {
  const good = tarOf([{ name: './a', body: 'x'.repeat(2000) }])
  const flipped = Buffer.from(good)
  flipped[3] = 0x51
  const unended = tarOf([{ name: './a' }]).subarray(0, 512)
  for (const bytes of [good.subarray(0, 1500), flipped, tarOf([{ name: './a', type: 'S' }]), unended]) {
    await expect(read(bytes)).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE', where: 'the test' })
  }
})
