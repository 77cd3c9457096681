import { z } from 'zod'
import { nearest } from '../config/nearest.ts'
import { blueprintSchema } from './schema.ts'

export type Path = readonly (string | number)[]

export interface Finding {
  readonly path: Path
  readonly message: string
}

/** `stack[0].deb.packages`. */
export const pathText = (path: Path): string =>
  path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index ? `.${step}` : step)).join('')

/** What zod found, in words an admin can act on: one finding for each thing to mend. */
export function findings(issues: readonly z.core.$ZodIssue[], value: unknown, base: Path = []): Finding[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...(issue.path as Path)]
    if (issue.code === 'invalid_union') return unionFindings(issue, path, value)
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key]))
    return [{ path, message: requirement(issue, valueAt(value, path)) }]
  })
}

/** The places where a blueprint offers a choice, and the key that makes it. */
const choices: readonly { at: RegExp; what: string; keys: readonly string[] }[] = [
  { at: /^stack\[\d+\]$/, what: 'a source', keys: ['deb', 'tree'] },
  { at: /^probe$/, what: 'a probe', keys: ['http', 'tcp', 'command'] },
  {
    at: /^workload\[\d+\]$/,
    what: 'a workload step',
    keys: ['http', 'tcp', 'command', 'sql', 'scripts', 'reload', 'rotate', 'restart', 'wait'],
  },
]

/** The findings of the one alternative that was meant, known by its key. */
function unionFindings(issue: z.core.$ZodIssueInvalidUnion, path: Path, value: unknown): Finding[] {
  const choice = choices.find(({ at }) => at.test(pathText(path)))
  if (!choice) return [{ path, message: issue.message }]
  const given = valueAt(value, path)
  const keys = given !== null && typeof given === 'object' ? Object.keys(given) : []
  const chosen = choice.keys.filter((key) => keys.includes(key))
  const oneOf = `${choice.what} is one of ${choice.keys.join(', ')}`
  if (chosen.length === 0) {
    const meant = keys.map((key) => nearest(key, choice.keys)).find((key) => key !== undefined)
    return [{ path, message: meant ? `${oneOf}; did you mean ${meant}?` : oneOf }]
  }
  if (chosen.length > 1) return [{ path, message: `${oneOf}, not ${chosen.join(' and ')} at once` }]
  const knowsKey = (branch: readonly z.core.$ZodIssue[]) =>
    !branch.some((inner) => inner.code === 'unrecognized_keys' && inner.keys.includes(chosen[0]!))
  const branch = issue.errors.find(knowsKey)
  return branch ? findings(branch, value, path) : [{ path, message: oneOf }]
}

function unknownKey(path: Path): Finding {
  const known = keysAt(path.slice(0, -1))
  const meant = nearest(String(path.at(-1)), known)
  return { path, message: `no such key${meant ? `; did you mean ${meant}?` : `; it knows ${known.join(', ')}`}` }
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'names with values',
  record: 'names with values',
}

function requirement(issue: z.core.$ZodIssue, value: unknown): string {
  const got = ['string', 'number', 'boolean'].includes(typeof value)
    ? `, got ${JSON.stringify(value).slice(0, 60)}`
    : ''
  if (issue.code === 'invalid_type') {
    return value === undefined || value === null
      ? `is missing: ${kinds[issue.expected] ?? issue.expected} is needed`
      : `must be ${kinds[issue.expected] ?? issue.expected}${got}`
  }
  if (issue.code === 'too_small') {
    return issue.origin === 'array' || issue.origin === 'string'
      ? 'must not be empty'
      : `must be at least ${issue.minimum}${got}`
  }
  if (issue.code === 'too_big') {
    const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : ''
    return `must be at most ${issue.maximum}${unit}`
  }
  if (issue.code === 'invalid_value') return `must be ${issue.values.join(', ').replace(/, ([^,]*)$/, ' or $1')}${got}`
  if (issue.code === 'invalid_format')
    return `${issue.message.startsWith('must') ? issue.message : 'is not well formed'}${got}`
  if (issue.code === 'invalid_key') return 'has a name that is not allowed here'
  return issue.message
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, step) => (inner as Record<string | number, unknown> | undefined)?.[step], value)
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

let schema: JsonSchema | undefined

/** The keys that the format knows at a path; where it offers a choice, those of every alternative. */
function keysAt(path: Path): string[] {
  schema ??= z.toJSONSchema(blueprintSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  let level: readonly JsonSchema[] = [schema]
  for (const step of path) {
    level = level
      .flatMap((at) => (typeof step === 'number' ? at.items : at.properties?.[step]) ?? [])
      .flatMap((at) => at.anyOf ?? [at])
  }
  return [...new Set(level.flatMap((at) => Object.keys(at.properties ?? {})))]
}
