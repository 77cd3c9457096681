import type { Command } from 'commander'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { channelPath } from './channel.ts'
import { addCommand } from './command.ts'
import { printResult } from './output.ts'

interface RolledBack {
  readonly channel: string
  readonly digest: string
}

export function addRollback(program: Command): void {
  addCommand(program, {
    words: 'rollback <name>',
    description:
      'Move a blueprint back to its previous bundle, at once; repeated, further back. Nodes take it at their next start.',
    example: 'bootloom rollback apache --to 3f2a9c',
  })
    .option('--to <digest>', 'to this bundle of the blueprint; six digits of its digest are enough')
    .option('--channel <channel>', 'the channel: stable or candidate', 'stable')
    .action(async (name: string, { to, channel }: { to?: string; channel: string }, command: Command) => {
      const path = `${channelPath(name)}/${encodeURIComponent(channel)}/rollback`
      const result = await withApi(command, (api) => api.send<RolledBack>('POST', path, to === undefined ? {} : { to }))
      await printResult(command, result, () => `${result.channel} of ${name} is ${shortDigest(result.digest)} again`)
    })
}
