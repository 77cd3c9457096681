import { readFileSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { type Document, isMap, isNode, isPair, LineCounter, type Node, parseDocument } from 'yaml'
import { BootloomError } from './errors.ts'
import { maskCredentials } from './secrets.ts'

type Path = readonly (string | number)[]

/** What a settings file says, and on which line each of it stands. */
export interface SettingsFile {
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
  /** `bootloom.yaml:12`, or undefined when the file does not speak of the path. */
  line(path: Path): string | undefined
}

const maximumBytes = 1024 * 1024

/** Throws SETTINGS_UNREADABLE, with every line that is no YAML. */
export function readSettingsFile(path: string): SettingsFile {
  const lines = new LineCounter()
  const document = parseDocument(readText(path), { lineCounter: lines, prettyErrors: false })
  const at = (offset: number) => `${basename(path)}:${lines.linePos(offset).line}`
  if (document.errors.length > 0) {
    throw new BootloomError('SETTINGS_UNREADABLE', 'the settings file is no YAML', {
      where: path,
      details: document.errors.map((error) => `${at(error.pos[0])}  ${maskCredentials(error.message)}`),
    })
  }
  const values: unknown = toValue(document, path)
  if (values === null || typeof values !== 'object' || Array.isArray(values)) {
    throw new BootloomError('SETTINGS_UNREADABLE', 'the settings file must hold names with values, as `http:`', {
      where: path,
    })
  }
  return {
    path,
    values: values as Record<string, unknown>,
    line(wanted) {
      const offset = offsetOf(document.contents, wanted)
      return offset === undefined ? undefined : at(offset)
    },
  }
}

function readText(path: string): string {
  try {
    if (statSync(path).size > maximumBytes) {
      throw new BootloomError('SETTINGS_UNREADABLE', 'the settings file is larger than 1 MiB', { where: path })
    }
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if (cause instanceof BootloomError) throw cause
    const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'
    throw new BootloomError('SETTINGS_UNREADABLE', `the settings file ${reason}`, { where: path, cause })
  }
}

/** An empty file is a file without settings. Aliases that would unfold without bound are refused by the parser. */
function toValue(document: Document.Parsed, path: string): unknown {
  try {
    return document.contents === null ? {} : document.toJS()
  } catch (cause) {
    throw new BootloomError('SETTINGS_UNREADABLE', 'the settings file cannot be unfolded', {
      where: path,
      details: [maskCredentials(cause instanceof Error ? cause.message : String(cause))],
      cause,
    })
  }
}

/** Where in the text the key (or the list item) at the end of the path begins. */
function offsetOf(root: Node | null, path: Path): number | undefined {
  let node: unknown = root
  let offset: number | undefined
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && String(item.key) === String(step))
      if (!pair) return undefined
      if (isNode(pair.key)) offset = pair.key.range?.[0]
      node = pair.value
    } else if (isNode(node) && 'items' in node) {
      node = (node.items as unknown[])[Number(step)]
      if (!isNode(node)) return undefined
      offset = node.range?.[0]
    } else return undefined
  }
  return offset
}
