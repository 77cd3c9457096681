import { z } from 'zod'
import { namedOptionsSchema } from '../config/dhcp-settings.ts'
import { keys } from './keys.ts'
import { type Assignment, assignmentSchema, type NodeRecord } from './nodes.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const groupSchema = z.object({
  name: z.string(),
  assignment: assignmentSchema.optional(),
  /** DHCP options that its nodes are told. */
  options: namedOptionsSchema.optional(),
  /** Power controllers of its nodes: `{mac}` and `{hostname}` stand for the node's. */
  power: z.string().optional(),
})

/** Nodes name the groups that they belong to; a group carries the assignment that they share. */
export type Group = z.infer<typeof groupSchema>

export async function getGroup(redis: Redis, name: string): Promise<Group | undefined> {
  const json = await redis.hget(keys.groups(), name)
  return json === null ? undefined : parseRecord(groupSchema, json, `group ${name}`)
}

export async function listGroups(redis: Redis): Promise<Group[]> {
  const all = await redis.hgetall(keys.groups())
  return Object.entries(all).map(([name, json]) => parseRecord(groupSchema, json, `group ${name}`))
}

export async function putGroup(redis: Redis, group: Group): Promise<void> {
  await redis.hset(keys.groups(), group.name, JSON.stringify(group))
}

export async function removeGroup(redis: Redis, name: string): Promise<boolean> {
  return (await redis.hdel(keys.groups(), name)) === 1
}

/** What a node is to boot: its own assignment, else that of the first of its groups that has one. */
export function assignmentOf(node: NodeRecord, groups: readonly Group[]): Assignment | undefined {
  const ofGroup = (name: string) => groups.find((group) => group.name === name)?.assignment
  return node.assignment ?? node.groups.map(ofGroup).find((found) => found !== undefined)
}
