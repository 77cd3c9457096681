import type { Command } from 'commander'
import type { ListedMiss } from '../change/misses.ts'
import type { ComposeReport } from '../change/report.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { blueprintPath } from './apply.ts'
import { addCommand } from './command.ts'
import { printResult, remark, table } from './output.ts'

/** Adds `blueprint misses`. */
export function addMisses(blueprint: Command): void {
  addCommand(blueprint, {
    words: 'misses <name>',
    description:
      'List the files that the stack has and the bundle lacks, and that running nodes asked for; with --accept, keep them and weave anew.',
    example: 'bootloom blueprint misses shop-frontend --accept /usr/share/apache2/icons/text.gif',
  })
    .option('--accept [paths...]', 'keep these paths from now on, or all that are listed, and weave anew')
    .action(async (name: string, options: { accept?: true | string[] }, command: Command) => {
      if (options.accept) return accept(command, name, options.accept === true ? undefined : options.accept)
      const misses = await withApi(command, (api) => api.get<readonly ListedMiss[]>(`${blueprintPath(name)}/misses`))
      if (misses.length === 0) remark(command, `No node of ${name} missed anything.`)
      await printResult(command, misses, (rows) =>
        table(['path', 'component', 'process', 'node', '>times', 'last', '>waited', 'outcome', ''], rows.map(cells)),
      )
    })
}

const cells = (miss: ListedMiss): (string | number)[] => [
  printable(miss.path),
  miss.component,
  `${miss.process} [${miss.pid}]`,
  miss.nodes.length > 1 ? `${miss.node} +${miss.nodes.length - 1}` : miss.node,
  miss.count,
  new Date(miss.lastAt).toISOString().replace('T', ' ').slice(0, 19),
  miss.took === undefined ? '' : `${miss.took} ms`,
  miss.page === undefined ? miss.outcome : `${miss.outcome} page ${miss.page}`,
  miss.accepted ? 'accepted' : '',
]

/** Names come out of archives. */
const printable = (path: string): string => path.replace(/[\0-\x1f\x7f-\x9f]/g, '?')

async function accept(command: Command, name: string, paths: readonly string[] | undefined): Promise<void> {
  const result = await withApi(command, async (api) => {
    const path = `${blueprintPath(name)}/misses/accept`
    const { accepted } = await api.send<{ accepted: string[] }>('POST', path, paths ? { paths } : {})
    if (accepted.length === 0) return { accepted }
    const { digest } = await api.job<ComposeReport>(`${blueprintPath(name)}/compose`, {})
    return { accepted, bundle: digest }
  })
  await printResult(command, result, ({ accepted, bundle }) =>
    bundle === undefined
      ? 'nothing to accept'
      : [...accepted.map((path) => `kept  ${printable(path)}`), `bundle ${shortDigest(bundle)}`].join('\n'),
  )
}
