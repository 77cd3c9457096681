import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** The npm package `tftp2` as a client: tftp2-client.ts SERVER FILE INTO. */
const [server, file, into] = process.argv.slice(2) as [string, string, string]
const tftp2 = createRequire(import.meta.url)('tftp2')
const client = tftp2(server, 69)
const parts: Buffer[] = []
await client.read(
  file,
  (part: Buffer) => parts.push(Buffer.from(part)),
  () => {},
)
client.close()
writeFileSync(into, Buffer.concat(parts))
