import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { BootloomError } from '../config/errors.ts'

/** A UDP port on a named interface: datagrams of other interfaces never reach it, nor do its own leave by them. */
export interface InterfacePort {
  readonly interface: string
  readonly port: number
}

const binder = fileURLToPath(new URL('./bind.pl', import.meta.url))
const variable = 'INHERITED_SOCKETS'

const nameOf = ({ interface: name, port }: InterfacePort) => `${name}:${port}`

/** Descriptors that `bind.pl` left us: `eth1:67=3 eth1:4011=4`. */
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
  if (wanted.every((each) => present.has(nameOf(each)))) return
  if (process.env[variable] !== undefined) {
    const missing = wanted.filter((each) => !present.has(nameOf(each))).map(nameOf)
    throw new BootloomError('SOCKET_UNAVAILABLE', `no socket was opened for ${missing.join(', ')}`, {
      details: [`${variable}=${process.env[variable]}`],
    })
  }
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const environment = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const words = ['perl', binder, ...wanted.map(nameOf), '--', ...command]
  // What was compiled up to here is not compiled again.
  flushCompileCache()
  process.execve!('/usr/bin/perl', words, Object.fromEntries(environment))
}

/** The inherited socket of a port, ready to receive. Throws SOCKET_UNAVAILABLE when there is none. */
export async function openSocket(wanted: InterfacePort): Promise<Socket> {
  const fd = inherited().get(nameOf(wanted))
  if (fd === undefined) {
    throw new BootloomError('SOCKET_UNAVAILABLE', `no socket was inherited for ${nameOf(wanted)}`)
  }
  // Addresses are always literal: answering at once spares a turn of the event loop for each datagram.
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
  // Node emits this one before bind() returns.
  const listening = once(socket, 'listening')
  socket.bind({ fd, exclusive: true })
  await listening
  return socket
}
