import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { BootloomError } from '../config/errors.ts'
import { type Glob, parseGlob } from './glob.ts'

/**
 * A rule is knowledge that observation cannot supply. The files of templates/rules hold lists of them:
 *
 *     - name: certificates
 *       why: TLS verifies others against them, and opens them only when it first does.
 *       when: ["/usr/lib/x86_64-linux-gnu/libssl.so.*"]
 *       add: [/etc/ssl/certs/ca-certificates.crt, "/etc/ssl/certs/**"]
 *
 * Once one of the paths selected matches a glob of `when` (or always, without `when`), every path of the stack that
 * matches a glob of `add` is selected too; what the stack does not have is passed over. Rules are applied until none
 * adds anything. Globs are those of src/blueprint/glob.ts.
 */
const glob = z.string().max(4096).regex(/^\//, 'must be a glob of absolute paths')
const ruleSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/),
  why: z.string().min(1),
  when: z.array(glob).min(1).optional(),
  add: z.array(glob).min(1),
})

export interface Rule {
  readonly name: string
  readonly why: string
  /** Undefined: always. */
  readonly when: readonly Glob[] | undefined
  readonly add: readonly Glob[]
}

const shipped = fileURLToPath(new URL('../../templates/rules/', import.meta.url))

/** Reads every rule of a directory, files in the order of their names. Throws RULE_INVALID. */
export async function loadRules(directory = shipped): Promise<Rule[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort()
  const rules: Rule[] = []
  for (const file of files) rules.push(...parseRules(await readFile(join(directory, file), 'utf8'), file))
  return rules
}

export function parseRules(text: string, file: string): Rule[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const broken = document.errors.map(({ pos, message }) => `${file}:${lines.linePos(pos[0]).line} ${message}`)
  if (broken.length > 0) throw new BootloomError('RULE_INVALID', `${file} is no YAML`, { where: file, details: broken })
  const parsed = z.array(ruleSchema).safeParse(document.toJS())
  if (!parsed.success) {
    const details = parsed.error.issues.map(({ path, message }) => `${file} ${path.join('.')}: ${message}`)
    throw new BootloomError('RULE_INVALID', `${file} does not fit the format of rules`, { where: file, details })
  }
  return parsed.data.map(({ name, why, when, add }) => ({
    name,
    why,
    when: when?.map(parseGlob),
    add: add.map(parseGlob),
  }))
}
