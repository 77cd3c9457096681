import { existsSync } from 'node:fs'
import { chown, cp, mkdir, readdir, readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { type Place, paths } from './place.ts'
import { personBehind } from './root.ts'

/** Where the ready-made blueprints are. */
export const templates = fileURLToPath(new URL('../templates/blueprints', import.meta.url))

/** The ready-made blueprints, by name. */
export async function blueprintNames(): Promise<string[]> {
  const files = (await readdir(templates)).filter((name) => name.endsWith('.yaml'))
  return files.map((name) => name.slice(0, -'.yaml'.length)).sort()
}

export interface LaidOut {
  readonly yaml: string
  /** What relative paths of the blueprint count from. */
  readonly directory: string
  /** The first directory that its bundle carries: what a visitor may edit. */
  readonly site?: string
}

/**
 * Lays a ready-made blueprint out in the lab's directory, with the directories it draws on, so that a visitor may edit
 * them. What is there already stays: it may have been edited.
 */
export async function layOut(place: Place, name: string): Promise<LaidOut> {
  const directory = paths.blueprints(place)
  await mkdir(directory, { recursive: true })
  await copyOnce(join(templates, `${name}.yaml`), join(directory, `${name}.yaml`))
  const yaml = await readFile(join(directory, `${name}.yaml`), 'utf8')
  const { stack } = parse(yaml) as { stack?: readonly { tree?: { path: string } }[] }
  const trees = (stack ?? []).flatMap(({ tree }) => (tree ? [normalize(tree.path)] : []))
  const relative = trees.filter((tree) => !tree.startsWith('/') && !tree.startsWith('..'))
  for (const tree of relative) await copyOnce(join(templates, tree), join(directory, tree))
  await give(directory)
  return { yaml, directory, ...(relative[0] === undefined ? {} : { site: join(directory, relative[0]) }) }
}

async function copyOnce(from: string, to: string): Promise<void> {
  if (!existsSync(to) && existsSync(from)) await cp(from, to, { recursive: true })
}

/** To the person behind sudo, if there is one. */
async function give(directory: string): Promise<void> {
  const person = personBehind()
  if (!person) return
  await chown(directory, person.uid, person.gid)
  for (const name of await readdir(directory, { recursive: true })) {
    await chown(join(directory, name), person.uid, person.gid)
  }
}
