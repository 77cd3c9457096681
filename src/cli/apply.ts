import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { BootloomError } from '../config/errors.ts'
import type { Api } from './api.ts'
import { remark } from './output.ts'

const maximumBytes = 1024 * 1024
const templates = join(import.meta.dirname, '..', '..', 'templates', 'blueprints')

export const blueprintPath = (name: string): string => `/v1/blueprints/${encodeURIComponent(name)}`

/** Sends a blueprint file to the API, with the directory that its relative paths count from. */
export async function applyFile(api: Api, file: string): Promise<{ readonly name: string }> {
  const path = resolve(file)
  const yaml = await readBlueprint(path)
  return api.send<{ name: string }>('POST', '/v1/blueprints', { yaml, directory: dirname(path), file: basename(path) })
}

/**
 * The name of an applied blueprint. A file (`./shop.yaml`) is applied first, and so is a ready-made blueprint that
 * nobody applied yet; a remark says so.
 */
export async function ensureApplied(command: Command, api: Api, nameOrFile: string): Promise<string> {
  if (/\.ya?ml$|\//.test(nameOrFile)) return applied(command, api, nameOrFile)
  try {
    await api.get(blueprintPath(nameOrFile))
    return nameOrFile
  } catch (error) {
    const template = join(templates, `${nameOrFile}.yaml`)
    if (!(error instanceof BootloomError) || error.status !== 404 || !existsSync(template)) throw error
    return applied(command, api, template)
  }
}

async function applied(command: Command, api: Api, file: string): Promise<string> {
  const { name } = await applyFile(api, file)
  remark(command, `applied ${name} from ${file}`)
  return name
}

async function readBlueprint(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > maximumBytes) throw unreadable(path, 'is larger than 1 MiB')
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof BootloomError) throw error
    throw unreadable(path, (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read')
  }
}

const unreadable = (path: string, what: string): BootloomError =>
  new BootloomError('USAGE', `the blueprint file ${what}`, { where: path, hint: 'Check the path of the file.' })
