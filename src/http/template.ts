import { readFile } from 'node:fs/promises'

const names = [
  'chain',
  'boot',
  'foreign',
  'foreign-kernel',
  'unassigned',
  'not-ready',
  'waiting',
  'local',
  'error',
] as const

type TemplateName = (typeof names)[number]

export type Templates = Readonly<Record<TemplateName, string>>

/** Reads templates/ipxe/*.ipxe, once at start. */
export async function loadTemplates(): Promise<Templates> {
  const directory = new URL('../../templates/ipxe/', import.meta.url)
  const read = async (name: TemplateName) => [name, await readFile(new URL(`${name}.ipxe`, directory), 'utf8')] as const
  return Object.fromEntries(await Promise.all(names.map(read))) as Record<TemplateName, string>
}
