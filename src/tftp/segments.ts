import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * Block sizes that windows are asked for in: shim 512, GRUB 1024, atftp 1428, iPXE 1432, others 1456, OVMF and U-Boot 1468.
 * A socket has one segment size, so each of these has a socket.
 */
export const segmentedBlocks = [512, 1024, 1428, 1432, 1456, 1468] as const

const script = fileURLToPath(new URL('./segment.pl', import.meta.url))

interface Segmented {
  /** A bound UDP socket's port on `address`. */
  readonly port: number
  /** Bytes of a datagram; 0: what is sent is not cut. */
  readonly bytes: number
}

/** Has the kernel cut what these sockets send. False where it cannot be had (no perl, a kernel before 4.18). */
export async function segmentSends(address: string, sockets: readonly Segmented[]): Promise<boolean> {
  const descriptors = descriptorsOf(address, new Set(sockets.map(({ port }) => port)))
  const inherited = sockets.flatMap(({ port }) => descriptors.get(port) ?? [])
  if (inherited.length < sockets.length) return false
  const words = sockets.map(({ bytes }, i) => `${3 + i}=${bytes}`)
  const child = spawn('perl', [script, ...words], { stdio: ['ignore', 'ignore', 'ignore', ...inherited] })
  return new Promise((resolve) => {
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })
}

/** This process's descriptors of UDP sockets on the address, by port, as proc(5) tells them; Node keeps them to itself. */
function descriptorsOf(address: string, ports: ReadonlySet<number>): Map<number, number> {
  const hex = address
    .split('.')
    .toReversed()
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()
  const byInode = new Map<string, number>()
  for (const line of readFileSync('/proc/self/net/udp', 'latin1').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/)
    const [host, port] = (fields[1] ?? '').split(':')
    if (host === hex && ports.has(Number.parseInt(port!, 16))) {
      byInode.set(`socket:[${fields[9]}]`, Number.parseInt(port!, 16))
    }
  }
  const found = new Map<number, number>()
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const port = byInode.get(readlinkSync(`/proc/self/fd/${name}`))
      if (port !== undefined) found.set(port, Number(name))
    } catch {
      // One of them was open for the reading of the directory alone.
    }
  }
  return found
}
