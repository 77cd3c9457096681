import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { BootloomError } from '../src/config/errors.ts'
import { inside } from '../src/machine/namespace.ts'

export interface Forward {
  /** On 127.0.0.1 of the machine. */
  readonly port: number
  close(): Promise<void>
}

interface ForwardOptions {
  /** 0 takes a free one. */
  readonly port: number
  /** Where to, inside the namespace. */
  readonly to: { readonly address: string; readonly port: number }
}

/**
 * Forwards a port of 127.0.0.1 on the machine into a namespace: this process listens, and hands each connection to a
 * child that lives inside and can reach the nodes. The child ends with us.
 */
export async function openForward(namespace: string, { port, to }: ForwardOptions): Promise<Forward> {
  const [file, ...args] = inside(namespace, [
    process.execPath,
    fileURLToPath(import.meta.url),
    to.address,
    String(to.port),
  ])
  // A session of its own: Ctrl-C in the terminal is for us, and closing the channel ends it.
  const child = spawn(file, args, { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  child.on('error', () => {})
  // Paused, or bytes read here before the hand-over would be lost.
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    child.send('connection', socket, (error) => error && socket.destroy())
  })
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (cause) {
    child.disconnect()
    throw new BootloomError('LAB_FAILED', `port ${port} of 127.0.0.1 cannot be opened: ${(cause as Error).message}`, {
      hint: 'Free the port, or take another with --port.',
      cause,
    })
  }
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : port,
    async close() {
      server.close()
      if (!child.connected) return
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

/** The child: pairs each connection handed in with one of its own to the node. */
function serveInside(address: string, port: number): void {
  process.on('message', (_message, handed) => {
    const outside = handed as Socket | undefined
    if (!outside) return
    const node = createConnection(port, address)
    node.setTimeout(120_000, () => node.destroy())
    for (const [one, other] of [[outside, node] as const, [node, outside] as const]) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
      one.pipe(other)
    }
  })
  process.on('disconnect', () => process.exit(0))
}

if (import.meta.main) serveInside(process.argv[2]!, Number(process.argv[3]))
