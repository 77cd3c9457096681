import { chmod, copyFile, mkdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { execa } from 'execa'
import { digestOf, hexOf } from '../../../src/store/digest.ts'
import { buildDeb } from './built.ts'

const release = '6.1.0-1-cloud-amd64'
/** What installing packages inside a root takes; apt itself works from outside of it. */
const programs = [
  ...['dpkg', 'dpkg-deb', 'dpkg-query', 'dpkg-split', 'tar', 'env'].map((name) => `/usr/bin/${name}`),
  ...['/sbin/ldconfig', '/sbin/start-stop-daemon'],
]

/** A Debian of half a dozen packages, as an archive in a directory that apt is told to take for `bookworm`. */
export interface SmallArchive {
  /** For APT_CONFIG: sources are this archive alone. */
  readonly aptConfig: string
  /** Adds a package of one file, or its next version. */
  add(name: string, version: string, path: string, content: string): Promise<void>
}

/** Real .debs out of this machine's own programs, so that a stack of them is installed in seconds. */
export async function smallArchive(directory: string): Promise<SmallArchive> {
  const archive = join(directory, 'archive')
  const pool = join(archive, 'pool')
  await mkdir(pool, { recursive: true })
  // apt fetches as another user.
  await chmod(directory, 0o755)
  const put = async (fields: Record<string, string>, fill: (root: string) => Promise<void>, scripts = {}) => {
    const filled = (root: string) => chmod(root, 0o755).then(() => fill(root))
    await buildDeb(pool, { Architecture: 'amd64', ...fields }, filled, scripts, 'none')
  }
  const image = `linux-image-${release}`
  await put({ Package: 'base', Version: '1', Essential: 'yes' }, fillBase, { postinst: merge })
  await put({ Package: 'apt', Version: '1' }, async () => {})
  await put({ Package: 'busybox-static', Version: '1' }, async (root) =>
    copyTo(root, '/usr/bin/busybox', '/bin/busybox'),
  )
  await put({ Package: 'linux-image-cloud-amd64', Version: '1', Depends: `${image} (= 1)` }, async () => {})
  await put({ Package: image, Version: '1' }, fillKernel)
  await index(archive)
  const sources = join(directory, 'sources')
  await mkdir(sources)
  const source = ['Types: deb', `URIs: file:${archive}`, 'Suites: bookworm', 'Components: main', 'Trusted: yes', '']
  await writeFile(join(sources, 'small.sources'), source.join('\n'))
  const aptConfig = join(directory, 'apt.conf')
  await writeFile(aptConfig, `Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "${sources}";\n`)
  return {
    aptConfig,
    async add(name, version, path, content) {
      await put({ Package: name, Version: version }, async (root) => {
        await mkdir(join(root, dirname(path)), { recursive: true })
        await writeFile(join(root, path), content)
      })
      await index(archive)
    },
  }
}

/** The programs with the libraries that they load, and a shell: laid out as before /usr was merged, as bookworm's are. */
async function fillBase(root: string): Promise<void> {
  for (const path of programs) await copyTo(root, path)
  const { stdout } = await execa('ldd', programs, { reject: false })
  const libraries = new Set([...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path]) => path!))
  for (const path of libraries) await copyTo(root, path)
  await copyTo(root, '/usr/bin/shell', '/bin/busybox')
  for (const name of ['rm', 'cp', 'mv', 'ln', 'mkdir', 'true', 'diff'])
    await symlink('shell', join(root, 'usr/bin', name))
  await mkdir(join(root, 'bin'))
  await symlink('/usr/bin/shell', join(root, 'bin/sh'))
  for (const path of ['etc', 'tmp', 'var/tmp', 'run', 'srv', 'proc', 'sys', 'dev'])
    await mkdir(join(root, path), { recursive: true })
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n')
}

/** As the package usrmerge does it. */
const merge = `#!/bin/sh -e
for d in bin sbin lib lib64; do
  if [ -d /$d ] && [ ! -L /$d ]; then
    mkdir -p /usr/$d
    cp -a /$d/. /usr/$d/
    mv /$d /$d.before
    ln -s usr/$d /$d
    rm -rf /$d.before
  fi
done
`

async function fillKernel(root: string): Promise<void> {
  const modules = join(root, 'lib/modules', release)
  await mkdir(modules, { recursive: true })
  await mkdir(join(root, 'boot'))
  await writeFile(join(root, 'boot', `vmlinuz-${release}`), 'kernel')
  await writeFile(join(root, 'boot', `config-${release}`), '')
  await writeFile(join(modules, 'modules.order'), '')
  await writeFile(join(modules, 'modules.builtin'), 'virtio_pci\nvirtio_net\n')
}

async function copyTo(root: string, path: string, from = path): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await copyFile(await realpath(from), join(root, path))
}

/** The indexes of the archive as it is now (wiki.debian.org/DebianRepository/Format). */
async function index(archive: string): Promise<void> {
  const { stdout } = await execa('sh', ['-c', 'ls pool/*.deb'], { cwd: archive })
  const stanzas: string[] = []
  for (const file of stdout.split('\n')) {
    const bytes = await readFile(join(archive, file))
    const control = await execa('dpkg-deb', ['--field', join(archive, file)])
    stanzas.push(`${control.stdout}\nFilename: ${file}\nSize: ${bytes.length}\nSHA256: ${hexOf(digestOf(bytes))}\n`)
  }
  const packages = stanzas.join('\n')
  const place = 'main/binary-amd64/Packages'
  const suite = join(archive, 'dists/bookworm')
  await mkdir(join(suite, dirname(place)), { recursive: true })
  await writeFile(join(suite, place), packages)
  const lines = [
    'Origin: Debian',
    'Suite: oldstable',
    `Codename: ${basename(suite)}`,
    `Date: ${new Date().toUTCString().replace('GMT', 'UTC')}`,
    'Architectures: amd64',
    'Components: main',
    'SHA256:',
    ` ${hexOf(digestOf(packages))} ${Buffer.byteLength(packages)} ${place}`,
    '',
  ]
  await writeFile(join(suite, 'Release'), lines.join('\n'))
}
