import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { servicesOf } from '../../src/blueprint/services.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { type Installed, install, state } from './stacks.ts'

/**
 * Debian's own files in /etc/logrotate.d, with the servers that they are of: after the step nobody has the old log open,
 * and what is written next stands in the new one.
 */
const servers: Readonly<Record<string, { yaml: string; log: string; step: string; isCopied?: true }>> = {
  'nginx, by an action of its init script': {
    yaml: 'service: nginx\nprobe: { http: / }',
    ...{ log: '/var/log/nginx/access.log', step: '{ http: /again, expect: { status: 404 } }' },
  },
  'apache, by a reload that its script asks of systemd': {
    yaml: 'service: apache2\nprobe: { http: / }',
    ...{ log: '/var/log/apache2/access.log', step: '{ http: /again, expect: { status: 404 } }' },
  },
  'mariadb, by its own client': {
    yaml: `service: mariadb
probe: { tcp: 3306 }
writable: [ { path: /var/log/mysql, owner: mysql } ]
files: [ { path: /etc/mysql/mariadb.conf.d/99-log.cnf, content: "[mysqld]\\nlog_error = /var/log/mysql/error.log\\ngeneral_log = 1\\ngeneral_log_file = /var/log/mysql/queries.log\\n" } ]`,
    ...{ log: '/var/log/mysql/queries.log', step: '{ sql: "SELECT \'again\'", on: mariadb }' },
  },
  'postgresql, whose log is copied and emptied': {
    yaml: 'service: postgresql@15-main\nprobe: { tcp: 5432 }',
    ...{ log: '/var/log/postgresql/postgresql-15-main.log', isCopied: true },
    step: '{ command: [psql, -c, "SELECT again"], user: postgres, expect: { exit: 1 } }',
  },
}

let context: Context
let stack: Installed
beforeAll(async () => {
  context = await openContext(settingsSchema.parse({ state }), silent)
  stack = await install('servers', context)
})
afterAll(() => context?.close())

describe('logs are rotated as the package of a server says', () => {
  it.each(Object.entries(servers))('%s', async (_, { yaml, log, step, isCopied }) => {
    const open = `ls -l /proc/[0-9]*/fd 2>/dev/null | grep -F "${log}.1" && exit 1; exit 0`
    const blueprint = parseBlueprint(
      `name: rotating
stack: [ { deb: { packages: [x1] } } ]
${yaml}
workload:
  - ${step}
  - { rotate: true }
  - { command: [test, -s, "${log}.1"], user: root }
  - { command: [sh, -c, ${JSON.stringify(open)}], user: root }
  - ${step}
  - { command: [grep, again, ${log}], user: root }
`,
      '/srv/x.yaml',
    )
    const { update, components } = stack
    const { store } = context
    const services = await servicesOf(blueprint, components, store)
    const given = { blueprint, services, stackDigest: update.digest, root: update.root, trees: [], store, log: silent }
    const { profile, record } = await observe(given, () => {})
    expect(record.stopped).toBe('by signal')
    const touched = profile.paths.map(({ path }) => path)
    expect(touched.filter((path) => /logrotate|init\.d|invoke-rc|run-parts|pgrep|mariadb-admin/.test(path))).toEqual([])
    expect(isCopied ?? touched.includes(log)).toBe(true)
  })
})
