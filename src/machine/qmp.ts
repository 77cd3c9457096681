import { once } from 'node:events'
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
import { BootloomError } from '../config/errors.ts'

type Command = 'system_reset' | 'stop' | 'cont' | 'quit' | 'query-status' | 'query-replay' | 'send-key'

/** One command of the QEMU Machine Protocol on a connection of its own. Ends at the answer, or after five seconds. */
export async function qmp(socket: string, command: Command, words: object = {}): Promise<unknown> {
  const connection = createConnection(socket)
  connection.setTimeout(5000, () => connection.destroy(new Error('QEMU does not answer')))
  try {
    await once(connection, 'connect')
    const asked = JSON.stringify({ execute: command, arguments: words, id: 1 })
    connection.write(`{"execute":"qmp_capabilities"}\n${asked}\n`)
    for await (const line of createInterface({ input: connection })) {
      const message = JSON.parse(line) as { id?: number; return?: unknown; error?: { desc: string } }
      if (message.error) throw new Error(message.error.desc)
      if (message.id === 1) return message.return
    }
    throw new Error('QEMU closed the connection')
  } catch (error) {
    throw new BootloomError('LAB_FAILED', `QEMU did not take ${command}: ${(error as Error).message}`, {
      where: socket,
      cause: error,
    })
  } finally {
    connection.destroy()
  }
}
