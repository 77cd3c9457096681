import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { BootloomError } from '../config/errors.ts'

/** A UDP port on a named interface: datagrams of other interfaces never reach it, nor do its own leave by them. */
export interface InterfacePort {
  readonly interface: string
  readonly port: number
  /** It sends only: the kernel cuts what is sent by it into datagrams of so many bytes. Not every kernel has it. */
  readonly size?: number
}

const binder = fileURLToPath(new URL('./bind.pl', import.meta.url))
const variable = 'INHERITED_SOCKETS'

const nameOf = ({ interface: name, port, size }: InterfacePort) => `${name}:${port}${size ? `/${size}` : ''}`

/** Descriptors that `bind.pl` left us: `eth1:67/300=3 eth1:67=4`. */
function inherited(): ReadonlyMap<string, number> {
  const words = (process.env[variable] ?? '').split(' ').filter((word) => word !== '')
  return new Map(
    words.map((word) => [word.slice(0, word.lastIndexOf('=')), Number(word.slice(word.lastIndexOf('=') + 1))]),
  )
}

/**
 * Makes sure that this process has inherited sockets for these ports. Where it has not, **it begins anew**: the process
 * becomes `bind.pl`, which opens them and becomes this same command again, under the same process id. Call it first of
 * all, before anything is opened or started; it needs root or CAP_NET_RAW and CAP_NET_BIND_SERVICE.
 */
export function ensureSockets(wanted: readonly InterfacePort[]): void {
  const present = inherited()
  const missing = wanted.filter((each) => !present.has(nameOf(each)) && !each.size).map(nameOf)
  if (missing.length === 0) return
  if (process.env[variable] !== undefined) {
    throw new BootloomError('SOCKET_UNAVAILABLE', `no socket was opened for ${missing.join(', ')}`, {
      details: [`${variable}=${process.env[variable]}`],
    })
  }
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const environment = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  // Of two on one port, the one that receives comes last.
  const inOrder = [...wanted.filter(({ size }) => size), ...wanted.filter(({ size }) => !size)]
  const words = ['perl', binder, ...inOrder.map(nameOf), '--', ...command]
  // What was compiled up to here is not compiled again.
  flushCompileCache()
  process.execve!('/usr/bin/perl', words, Object.fromEntries(environment))
}

/** The inherited socket of a port, ready to receive. Throws SOCKET_UNAVAILABLE when there is none. */
export async function openSocket(wanted: InterfacePort): Promise<Socket> {
  const socket = await findSocket(wanted)
  if (socket) return socket
  throw new BootloomError('SOCKET_UNAVAILABLE', `no socket was inherited for ${nameOf(wanted)}`)
}

/** The same; undefined when there is none. */
export async function findSocket(wanted: InterfacePort): Promise<Socket | undefined> {
  const fd = inherited().get(nameOf(wanted))
  if (fd === undefined) return undefined
  // Addresses are always literal: answering at once spares a turn of the event loop for each datagram.
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
  // Node emits this one before bind() returns.
  const listening = once(socket, 'listening')
  socket.bind({ fd, exclusive: true })
  await listening
  return socket
}
