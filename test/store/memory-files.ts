import { readdirSync, readlinkSync } from 'node:fs'

/** Names of the files in memory that this process has open (memfd_create(2)). */
export function memoryFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      return /^\/memfd:(\S+)/.exec(readlinkSync(`/proc/self/fd/${name}`))?.[1] ?? []
    } catch {
      return []
    }
  })
}
