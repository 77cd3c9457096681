import { spawn } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('./solicit.pl', import.meta.url))

/** Seconds: a router answers within half a second, but to many at once only every three (RFC 4861 §6.2.6, §10). */
const patience = '4'

/**
 * Solicits the routers of a link: the address of one that is not ours, or undefined after 4 s without. Ours are those of
 * lifetime 0 at our own address; with another lifetime, it is a router that runs on this machine beside us. Rejects when
 * it cannot be found out.
 */
export function findOtherRouter(name: string, signal: AbortSignal): Promise<string | undefined> {
  const own = (networkInterfaces()[name] ?? []).map(({ address }) => address)
  const child = spawn('perl', [program, name, patience], { stdio: ['ignore', 'pipe', 'pipe'], signal })
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-1000)
    })
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve(undefined) : reject(new Error(said.trim() || 'it was ended'))))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [address = '', lifetime] = line.split(' ')
      if (lifetime === '0' && own.includes(address)) return
      resolve(address)
      child.kill()
    })
  })
}
