import { execa } from 'execa'
import { inside } from '../../src/machine/namespace.ts'

/** Sends a line over TCP from inside the lab's namespace and returns what came back within two seconds. */
export async function exchangeInside(namespace: string, address: string, port: number, text: string): Promise<string> {
  const [file, ...words] = inside(namespace, ['busybox', 'nc', '-w', '2', address, String(port)])
  const { stdout } = await execa(file, words, { input: text, reject: false })
  return stdout
}
