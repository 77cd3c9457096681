import { readFile, stat } from 'node:fs/promises'
import { BootloomError } from '../config/errors.ts'
import type { Api } from './api.ts'

const maximumBytes = 512 * 1024

/** Sends a file as the user data of a node or a group, by the path of its record in the API. */
export async function sendUserData(api: Api, record: string, file: string): Promise<void> {
  await api.send('PUT', `${record}/user-data`, { userData: await readText(file) })
}

async function readText(file: string): Promise<string> {
  try {
    if ((await stat(file)).size <= maximumBytes) return await readFile(file, 'utf8')
  } catch (cause) {
    throw new BootloomError('USAGE', 'the file of user data cannot be read', { where: file, cause })
  }
  throw new BootloomError('USAGE', 'the file of user data is larger than 512 KiB', { where: file })
}
