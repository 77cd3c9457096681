import { writeFile } from 'node:fs/promises'
import { run } from '../../src/config/command.ts'
import { placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from '../storm/lab.ts'
import { createNodesNamespace, removeNodesNamespace } from '../storm/network.ts'
import { type Row, runClients } from './clients.ts'
import { bootMachines } from './machines.ts'

/** Runs every client on its road and writes docs/reference/conformance.md. Ends with status 1 when one fails. */
const page = new URL('../../docs/reference/conformance.md', import.meta.url)

await becomeRoot()
const place = placeOf({ name: 'bootloom-bench' })
const rows: Row[] = []
const onRow = (row: Row) => {
  console.log(`${row.result.padEnd(8)} ${row.client} ${row.version}, ${row.road}: ${row.note}`)
  rows.push(row)
}
const progress = ({ step }: { step: string }) => console.error(`  ${step}`)
await inStormLab(place, { blueprint: 'apache', progress }, async (api) => {
  await createNodesNamespace(place)
  await runClients(place, onRow).finally(() => removeNodesNamespace(place))
  await bootMachines(place, api, onRow)
})

const release = (await run('lsb_release', ['-ds']).catch(() => 'Debian 12')).trim()
await writeFile(page, pageOf(rows))
if (rows.some(({ result }) => result === 'fails')) process.exitCode = 1

function pageOf(table: readonly Row[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
  return `# Clients and roads

Written by \`npm run conformance\`, which runs every row against a running server: machines in QEMU until they report
ready, clients in a network namespace until they have their lease or every byte of their file.

${release}, ${new Date().toISOString().slice(0, 10)}.

| client | version | road | result | note |
|---|---|---|---|---|
${table.map((row) => `| ${[row.client, row.version, row.road, row.result, row.note].map(cell).join(' | ')} |`).join('\n')}
`
}
