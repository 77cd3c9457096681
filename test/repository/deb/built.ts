import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { silent } from '../../../src/config/log.ts'
import type { RepositoryContext } from '../../../src/repository/context.ts'
import { openState } from '../../../src/state/redis.ts'
import { Store } from '../../../src/store/store.ts'

/** A state directory of its own with a real store and a real Redis. */
export async function temporaryContext(): Promise<RepositoryContext & { close(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'bootloom-repository-'))
  const store = await Store.open(join(directory, 'store'))
  const state = await openState({ directory }, silent)
  return {
    directory,
    store,
    state,
    log: silent,
    async close() {
      await state.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A real .deb of these files, made by dpkg-deb. `compression`: as dpkg-deb's -Z. */
export async function buildDeb(
  directory: string,
  fields: Readonly<Record<string, string>>,
  fill: (root: string) => Promise<void>,
  control: Readonly<Record<string, string>> = {},
  compression = 'xz',
): Promise<string> {
  const root = await mkdtemp(join(directory, 'build-'))
  await mkdir(join(root, 'DEBIAN'), { mode: 0o755 })
  const all = { Architecture: 'all', Maintainer: 'Nobody <nobody@example.org>', Description: 'a test', ...fields }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\n`)
  await writeFile(join(root, 'DEBIAN', 'control'), lines.join(''))
  for (const [name, text] of Object.entries(control)) {
    await writeFile(join(root, 'DEBIAN', name), text, { mode: name === 'conffiles' ? 0o644 : 0o755 })
  }
  await fill(root)
  const file = join(directory, `${fields.Package}_${fields.Version}.deb`)
  await execa('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', root, file], {
    env: { SOURCE_DATE_EPOCH: '1700000000' },
  })
  return file
}

/** A .deb whose data archive is exactly these bytes: what dpkg-deb would never make. */
export async function debOfTar(directory: string, tar: Buffer): Promise<string> {
  const root = await mkdtemp(join(directory, 'hostile-'))
  const control = 'Package: hostile\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n'
  await writeFile(join(root, 'control'), control)
  await writeFile(join(root, 'debian-binary'), '2.0\n')
  await writeFile(join(root, 'data.tar'), tar)
  await execa('tar', ['-cf', 'control.tar', './control'], { cwd: root })
  const file = join(root, 'hostile.deb')
  await execa('ar', ['rc', file, 'debian-binary', 'control.tar', 'data.tar'], { cwd: root })
  return file
}

interface Member {
  readonly name: string
  readonly type?: '0' | '1' | '2' | '3' | '5' | '6' | 'S'
  readonly body?: string
  readonly target?: string
  readonly device?: readonly [number, number]
}

/** A ustar archive of these members, however odd their names. */
export function tarOf(members: readonly Member[]): Buffer {
  const blocks = members.flatMap(({ name, type = '0', body = '', target = '', device = [0, 0] }) => {
    const header = Buffer.alloc(512)
    const octal = (value: number, at: number, length: number) =>
      header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
    header.write(name, 0)
    octal(0o644, 100, 8)
    octal(0, 108, 8)
    octal(0, 116, 8)
    octal(Buffer.byteLength(body), 124, 12)
    octal(1_600_000_000, 136, 12)
    header.write(type, 156, 'latin1')
    header.write(target, 157)
    header.write('ustar\x0000', 257, 'latin1')
    octal(device[0], 329, 8)
    octal(device[1], 337, 8)
    header.fill(32, 148, 156)
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      148,
      7,
    )
    const content = Buffer.alloc(Math.ceil(Buffer.byteLength(body) / 512) * 512)
    content.write(body)
    return [header, content]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}
