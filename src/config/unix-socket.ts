import { connect } from 'node:net'

/** Whether a server listens on a Unix socket; a socket that a killed process left behind does not count. */
export function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(path)
    const settle = (value: boolean) => {
      connection.destroy()
      resolve(value)
    }
    connection.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}
