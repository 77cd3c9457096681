import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** An admin's own Redis, on a port of the loopback; its process is for the caller to end. */
export async function startRedis() {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  listener.close()
  const words = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const process = spawn('redis-server', words, { stdio: 'ignore' })
  for (let up = false; !up; await sleep(20)) {
    const socket = createConnection(port, '127.0.0.1')
    // Rejects when there is an error instead.
    up = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
  }
  return { url: `redis://127.0.0.1:${port}`, process }
}
