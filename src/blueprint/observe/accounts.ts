import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../../config/errors.ts'
import { resolveWithin } from './within.ts'

export interface Account {
  readonly uid: number
  readonly gid: number
  /** All groups, the first being the primary one. */
  readonly groups: readonly number[]
  readonly home: string
}

/** Looks an account up in a root directory's own /etc/passwd and /etc/group (passwd(5), group(5)). */
export async function accountIn(root: string, user: string): Promise<Account> {
  const entry = (await table(root, '/etc/passwd')).find(([name]) => name === user)
  const uid = Number(entry?.[2])
  const gid = Number(entry?.[3])
  if (!entry || !Number.isInteger(uid) || !Number.isInteger(gid)) {
    if (user === 'root') return { uid: 0, gid: 0, groups: [0], home: '/' }
    throw new BootloomError('ACCOUNT_UNKNOWN', `no package of the stack makes the account ${user}`, { where: user })
  }
  const others = (await table(root, '/etc/group'))
    .filter(([, , , members]) => members?.split(',').includes(user))
    .map(([, , id]) => Number(id))
    .filter(Number.isInteger)
  return { uid, gid, groups: [...new Set([gid, ...others])], home: entry[5] || '/' }
}

async function table(root: string, path: string): Promise<string[][]> {
  const file = join(root, await resolveWithin(root, path, true))
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\n').map((line) => line.split(':'))
}
