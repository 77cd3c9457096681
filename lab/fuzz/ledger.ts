/** Of datagrams: the largest answer, and the largest sum of answers, against what was sent. */
export interface Amplification {
  readonly sent: number
  readonly answers: number
  readonly largestRatio: number
  readonly largestTotalRatio: number
  /**
   * The same of TFTP's first block: RFC 1350 has the server send 512 bytes to whoever asks without options, and only the
   * acknowledgement verifies the asker. It is no part of the other figures.
   */
  readonly firstBlock: { readonly answers: number; readonly largestRatio: number; readonly largestTotalRatio: number }
  /** The request behind the largest ratio, as hex. */
  readonly worst: string
}

/** Bytes sent for each question not yet forgotten, and what came back. */
export class Ledger {
  sent = 0
  answers = 0
  largestRatio = 0
  largestTotalRatio = 0
  worst = ''
  firstBlock = { answers: 0, largestRatio: 0, largestTotalRatio: 0 }
  readonly #open = new Map<string | number, { readonly asked: Buffer; got: number }>()

  ask(key: string | number, packet: Buffer): void {
    this.sent++
    this.#open.delete(key)
    this.#open.set(key, { asked: Buffer.from(packet), got: 0 })
    if (this.#open.size > 8000) this.#open.delete(this.#open.keys().next().value!)
  }

  answer(key: string | number, bytes: number, isFirstBlock = false): void {
    const entry = this.#open.get(key)
    const ratio = entry ? bytes / entry.asked.length : 0
    if (entry) entry.got += bytes
    const total = entry ? entry.got / entry.asked.length : 0
    const figures = isFirstBlock ? this.firstBlock : this
    figures.answers++
    figures.largestTotalRatio = Math.max(figures.largestTotalRatio, total)
    if (ratio <= figures.largestRatio) return
    figures.largestRatio = ratio
    if (!isFirstBlock) this.worst = entry!.asked.toString('hex')
  }

  get figures(): Amplification {
    const { sent, answers, largestRatio, largestTotalRatio, firstBlock, worst } = this
    return { sent, answers, largestRatio, largestTotalRatio, firstBlock, worst }
  }
}
