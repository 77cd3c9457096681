import { writeFile } from 'node:fs/promises'
import { run } from '../../src/config/command.ts'
import { placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from '../storm/lab.ts'
import { createNodesNamespace, removeNodesNamespace } from '../storm/network.ts'
import { clients, type Row, runClients } from './clients.ts'
import { runCloudInit } from './cloud-init.ts'
import { bootMachines, machines, otherMachines, otherPrograms } from './machines.ts'

/**
 * Runs every client on its road and writes docs/reference/conformance.md: run.ts [PART OF A CLIENT'S NAME]; with one, it
 * runs those alone and writes nothing. Ends with status 1 when one fails.
 */
const page = new URL('../../docs/reference/conformance.md', import.meta.url)

const part = process.argv[2]
const wanted = ({ client }: { readonly client: string }) => client.includes(part ?? '')

await becomeRoot()
const place = placeOf({ name: 'bootloom-bench' })
const rows: Row[] = []
const onRow = (row: Row) => {
  console.log(`${row.result.padEnd(8)} ${row.client} ${row.version}, ${row.road}: ${row.note}`)
  rows.push(row)
}
const progress = ({ step }: { step: string }) => console.error(`  ${step}`)
if ([...clients, ...machines, { client: 'cloud-init' }].some(wanted)) {
  await inStormLab(place, { blueprint: 'apache', progress }, async (api) => {
    await createNodesNamespace(place)
    try {
      await runClients(place, clients.filter(wanted), onRow)
      if (wanted({ client: 'cloud-init' })) onRow(await runCloudInit(place, api))
    } finally {
      await removeNodesNamespace(place)
    }
    await bootMachines(place, api, machines.filter(wanted), onRow)
  })
}
if (otherMachines.some(wanted)) {
  const settings = { boot: { programs: otherPrograms } }
  await inStormLab(place, { blueprint: 'apache', settings, progress }, (api) =>
    bootMachines(place, api, otherMachines.filter(wanted), onRow),
  )
}

const release = (await run('lsb_release', ['-ds']).catch(() => 'Debian 12')).trim()
if (part === undefined) await writeFile(page, pageOf(rows))
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
