import type { Socket } from 'node:net'
import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const sendfile: (socket: number, file: number, offset: readonly number[], count: number) => number = libc.func(
  'intptr_t sendfile(int, int, _In_ int64_t *, size_t)',
)
const setsockopt: (socket: number, level: number, name: number, value: readonly number[], length: number) => number =
  libc.func('int setsockopt(int, int, int, _In_ int *, unsigned int)')
const [IPPROTO_TCP, TCP_CORK] = [6, 3]

/**
 * Hands bytes of a file to the kernel, which sends them from where they are, uncopied (sendfile(2)). What was written to
 * the socket before must have left Node. Returns how many it took: 0 when its buffer is full, or it sends none this way.
 */
export function sendFile(socket: Socket, file: number, offset: number, count: number): number {
  const descriptor = descriptorOf(socket)
  return descriptor === undefined ? 0 : Math.max(0, sendfile(descriptor, file, [offset], count))
}

/** While a socket is corked, only full packets leave it: what is written and what is sent from files share them (tcp(7)). */
export function cork(socket: Socket, on: boolean): void {
  const descriptor = descriptorOf(socket)
  if (descriptor !== undefined) setsockopt(descriptor, IPPROTO_TCP, TCP_CORK, [on ? 1 : 0], 4)
}

/** Node tells it nowhere else. Gone once the socket is closed. */
function descriptorOf(socket: Socket): number | undefined {
  const { fd } = (socket as { _handle?: { fd?: number } })._handle ?? {}
  return fd !== undefined && fd >= 0 ? fd : undefined
}
