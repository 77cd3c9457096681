import { dirname, resolve } from 'node:path'
import { type Document, isCollection, isMap, isNode, LineCounter, parseDocument } from 'yaml'
import { BootloomError } from '../config/errors.ts'
import { type Finding, findings, type Path, pathText } from './findings.ts'
import { type ForeignBlueprint, type ForeignFile, foreignSchema, isUrl } from './foreign.ts'
import { nestsTooDeep } from './nesting.ts'
import { type Blueprint, blueprintSchema } from './schema.ts'

/** More than any blueprint needs, with several `files` of the largest size allowed. */
const maximumBytes = 8 * 1024 * 1024
/** Aliases are for a repeated request or two; the parser counts what they unfold to. */
const maximumAliases = 100

/**
 * Reads a blueprint. `file` is its path: findings name it, and relative paths in the blueprint start at its directory.
 * Throws BLUEPRINT_INVALID with every finding at once, each as `apache.yaml:4 stack[0].deb.packages: …`.
 */
export function parseBlueprint(text: string, file: string): Blueprint {
  const blueprint = parseAnyBlueprint(text, file)
  if (!isForeign(blueprint)) return blueprint
  throw new BootloomError('BLUEPRINT_FOREIGN', `${blueprint.name} is foreign: it is not observed or woven`)
}

export const isForeign = (blueprint: Blueprint | ForeignBlueprint): blueprint is ForeignBlueprint =>
  'foreign' in blueprint

/** As `parseBlueprint`, of either kind. */
export function parseAnyBlueprint(text: string, file: string): Blueprint | ForeignBlueprint {
  if (Buffer.byteLength(text) > maximumBytes) throw invalid(file, ['the file is larger than 8 MiB'])
  if (nestsTooDeep(text)) throw invalid(file, ['the file nests deeper than 100 levels'])
  const lines = new LineCounter()
  const { document, value } = unfold(text, file, lines)
  const foreign = value !== null && typeof value === 'object' && 'foreign' in value
  const parsed = foreign ? foreignSchema.safeParse(value) : blueprintSchema.safeParse(value)
  if (!parsed.success) {
    throw invalid(
      file,
      findings(parsed.error.issues, value).map((finding) => inWords(finding, file, document, lines)),
    )
  }
  const directory = dirname(resolve(file))
  return isForeign(parsed.data) ? withAbsoluteFiles(parsed.data, directory) : withAbsolutePaths(parsed.data, directory)
}

function unfold(text: string, file: string, lines: LineCounter): { document: Document.Parsed; value: unknown } {
  let document: Document.Parsed
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  } catch (cause) {
    throw invalid(file, [`${file}:1 cannot be read: ${messageOf(cause)}`], cause)
  }
  // A tag that the parser does not know is a warning to it; to a blueprint it is a mistake.
  const problems = [...document.errors, ...document.warnings]
  if (problems.length > 0) {
    throw invalid(
      file,
      problems.slice(0, 50).map((problem) => `${file}:${lines.linePos(problem.pos[0]).line} ${problem.message}`),
    )
  }
  try {
    return { document, value: document.toJS({ maxAliasCount: maximumAliases }) ?? {} }
  } catch (cause) {
    throw invalid(file, [`${file}:1 cannot be unfolded: ${messageOf(cause)}`], cause)
  }
}

function inWords(finding: Finding, file: string, document: Document.Parsed, lines: LineCounter): string {
  const line = lines.linePos(offsetOf(document, finding.path)).line || 1
  const path = pathText(finding.path)
  return `${file}:${line} ${path === '' ? '' : `${path}: `}${finding.message}`
}

/** Where the path stands in the text; for what is missing, where the thing stands that it is missing from. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: unknown = document.contents
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
  for (const step of path) {
    if (!isCollection(node)) return offset
    if (isMap(node)) {
      const pair = node.items.find((item) => String(item.key) === String(step))
      if (!pair) return offset
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else {
      node = node.items[Number(step)]
      if (isNode(node)) offset = node.range?.[0] ?? offset
    }
  }
  return offset
}

function withAbsolutePaths(blueprint: Blueprint, directory: string): Blueprint {
  return {
    ...blueprint,
    stack: blueprint.stack.map((source) =>
      'tree' in source ? { tree: { ...source.tree, path: resolve(directory, source.tree.path) } } : source,
    ),
    workload: blueprint.workload.map((step) =>
      'scripts' in step ? { ...step, scripts: resolve(directory, step.scripts) } : step,
    ),
    files: blueprint.files.map((added) =>
      added.from === undefined ? added : { ...added, from: resolve(directory, added.from) },
    ),
  }
}

function withAbsoluteFiles(blueprint: ForeignBlueprint, directory: string): ForeignBlueprint {
  const absolute = (file: ForeignFile) => (isUrl(file.from) ? file : { ...file, from: resolve(directory, file.from) })
  const { kernel, initrds, cmdline } = blueprint.foreign
  return { ...blueprint, foreign: { kernel: absolute(kernel), initrds: initrds.map(absolute), cmdline } }
}

function invalid(file: string, details: readonly string[], cause?: unknown): BootloomError {
  const count = details.length === 1 ? 'a mistake' : `${details.length} mistakes`
  const where = /^(.+?:\d+(?: [^ :]+(?=: ))?)/.exec(details[0] ?? '')?.[1] ?? file
  return new BootloomError('BLUEPRINT_INVALID', `the blueprint has ${count}`, {
    where,
    details,
    ...(cause === undefined ? {} : { cause }),
  })
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
