import { readFile } from 'node:fs/promises'
import { loadSettings } from '../../src/config/load.ts'
import { silent } from '../../src/config/log.ts'
import { startTftp } from '../../src/tftp/server.ts'

/** Our TFTP server with one directory's files in memory, as `bootloom serve` has them: ADDRESS PORT FILE… */
const [address, port, ...paths] = process.argv.slice(2)
const files = new Map(
  await Promise.all(paths.map(async (path) => [path.split('/').at(-1)!, await readFile(path)] as const)),
)
const { tftp } = loadSettings({ env: {}, cwd: '/' }).settings
await startTftp({
  address: address!,
  port: Number(port),
  settings: { ...tftp, sessions: { perClient: 256, total: 1024 } },
  files(name) {
    const bytes = files.get(name)
    return bytes && [bytes]
  },
  log: silent,
  onEvent() {},
})
