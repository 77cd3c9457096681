import { BootloomError } from '../config/errors.ts'

/** UID and GID of an account by /etc/passwd (passwd(5)). root is 0:0 whether the bundle has the file or not. */
export function accountOf(passwd: string, name: string): { readonly uid: number; readonly gid: number } {
  if (name === 'root') return { uid: 0, gid: 0 }
  for (const line of passwd.split('\n')) {
    const [account, , uid, gid] = line.split(':')
    if (account === name && /^\d+$/.test(uid ?? '') && /^\d+$/.test(gid ?? '')) {
      return { uid: Number(uid), gid: Number(gid) }
    }
  }
  throw new BootloomError('ACCOUNT_UNKNOWN', `the bundle has no account '${name}'`, { where: '/etc/passwd' })
}
