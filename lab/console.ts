import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { BootloomError } from '../src/config/errors.ts'
import { consoleLogOf, consoleSocketOf } from './node.ts'
import type { Place } from './place.ts'

/** Ctrl-], as telnet and `virsh console` have it. */
const leave = 0x1d

/**
 * Connects this terminal to a node's serial console until Ctrl-], or until the node is powered off. Shows first what was
 * printed last. Without a terminal it shows what the node prints and sends what comes in.
 */
export async function attachConsole(place: Place, index: number): Promise<void> {
  const connection = createConnection(consoleSocketOf(place, index))
  const { stdin, stdout } = process
  await new Promise<void>((resolve, reject) => {
    connection.once('connect', resolve)
    connection.once('error', (cause) =>
      reject(new BootloomError('LAB_NOT_UP', `the console of node ${index} does not answer`, { cause })),
    )
  })
  if (stdin.isTTY) process.stderr.write(`console of node ${index}; leave with Ctrl-]\n`)
  stdout.write(readFileSync(consoleLogOf(place, index)).subarray(-2048))
  connection.pipe(stdout, { end: false })
  stdin.setRawMode?.(true)
  const onInput = (data: Buffer) => {
    const at = stdin.isTTY ? data.indexOf(leave) : -1
    connection.write(at < 0 ? data : data.subarray(0, at))
    if (at >= 0) connection.end()
  }
  stdin.on('data', onInput)
  try {
    await new Promise<void>((resolve) => connection.once('close', () => resolve()).on('error', () => {}))
  } finally {
    stdin.off('data', onInput)
    stdin.setRawMode?.(false)
    stdin.pause()
    if (stdin.isTTY) process.stderr.write('\n')
  }
}
