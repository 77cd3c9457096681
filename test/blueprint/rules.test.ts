import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { loadRules, parseRules, type Rule } from '../../src/blueprint/rules.ts'
import { select } from '../../src/blueprint/select.ts'
import type { Component, Entry } from '../../src/repository/component.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { type RuleCase, ruleCases } from './rule-cases.ts'

let directory: string
let store: Store
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-rules-'))
  store = await Store.open(directory)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const shipped = await loadRules()

async function entryOf(path: string, content: string | { readonly to: string }): Promise<Entry> {
  const common = { path, mode: 0o644, uid: 0, gid: 0 }
  if (typeof content === 'object') return { ...common, type: 'symlink', size: 0, target: content.to }
  const bytes = Buffer.from(content)
  return { ...common, type: 'file', size: bytes.length, digest: await store.write(bytes) }
}

/** What of each path of the case's stack is selected, and why. */
async function selectedOf({ touched = [], files = {}, gains, leaves = [] }: RuleCase, rules: readonly Rule[]) {
  const plain = [...touched, ...gains, ...leaves].filter((path) => !(path in files))
  const contents = [...Object.entries(files), ...plain.map((path) => [path, 'x'] as const)]
  const entries = await Promise.all(contents.map(([path, content]) => entryOf(path, content)))
  const component: Component = { kind: 'deb', name: 'one', version: '1', architecture: 'all', mtime: 0, entries }
  const digest = digestOf('stack')
  const ref = { kind: 'deb', name: 'one', version: '1', digest } as const
  const paths = [...touched, ...Object.keys(files)].map((path) => ({ path, how: ['open'] as const }))
  const { parts } = await select({
    blueprint: parseBlueprint(
      'name: x\nstack: [ { deb: { packages: [one] } } ]\nstart: { command: [/none] }\nprobe: { tcp: 1 }\n',
      '/srv/x.yaml',
    ),
    stackDigest: digest,
    stack: { components: [ref], kernel: ref, busybox: ref, installation: digest },
    components: [component],
    profile: { blueprint: 'x', stack: digest, methods: ['strace', 'strictatime'], paths },
    profileDigest: digest,
    store,
    rules,
  })
  return new Map(parts.flatMap(({ files }) => files.map(({ path, reason }) => [path, reason] as const)))
}

describe('each rule that Bootloom ships', () => {
  it('has a case, and no case is of a rule that is gone', () => {
    expect(Object.keys(ruleCases).sort()).toEqual(shipped.map(({ name }) => name).sort())
  })

  it.each(shipped.map(({ name, why }) => ({ name, why })))('$name: $why', async ({ name }) => {
    const given = ruleCases[name]!
    const all = await selectedOf(given, shipped)
    for (const path of given.gains) expect(all.get(path), path).toMatchObject({ kind: 'rule', by: name })
    for (const path of given.leaves ?? []) expect(all.has(path), path).toBe(false)
    const others = await selectedOf(
      given,
      shipped.filter((rule) => rule.name !== name),
    )
    expect(given.gains.filter((path) => others.has(path))).toEqual([])
  })
})

describe('the format of rules', () => {
  const rules = (text: string) => parseRules(text, 'test.yaml')

  it('says which path a rule met', async () => {
    const text = `
- name: met
  why: because
  when: [/a]
  add: [/b]
  named-by: [ { files: [/b], pattern: 'load (\\S+)', add: ["/m/$1.so"] } ]
  beside: [ { path: '^/m/(.*)[.]so$', add: ["/m/$1.txt"] } ]
`
    const given = { touched: ['/a'], files: {}, gains: ['/m/one.so', '/m/one.txt'], leaves: ['/m/two.so'] }
    const found = await selectedOf({ ...given, files: { '/b': 'load one\nload [t]wo\n' } }, rules(text))
    expect(found.get('/m/one.so')).toEqual({ kind: 'rule', by: 'met', from: '/b' })
    expect(found.get('/m/one.txt')).toEqual({ kind: 'rule', by: 'met', from: '/m/one.so' })
    expect(found.has('/m/two.so')).toBe(false)
  })

  it.each([
    ['- { name: x, add: [etc] }', 'no why, and a relative glob'],
    ['- { name: x, why: y }', 'adds nothing'],
    ['- { name: x, why: y, beside: [ { path: "[", add: [/a] } ] }', 'no regular expression'],
    ['- { name: x, why: y, beside: [ { path: "a", add: [/a] } ] }', 'no group'],
    ['- { name: x, why: y, add: [/a], if: z }', 'an unknown key'],
    ['- [', 'no YAML'],
  ])('refuses %s: %s', (text) => {
    expect(() => rules(text)).toThrow(expect.objectContaining({ code: 'RULE_INVALID', where: 'test.yaml' }))
  })
})
