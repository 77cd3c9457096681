import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { BootloomError } from '../config/errors.ts'
import { type Glob, parseGlob } from './glob.ts'

/**
 * A rule is knowledge that observation cannot supply. The files of templates/rules hold lists of them, one file for each
 * family of applications:
 *
 *     - name: apache-modules
 *       why: A module that is switched on may be loaded for the first time at a reload.
 *       when: [/usr/sbin/apache2]
 *       add: [/etc/mime.types, "/var/lib/apache2/**"]
 *       named-by:
 *         - files: ["/etc/apache2/mods-enabled/*.load"]
 *           pattern: '^\s*LoadModule\s+\S+\s+(\S+)'
 *           add: ["$1"]
 *       beside:
 *         - path: '^(.+)/[^/]+\.conf$'
 *           add: ["$1/*.load"]
 *       except: ["/etc/apache2/mods-enabled/*.dpkg-old"]
 *
 * A rule fires once one of the paths selected matches a glob of `when`; without `when` it always does. It then adds the
 * paths of the stack that match
 * - a glob of `add`;
 * - a glob of `named-by`, in which `$1` stands for what the pattern's first group found in the files selected that match
 *   one of `files` (multi-line, every occurrence; files over 1 MiB are passed over);
 * - a glob of `beside`, in which `$1` stands for what the first group found in the path of something selected;
 * less what matches `except`. What the stack does not have is passed over. Rules go on until none adds anything. Globs
 * are those of src/blueprint/glob.ts.
 */
const glob = z.string().max(4096).regex(/^\//, 'must be a glob of absolute paths')
const template = z
  .string()
  .max(4096)
  .regex(/^(\/|\$[1-9])/, 'must be a glob of absolute paths, or begin with $1')
const pattern = z.string().max(1024).refine(isPattern, 'must be a regular expression with a group')

const ruleSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9-]+$/),
    why: z.string().min(1),
    when: z.array(glob).min(1).optional(),
    add: z.array(glob).min(1).optional(),
    'named-by': z
      .array(z.strictObject({ files: z.array(glob).min(1), pattern, add: z.array(template).min(1) }))
      .min(1)
      .optional(),
    beside: z
      .array(z.strictObject({ path: pattern, add: z.array(template).min(1) }))
      .min(1)
      .optional(),
    except: z.array(glob).min(1).optional(),
  })
  .refine((rule) => rule.add ?? rule['named-by'] ?? rule.beside, 'needs add, named-by or beside')

function isPattern(text: string): boolean {
  try {
    return new RegExp(`${text}|`).exec('')!.length > 1
  } catch {
    return false
  }
}

/** Adds what a pattern finds: in the contents of files that match a glob of `files`, or in paths. */
export interface Finding {
  readonly pattern: RegExp
  /** Globs in which `$1` to `$9` stand for the pattern's groups. */
  readonly add: readonly string[]
}

export interface Rule {
  readonly name: string
  /** The file that it stands in, without its ending: `python`. */
  readonly family: string
  readonly why: string
  /** Undefined: always. */
  readonly when: readonly Glob[] | undefined
  readonly add: readonly Glob[]
  readonly namedBy: readonly (Finding & { readonly files: readonly Glob[] })[]
  readonly beside: readonly Finding[]
  readonly except: readonly Glob[]
}

const shipped = fileURLToPath(new URL('../../templates/rules/', import.meta.url))

/** Reads every rule of a directory, files in the order of their names. Throws RULE_INVALID. */
export async function loadRules(directory = shipped): Promise<Rule[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort()
  const rules: Rule[] = []
  for (const file of files) rules.push(...parseRules(await readFile(join(directory, file), 'utf8'), file))
  const names = rules.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice === undefined) return rules
  throw new BootloomError('RULE_INVALID', `two rules are called ${twice}`, { where: directory })
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
  const family = file.replace(/\.yaml$/, '')
  return parsed.data.map(({ name, why, when, add = [], 'named-by': namedBy = [], beside = [], except = [] }) => ({
    name,
    family,
    why,
    when: when?.map(parseGlob),
    add: add.map(parseGlob),
    namedBy: namedBy.map(({ files, pattern, add }) => ({
      files: files.map(parseGlob),
      pattern: new RegExp(pattern, 'gm'),
      add,
    })),
    beside: beside.map(({ path, add }) => ({ pattern: new RegExp(path, 'gs'), add })),
    except: except.map(parseGlob),
  }))
}
