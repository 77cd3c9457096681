import { describe, expect, it } from 'vitest'
import { parseCall } from '../../src/blueprint/observe/strace-line.ts'
import { Touched } from '../../src/blueprint/observe/touched.ts'
import { namesIn } from '../../src/blueprint/observe/trace.ts'
import { World } from '../../src/blueprint/world.ts'

const names = (line: string, cwd = '/') => namesIn(parseCall(line)!, cwd, '/t/root')

describe('a line of strace', () => {
  it('names the path that a call was given, absolute in the root', () => {
    expect(names('openat(AT_FDCWD</t/root/etc>, "passwd", O_RDONLY|O_CLOEXEC) = 3</t/root/etc/passwd>')).toEqual([
      { path: '/etc/passwd', touch: 'open', followLast: true, creates: false, fresh: false },
    ])
    expect(
      names('newfstatat(4</t/root/srv>, "a, (b)\\"\\303\\274", {st_mode=S_IFREG|0644, ...}, AT_SYMLINK_NOFOLLOW) = 0'),
    ).toEqual([{ path: '/srv/a, (b)"ü', touch: 'stat', followLast: false, creates: false, fresh: false }])
    expect(names('access("x", F_OK) = -1 ENOENT (No such file or directory)', '/srv')[0]?.path).toBe('/srv/x')
    expect(names('getdents64(3</t/root/etc>, 0x55 /* 9 entries */, 32768) = 288')[0]).toMatchObject({
      path: '/etc',
      touch: 'readdir',
    })
  })

  it('tells what was made, and under which name', () => {
    expect(names('rename("/a/temp-12.rdb", "/a/dump.rdb") = 0')).toMatchObject([
      { path: '/a/temp-12.rdb', creates: false },
      { path: '/a/dump.rdb', creates: true, touch: 'create' },
    ])
    expect(names('symlink("../x", "/a/link") = 0')).toMatchObject([{ path: '/a/link', creates: true }])
    expect(names('mkdir("/run/x", 0755) = -1 EEXIST (File exists)')).toMatchObject([{ creates: false }])
    expect(names('bind(5<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = 0')).toMatchObject([
      { path: '/run/x.sock', creates: true },
    ])
    expect(
      names('openat(AT_FDCWD</t/root>, "/tmp/aXb", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</t/root/tmp/aXb>'),
    ).toMatchObject([{ creates: true, fresh: true }])
  })

  it('takes no heed of what is no finished call, and of descriptors outside the root', () => {
    expect(parseCall('+++ exited with 0 +++')).toBeUndefined()
    expect(parseCall('openat(AT_FDCWD</t/root>, "/etc/passwd", O_RDONLY <unfinished ...>')).toBeUndefined()
    expect(names('getdents64(3</proc/1/fd>, 0x55 /* 9 entries */, 32768) = 288')).toEqual([])
    expect(names('execve("/bin/x", ["x", "/not/a/path"], 0x7ffd /* 3 vars */) = 0')).toHaveLength(1)
  })
})

describe('Touched', () => {
  const world = new World(
    ['/usr', '/usr/bin', '/usr/bin/sh', '/bin', '/run', '/etc', '/etc/a'],
    new Map([['/bin', 'usr/bin']]),
  )
  const open = { touch: 'open', followLast: true, creates: false, fresh: false } as const

  it('names entries by where they really are, with the links walked', () => {
    const touched = new Touched(world)
    touched.named({ ...open, path: '/bin/sh' })
    // Through the link, .. is the parent of where it leads.
    touched.named({ ...open, path: '/bin/../bin/./sh' })
    touched.named({ ...open, path: '/bin/../../etc/a' })
    expect(touched.paths()).toEqual([
      { path: '/bin', how: ['symlink'] },
      { path: '/etc/a', how: ['open'] },
      { path: '/usr/bin/sh', how: ['open'] },
    ])
  })

  it('leaves out what is not there, and what the kernel makes', () => {
    const touched = new Touched(world)
    for (const path of ['/etc/missing', '/bin/missing', '/proc/1/stat', '/dev/null', '/']) {
      touched.named({ ...open, path })
    }
    expect(touched.paths()).toEqual([])
  })

  it('knows what only the kernel opened by its access time alone', () => {
    const touched = new Touched(world)
    touched.named({ ...open, path: '/etc/a' })
    for (const path of ['/etc/a', '/usr/bin/sh', '/bin', '/etc/made-later']) touched.read(path)
    expect(touched.paths()).toEqual([
      { path: '/bin', how: ['symlink'] },
      { path: '/etc/a', how: ['open'] },
      { path: '/usr/bin/sh', how: ['kernel'] },
    ])
  })

  it('names what is created only where the next run will name it so again', () => {
    const touched = new Touched(world)
    const make = { touch: 'create', followLast: true, creates: true, fresh: false } as const
    touched.named({ ...make, path: '/run/app' })
    touched.named({ ...make, path: '/run/app/state' })
    touched.named({ ...make, path: '/run/app-4711/state' })
    touched.named({ ...make, path: '/etc/tmpAbC', fresh: true })
    expect(touched.paths()).toEqual([
      { path: '/etc', how: ['create'] },
      { path: '/run', how: ['create'] },
      { path: '/run/app', how: ['create'], created: true },
      { path: '/run/app/state', how: ['create'], created: true },
    ])
  })
})
