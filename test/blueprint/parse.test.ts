import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { BootloomError } from '../../src/config/errors.ts'

const shipped = fileURLToPath(new URL('../../templates/blueprints/', import.meta.url))

const whole = `
name: shop
stack:
  - deb: { packages: [apache2] }
  - tree: { path: ./site, at: /var/www/html }
start: { command: [/usr/sbin/apache2] }
probe: { http: / }
files:
  - { path: /etc/motd, from: motd.txt }
`

function mistakesOf(text: string): { where: string | undefined; details: readonly string[] } {
  try {
    parseBlueprint(text, '/srv/shop.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(BootloomError)
    const { code, where, details } = error as BootloomError
    expect(code).toBe('BLUEPRINT_INVALID')
    return { where, details }
  }
  throw new Error('it was taken')
}

describe('parseBlueprint', () => {
  it('fills in defaults and resolves paths at the directory of the file', () => {
    const blueprint = parseBlueprint(whole, '/srv/shop.yaml')
    expect(blueprint.stack[0]).toEqual({
      deb: { suite: 'bookworm', updates: true, security: true, packages: ['apache2'] },
    })
    expect(blueprint.stack[1]).toMatchObject({ tree: { path: '/srv/site', trim: false } })
    expect(blueprint.files[0]?.from).toBe('/srv/motd.txt')
    expect(blueprint.probe).toEqual({ http: '/', port: 80, expect: { status: 200 } })
  })

  it.each(['apache', 'redis'])('takes the blueprint %s that Bootloom ships', (name) => {
    const file = `${shipped}${name}.yaml`
    expect(parseBlueprint(readFileSync(file, 'utf8'), file).name).toBe(name)
  })

  it('names every mistake at once, each with its line and its path', () => {
    const { where, details } = mistakesOf(`name: Shop Front
stack:
  - deb:
      packages: apache2
start:
  command: [/usr/sbin/apache2]
  reload: KILL
probe: { http: / }
ports: [80, 99999]
`)
    expect(details).toEqual([
      '/srv/shop.yaml:1 name: must be lower-case letters, digits and dashes, 63 at most, got "Shop Front"',
      '/srv/shop.yaml:4 stack[0].deb.packages: must be a list, got "apache2"',
      '/srv/shop.yaml:7 start.reload: must be HUP, USR1, USR2 or TERM, got "KILL"',
      '/srv/shop.yaml:9 ports[1]: must be at most 65535',
    ])
    expect(where).toBe('/srv/shop.yaml:1 name')
  })

  it('says what a workload step, a probe and a source can be', () => {
    const { details } = mistakesOf(`name: shop
stack: [ { apt: {} } ]
start: { command: [/bin/x] }
probe: { htp: / }
workload:
  - { sleep: 3 }
  - { http: /, tcp: 80 }
  - { wait: long }
`)
    expect(details).toEqual([
      '/srv/shop.yaml:2 stack[0]: a source is one of deb, tree',
      '/srv/shop.yaml:4 probe: a probe is one of http, tcp, command; did you mean http?',
      '/srv/shop.yaml:6 workload[0]: a workload step is one of http, tcp, command, sql, scripts, reload, rotate, restart, wait',
      '/srv/shop.yaml:7 workload[1]: a workload step is one of http, tcp, command, sql, scripts, reload, rotate, restart, wait, not http and tcp at once',
      '/srv/shop.yaml:8 workload[2].wait: must be a number, got "long"',
    ])
  })

  it('suggests the key that was meant', () => {
    const { details } = mistakesOf(`${whole}
stat: {}
writeable: []
kernel: { flavor: cloud }
workload: [ { http: /, expects: { status: 404 } } ]
`)
    expect(details).toEqual([
      '/srv/shop.yaml:13 kernel.flavor: no such key; did you mean flavour?',
      '/srv/shop.yaml:14 workload[0].expects: no such key; did you mean expect?',
      expect.stringMatching(/^\/srv\/shop\.yaml:11 stat: no such key; did you mean sta(ck|rt)\?$/),
      '/srv/shop.yaml:12 writeable: no such key; did you mean writable?',
    ])
  })

  it('says what is missing where it is missing', () => {
    expect(mistakesOf('name: shop\n').details).toEqual([
      '/srv/shop.yaml:1 stack: is missing: a list is needed',
      '/srv/shop.yaml:1 probe: a probe is one of http, tcp, command',
    ])
  })

  it('names the line of what is no YAML', () => {
    expect(mistakesOf('name: shop\nstack: [\n').details[0]).toMatch(/^\/srv\/shop\.yaml:[23] /)
    expect(mistakesOf('name: shop\nname: other\n').details[0]).toMatch(/^\/srv\/shop\.yaml:2 /)
    expect(mistakesOf('name: !!js/function x\n').details[0]).toMatch(/^\/srv\/shop\.yaml:1 .*tag/i)
  })

  it('refuses text that is made to exhaust it', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg'].map((pair) => [pair[0], pair[1]])) {
      bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(', ')}]`)
    }
    expect(mistakesOf(bomb.join('\n')).details[0]).toMatch(/alias/i)
    for (const nested of ['[', '{', '- ', '? ']) {
      expect(mistakesOf(nested.repeat(200_000)).details).toEqual(['the file nests deeper than 100 levels'])
    }
    expect(mistakesOf(`name: ${'x'.repeat(9 * 1024 * 1024)}`).details).toEqual(['the file is larger than 8 MiB'])
  })

  it('refuses paths that lead elsewhere, and files with nothing in them', () => {
    const { details } = mistakesOf(`${whole.replace('/var/www/html', '/var/../etc')}  - { path: etc/x, content: y }
  - { path: /etc/y }
`)
    expect(details).toEqual([
      '/srv/shop.yaml:5 stack[1].tree.at: must be an absolute path without . or .., got "/var/../etc"',
      '/srv/shop.yaml:10 files[1].path: must be an absolute path without . or .., got "etc/x"',
      '/srv/shop.yaml:11 files[2]: needs either content or from',
    ])
  })
})
