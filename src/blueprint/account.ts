import { BootloomError } from '../config/errors.ts'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  /** All groups, the first being `gid`. */
  readonly groups: readonly number[]
  readonly home: string
}

/** The accounts of a stack, by its /etc/passwd and /etc/group (passwd(5), group(5)). */
export class Accounts {
  readonly #passwd: readonly (readonly string[])[]
  readonly #group: readonly (readonly string[])[]

  constructor(passwd: string, group: string) {
    this.#passwd = table(passwd)
    this.#group = table(group)
  }

  has(name: string): boolean {
    return name === 'root' || this.#passwd.some(([known]) => known === name)
  }

  /** By name or number; `group` instead of the account's own. root is there whether it is listed or not. ACCOUNT_UNKNOWN. */
  account(name: string, group?: string): Account {
    const entry = this.#passwd.find(([known, , uid]) => known === name || uid === name)
    const isRoot = name === 'root' || name === '0'
    const [uid, primary] = isRoot ? [0, 0] : [idOf(entry?.[2]), idOf(entry?.[3])]
    if (uid === undefined || primary === undefined) throw unknown('account', name)
    const gid = group === undefined ? primary : this.gid(group)
    const others = this.#group
      .filter(([, , , members]) => members?.split(',').includes(entry?.[0] ?? name))
      .flatMap(([, , id]) => idOf(id) ?? [])
    const groups = [...new Set([gid, ...others])]
    return { name: entry?.[0] ?? 'root', uid, gid, groups, home: entry?.[5] || '/' }
  }

  /** Of a group by name or number. ACCOUNT_UNKNOWN. */
  gid(name: string): number {
    if (name === 'root' || name === '0') return 0
    const id = idOf(this.#group.find(([known, , number]) => known === name || number === name)?.[2])
    if (id === undefined) throw unknown('group', name)
    return id
  }
}

const table = (text: string): string[][] => text.split('\n').map((line) => line.split(':'))

const idOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined

const unknown = (what: string, name: string): BootloomError =>
  new BootloomError('ACCOUNT_UNKNOWN', `no package of the stack makes the ${what} ${name}`, { where: name })
