import { z } from 'zod'
import { bare } from './leaves.ts'
import { nearest } from './nearest.ts'
import { secretPaths } from './secrets.ts'
import { settingsSchema } from './settings.ts'

type Path = readonly (string | number)[]

/** `http.port`, `dhcp.subnets[0].range`. */
export const pathText = (path: Path): string =>
  path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index ? `.${step}` : step)).join('')

/** What is wrong, in words: `http.port (bootloom.yaml:12): must be a number, got 'x'`. One line for each unknown name. */
export function describeIssue(issue: z.core.$ZodIssue, origin: (path: Path) => string, values: unknown): string[] {
  const path = issue.path as Path
  const line = (at: Path, message: string) => `${pathText(at)}${wherePart(at, origin)}: ${message}`
  if (issue.code === 'unrecognized_keys') {
    const known = namesAt(path)
    return issue.keys.map((key) => {
      const meant = nearest(key, known)
      const help = meant ? `; did you mean ${meant}?` : known.length ? `; it knows ${known.join(', ')}` : ''
      return line([...path, key], `no such setting${help}`)
    })
  }
  const value = valueAt(values, path)
  if (value === undefined) return [line(path, `is needed: ${requirement(issue)}`)]
  const got = isShown(path, value) ? `, got ${JSON.stringify(value).slice(0, 60)}` : ''
  return [line(path, issue.code === 'custom' ? issue.message : `${requirement(issue)}${got}`)]
}

/** A value that is missing is reported at the thing that it is missing from. */
function wherePart(path: Path, origin: (path: Path) => string): string {
  for (let length = path.length; length > 0; length--) {
    const where = origin(path.slice(0, length))
    if (where !== 'default') return ` (${where})`
  }
  return ''
}

function requirement(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return `must be ${article(issue.expected)}`
  if (issue.code === 'too_small') return bound('at least', issue.minimum, issue.origin)
  if (issue.code === 'too_big') return bound('at most', issue.maximum, issue.origin)
  if (issue.code === 'invalid_value') return `must be ${issue.values.join(', ').replace(/, ([^,]*)$/, ' or $1')}`
  if (issue.code === 'invalid_format') return formats[issue.format] ?? issue.message
  if (issue.code === 'invalid_union' && issue.discriminator) return 'must be reject, local or blueprint'
  return issue.message
}

const formats: Readonly<Record<string, string>> = {
  ipv4: 'must be an IPv4 address',
  cidrv4: 'must be an IPv4 subnet, as 10.77.0.0/24',
  url: 'must be a URL, as redis://host:6379',
  regex: 'must be the name of a network interface, as eth1',
}

const names: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'names with values',
  array: 'a list',
  tuple: 'a list of two addresses',
}

const article = (expected: string): string => names[expected] ?? expected

function bound(side: string, value: number | bigint, origin: string): string {
  if (origin === 'string') return `must be ${side} ${value} letters long`
  return origin === 'array' ? `must have ${side} ${value} entries` : `must be ${side} ${value}`
}

function isShown(path: Path, value: unknown): boolean {
  return !secretPaths.has(path.join('.')) && ['string', 'number', 'boolean'].includes(typeof value)
}

function valueAt(values: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<string | number, unknown> | undefined)?.[step], values)
}

/** The names that the schema knows at a path. */
function namesAt(path: Path): string[] {
  let schema: z.core.$ZodType | undefined = settingsSchema
  for (const step of path) {
    const inner: z.core.$ZodType = bare(schema!)
    if (inner instanceof z.ZodObject) schema = inner.shape[String(step)] as z.core.$ZodType | undefined
    else if (inner instanceof z.ZodArray) schema = inner.element as z.core.$ZodType
    else schema = undefined
    if (!schema) return []
  }
  const inner = bare(schema)
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
}
