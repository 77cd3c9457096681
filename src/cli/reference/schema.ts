/** As much of JSON Schema (draft 2020-12) as zod writes for our schemas. */
export interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly pattern?: string
  readonly description?: string
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly items?: JsonSchema
  readonly prefixItems?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema | boolean
  readonly propertyNames?: JsonSchema
  readonly required?: readonly string[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

/** One line of a reference: a key by its path, what it takes, its default, its meaning. */
interface Row {
  readonly path: string
  readonly takes: string
  readonly fallback: string
  readonly meaning: string
}

const alternatives = (schema: JsonSchema): readonly JsonSchema[] => schema.anyOf ?? schema.oneOf ?? []

/** The keys below a schema in its own order; alternatives of a list follow each other. */
export function* rows(schema: JsonSchema, path = '', needed = true): Generator<Row> {
  if (path !== '' && !(schema.properties && !schema.description)) {
    const fallback = schema.default === undefined ? (needed ? 'needed' : '–') : `\`${JSON.stringify(schema.default)}\``
    const isMade = schema.properties !== undefined && !needed
    yield { path, takes: takes(schema), fallback: isMade ? '–' : fallback, meaning: schema.description ?? '' }
  }
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const isNeeded = child.default === undefined && (schema.required ?? []).includes(name)
    yield* rows(child, path === '' ? name : `${path}.${name}`, isNeeded)
  }
  if (schema.items) yield* below(schema.items, `${path}[]`)
  for (const one of alternatives(schema)) yield* alternative(one, path)
}

/** What stands inside a list or an alternative: its keys, without a line for the thing itself. */
function* below(schema: JsonSchema, path: string): Generator<Row> {
  for (const row of rows(schema, path)) if (row.path !== path) yield row
}

/** The first key chooses the alternative; where the choice is its value, the line of the whole has said so. */
function* alternative(schema: JsonSchema, path: string): Generator<Row> {
  const [first = ''] = Object.keys(schema.properties ?? {})
  for (const row of below(schema, path)) {
    if (row.path !== `${path}.${first}`) yield row
    else if (typeof schema.properties?.[first]?.const !== 'string') yield { ...row, fallback: '–' }
  }
}

function takes(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${String(schema.const)}\``
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  const parts = alternatives(schema)
  if (parts.length > 0) return `one of ${parts.map(alternativeName).join(', ')}`
  if (schema.prefixItems) return `list of ${schema.prefixItems.length} ${plural(schema.prefixItems[0] ?? {})}`
  if (schema.type === 'array') return `list of ${schema.items ? plural(schema.items) : 'values'}`
  if (schema.type === 'object') return schema.properties ? 'keys below' : 'NAME: text'
  if (schema.type === 'integer' || schema.type === 'number') return rangeText(schema)
  if (schema.format === 'ipv4') return 'IPv4 address'
  if (schema.format === 'cidrv4') return 'IPv4 subnet'
  if (schema.format === 'uri') return 'URL'
  return schema.type === 'boolean' ? '`true`, `false`' : 'text'
}

/** An alternative is called by the key that tells it apart: its first one. */
function alternativeName(schema: JsonSchema): string {
  const [first] = Object.keys(schema.properties ?? {})
  if (first === undefined) return takes(schema)
  const value = schema.properties?.[first]?.const
  return value === undefined || value === true ? `\`${first}:\`` : `\`${first}: ${String(value)}\``
}

function plural(schema: JsonSchema): string {
  if (alternatives(schema).length > 0) return takes(schema)
  if (schema.properties) return 'keys below'
  if (schema.format === 'ipv4') return 'IPv4 addresses'
  return schema.type === 'integer' ? `whole numbers ${rangeText(schema).replace('whole number ', '')}` : 'texts'
}

function rangeText({ type, minimum, maximum }: JsonSchema): string {
  const what = type === 'integer' ? 'whole number' : 'number'
  return minimum === undefined || maximum === undefined ? what : `${what} ${minimum}–${maximum}`
}

/** A Markdown table; bars inside a cell are escaped. */
export function markdownTable(headings: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [row(headings), `|${headings.map(() => '---').join('|')}|`, ...lines.map(row)].join('\n')
}
