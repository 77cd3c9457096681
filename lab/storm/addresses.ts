import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { StageFailure } from './plan.ts'

/**
 * Gives this namespace the addresses that its nodes lease, once they have leased them and no sooner: a server that
 * probes for conflicts would find them in use. They stand on `lo` with the scope of the host, so that broadcasts still
 * leave from 0.0.0.0, as those of firmware do; ARP for them is answered on every interface.
 */
export class Addresses {
  readonly #child: ChildProcess
  readonly #present = new Set<string>()

  constructor() {
    this.#child = spawn('ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] })
    this.#child.stdin!.on('error', () => {})
  }

  async add(address: string): Promise<void> {
    if (this.#present.has(address)) return
    this.#child.stdin!.write(`address add ${address}/32 dev lo scope host\n`)
    for (let waited = 0; waited < 5000; waited += 5) {
      if (await bindable(address)) {
        this.#present.add(address)
        return
      }
      await sleep(5)
    }
    throw new StageFailure('simulation', `the address ${address} could not be set up`)
  }

  close(): void {
    this.#child.stdin!.end()
  }
}

function bindable(address: string): Promise<boolean> {
  const socket = createSocket('udp4')
  return new Promise((resolve) => {
    socket.once('error', () => {
      socket.close()
      resolve(false)
    })
    socket.bind(0, address, () => {
      socket.close()
      resolve(true)
    })
  })
}
