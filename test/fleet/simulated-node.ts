import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Speaks as a node does to the server's node routes: boots what it is given, says that it is ready unless it cannot with
 * that bundle, and boots anew when it is told to. Loses no time in between.
 */
export class SimulatedNode {
  readonly mac: string
  readonly #server: string
  readonly #works: (bundle: string) => boolean
  readonly #stop = new AbortController()
  readonly #living: Promise<void>
  /** Every bundle that it was given, in order. */
  readonly given: string[] = []
  /** The bundle that it serves with; undefined while it boots. */
  serves: string | undefined
  /** Its agent is dead. */
  deaf = false
  #reset = false

  constructor(server: string, mac: string, works: (bundle: string) => boolean) {
    this.#server = server
    this.mac = mac
    this.#works = works
    this.#living = this.#live()
  }

  /** As pressing its reset button. */
  reset(): void {
    this.#reset = true
  }

  /** As pulling its plug. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#living
  }

  async #live(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#boot().catch(() => {})
      this.serves = undefined
      await sleep(30, undefined, { signal }).catch(() => {})
    }
  }

  async #boot(): Promise<void> {
    const { signal } = this.#stop
    const ask = async (path: string, method = 'GET') =>
      (await fetch(this.#server + path, { method, signal, ...(method === 'POST' ? { body: '' } : {}) })).text()
    const script = await ask(`/ipxe?mac=${this.mac}`)
    const [, bundle] = /bootloom\.bundle=(sha256:[0-9a-f]+)/.exec(script) ?? []
    const [, boot] = /bootloom\.boot=([0-9a-f]+)/.exec(script) ?? []
    if (!bundle || !boot) return
    const me = `mac=${this.mac}&boot=${boot}`
    await ask(`/overlay?${me}`)
    this.given.push(bundle)
    await ask(`/report?${me}&stage=network`, 'POST')
    const works = this.#works(bundle)
    await ask(`/report?${me}&stage=${works ? 'ready' : 'failed'}`, 'POST')
    if (!works) return
    this.serves = bundle
    this.#reset = false
    while (!signal.aborted) {
      await sleep(40, undefined, { signal })
      if (this.#reset || (!this.deaf && /^do=reboot/m.test(await ask(`/orders?${me}`)))) break
    }
  }
}
