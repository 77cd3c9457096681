import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseLogrotate } from '../../src/blueprint/observe/logrotate.ts'
import { observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { silent } from '../../src/config/log.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { leftovers, servicesIn, smallRoot } from './small-root.ts'

/** /etc/logrotate.d/nginx of nginx-common 1.22.1-9+deb12u10. */
const nginx = `/var/log/nginx/*.log {
	daily
	missingok
	rotate 14
	compress
	delaycompress
	notifempty
	create 0640 www-data adm
	sharedscripts
	prerotate
		if [ -d /etc/logrotate.d/httpd-prerotate ]; then \\
			run-parts /etc/logrotate.d/httpd-prerotate; \\
		fi \\
	endscript
	postrotate
		invoke-rc.d nginx rotate >/dev/null 2>&1
	endscript
}
`
/** /etc/logrotate.d/postgresql-common of postgresql-common 248+deb12u2. */
const postgresql = `/var/log/postgresql/*.log {
       weekly
       rotate 10
       copytruncate
       delaycompress
       compress
       notifempty
       missingok
       su root root
}
`
/** /etc/logrotate.d/rsyslog of rsyslog 8.2302.0-1+deb12u1, its script spelt out. */
const rsyslog = `# comments { are } passed over
weekly

/var/log/syslog
/var/log/mail.log "/var/log/with a space"
{
	rotate 4
	nocreate
	postrotate
		systemctl kill -s HUP rsyslog.service
	endscript
}
`

let root: string
let store: Store
beforeAll(async () => {
  root = await smallRoot()
  store = await Store.open(`${root}-store`)
  const write = async (path: string, text: string, mode = 0o644) => {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), text, { mode })
  }
  for (const name of ['kill', 'run-parts', 'stat', 'echo', 'chmod'])
    await symlink('busybox', join(root, 'usr/bin', name))
  await write('etc/passwd', 'root:x:0:0::/:/bin/sh\nweb:x:990:991::/srv:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n')
  await write('etc/group', 'root:x:0:\nadm:x:4:\nweb:x:991:\nwww-data:x:33:\n')
  await write('etc/logrotate.d/nginx', nginx)
  await write('etc/logrotate.d/postgresql-common', postgresql)
  await write('etc/logrotate.d/nginx.dpkg-old', nginx.replace('invoke-rc.d nginx rotate', 'exit 9'))
  await write('etc/init.d/nginx', '#!/bin/sh\n[ "$1" = rotate ] && kill -USR1 "$(cat /run/nginx.pid)"\n', 0o755)
  await write('etc/reloaded', 'by HUP')
  await write('etc/reopened', 'by USR1')
  await write('var/log/postgresql/main.log', 'a line of the database\n')
  await write('etc/logrotate.d/apt', '/var/log/apt/term.log {\n  missingok\n}\n')
  await write('var/log/apt/term.log', 'of no service\n')
  // Opens its log anew as nginx does, and tells which signal it met.
  const start = `#!/bin/sh
echo $$ >/run/nginx.pid
mkdir -p /var/log/nginx
echo line >>/var/log/nginx/access.log
trap 'cat /etc/reloaded' HUP
trap 'cat /etc/reopened; echo again >>/var/log/nginx/access.log' USR1
trap 'kill $!; exit 0' TERM
httpd -f -p 8099 -h /srv &
while :; do wait; done
`
  await write('usr/bin/nginx', start, 0o755)
})
afterEach(async () => expect(await leftovers(root)).toEqual([]))
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
  await rm(`${root}-store`, { recursive: true, force: true })
})

async function run(workload: string) {
  const yaml = `name: small
stack: [ { deb: { packages: [busybox-static] } } ]
start: { command: [/usr/bin/nginx] }
probe: { http: /, port: 8099, expect: { contains: small and real } }
workload:\n${workload}`
  const blueprint = parseBlueprint(yaml, join(`${root}-store`, 'x.yaml'))
  const services = await servicesIn(root, blueprint, store)
  const given = { blueprint, services, stackDigest: digestOf('stack'), root, trees: [], store, log: silent }
  const { profile } = await observe(given, () => {})
  return profile.paths.map(({ path }) => path)
}

describe('rotating logs', () => {
  it("does what the package's own file says, and nothing that its scripts touch is taken for the service's doing", async () => {
    const touched = await run(`
  - { rotate: true }
  - { command: [cat, /var/log/nginx/access.log.1], expect: { contains: line } }
  - { command: [cat, /var/log/nginx/access.log], expect: { contains: again } }
  - { command: [stat, -c, "%a %u:%g", /var/log/nginx/access.log], expect: { contains: "640 33:4" } }
  - { command: [cat, /var/log/apt/term.log.1], expect: { contains: of no service } }
  - { command: [stat, -c, "%s bytes", /var/log/apt/term.log], expect: { contains: "0 bytes" } }
  - { command: [cat, /var/log/postgresql/main.log.1], expect: { contains: a line of the database } }
  - { command: [stat, -c, "%s bytes", /var/log/postgresql/main.log], expect: { contains: "0 bytes" } }`)
    expect(touched).toContain('/etc/reopened')
    expect(touched).not.toContain('/etc/reloaded')
    const logs = ['/var/log/apt/term.log', '/var/log/postgresql/main.log']
    for (const path of ['/etc/logrotate.d/nginx', '/etc/init.d/nginx', '/usr/bin/run-parts', ...logs]) {
      expect(touched).not.toContain(path)
    }
  })

  it('signals what a script would have had systemd signal', async () => {
    const systemd = nginx.replace(
      'invoke-rc.d nginx rotate',
      'systemctl -q is-active nginx && systemctl kill -s HUP nginx',
    )
    const before = await readFile(join(root, 'etc/logrotate.d/nginx'))
    await writeFile(join(root, 'etc/logrotate.d/nginx'), systemd)
    const touched = await run('  - { rotate: true }')
    await writeFile(join(root, 'etc/logrotate.d/nginx'), before)
    expect(touched).toContain('/etc/reloaded')
    expect(touched).not.toContain('/etc/reopened')
  })

  it('says which file has a script that fails', async () => {
    await writeFile(join(root, 'etc/logrotate.d/broken'), nginx.replace('invoke-rc.d', 'echo no such; exit 7;'))
    await expect(run('  - { rotate: true }')).rejects.toMatchObject({
      code: 'WORKLOAD_FAILED',
      message: 'rotate: a script of /etc/logrotate.d/broken: exit status 7: "no such"',
    })
    await rm(join(root, 'etc/logrotate.d/broken'))
  })
})

describe('a file of /etc/logrotate.d', () => {
  it('is read as its packages write it', () => {
    const [web, ...none] = parseLogrotate(nginx)
    expect(none).toEqual([])
    expect(web).toMatchObject({
      ...{ logs: ['/var/log/nginx/*.log'], isShared: true, how: 'move' },
      ...{ create: { mode: 0o640, owner: 'www-data', group: 'adm' } },
    })
    expect(web!.after).toEqual(['\t\tinvoke-rc.d nginx rotate >/dev/null 2>&1\n'])
    expect(web!.before[0]).toMatch(/run-parts[\s\S]*fi \\\n$/)
    expect(parseLogrotate(postgresql)).toMatchObject([{ how: 'copy', before: [], after: [] }])
    expect(parseLogrotate(rsyslog)).toMatchObject([
      {
        logs: ['/var/log/syslog', '/var/log/mail.log', '/var/log/with a space'],
        ...{ isShared: false, create: undefined },
        after: ['\t\tsystemctl kill -s HUP rsyslog.service\n'],
      },
    ])
  })

  it('is read as far as it goes when it is cut off or nonsense', () => {
    expect(parseLogrotate('/var/log/x.log {\npostrotate\nkill 1')).toEqual([])
    expect(parseLogrotate('}\nendscript\n{\n}\n')).toMatchObject([{ logs: [] }])
    expect(parseLogrotate('')).toEqual([])
  })
})
