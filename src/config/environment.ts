import { parseDocument } from 'yaml'
import { leaves } from './leaves.ts'
import { nearest } from './nearest.ts'
import { maskCredentials } from './secrets.ts'

/** A setting given by something else than the file. */
export interface Given {
  readonly path: readonly string[]
  readonly value: unknown
  /** The variable or the flag. */
  readonly origin: string
}

/** Names the settings file; it is no setting itself. */
const fileVariable = 'BOOTLOOM_CONFIG'

/** Settings among the environment variables. An unknown `BOOTLOOM_` variable is a finding: it is a typing error. */
export function environmentGivens(env: Readonly<Record<string, string | undefined>>): {
  givens: Given[]
  findings: string[]
} {
  const givens: Given[] = []
  const findings: string[] = []
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('BOOTLOOM_') || name === fileVariable || text === undefined) continue
    const leaf = leaves.find(({ variable }) => variable === name)
    if (!leaf) {
      const meant = nearest(name, [fileVariable, ...leaves.map(({ variable }) => variable)])
      findings.push(`${name}: no such variable${meant ? `; did you mean ${meant}?` : ''}`)
      continue
    }
    if (leaf.isText) {
      givens.push({ path: leaf.path, value: text, origin: name })
      continue
    }
    const document = parseDocument(text, { prettyErrors: false })
    const [error] = document.errors
    if (error) findings.push(`${leaf.path.join('.')} (${name}): no YAML: ${maskCredentials(error.message)}`)
    else givens.push({ path: leaf.path, value: unfold(document), origin: name })
  }
  return { givens, findings }
}

/** A value whose aliases do not unfold is no value of any type, so that the schema reports it. */
function unfold(document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS()
  } catch {
    return undefined
  }
}
