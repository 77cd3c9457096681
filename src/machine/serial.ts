import { readFileSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../config/errors.ts'

/** Firmware draws on the serial console with escape sequences and carriage returns; people and patterns want text. */
const plainText = (raw: string): string => raw.replace(/\x1b\[[0-9;?=]*[A-Za-z]/g, '').replace(/[\r\b]+/g, '')

/** The log of a node's serial console, read while QEMU writes it. */
export class SerialLog {
  readonly path: string
  #from = 0

  constructor(path: string) {
    this.path = path
  }

  /** What was printed since the last `mark`. */
  text(): string {
    try {
      return plainText(readFileSync(this.path).subarray(this.#from).toString('latin1'))
    } catch {
      return ''
    }
  }

  /** From now on, only what is printed later counts. */
  mark(): void {
    try {
      this.#from = statSync(this.path).size
    } catch {
      this.#from = 0
    }
  }

  /** The match, once it is there. `timeout` in milliseconds; then LAB_TIMEOUT with the console's last lines. */
  async waitFor(pattern: string | RegExp, timeout: number): Promise<RegExpExecArray> {
    const expression =
      typeof pattern === 'string' ? new RegExp(pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : pattern
    const deadline = Date.now() + timeout
    for (;;) {
      const text = this.text()
      const match = expression.exec(text)
      if (match) return match
      if (Date.now() >= deadline) {
        throw new BootloomError('LAB_TIMEOUT', `the node did not print ${pattern} within ${timeout / 1000} s`, {
          where: this.path,
          details: text.trimEnd().split('\n').slice(-12),
        })
      }
      await sleep(50)
    }
  }
}
