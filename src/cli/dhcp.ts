import { type Command, Option } from 'commander'
import { BootloomError } from '../config/errors.ts'
import { type Dialect, dialects, snippet } from '../dhcp/snippets.ts'
import { programNames } from '../fleet/boot-programs.ts'
import { firstAddress } from '../fleet/own-address.ts'
import { settingsOf } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { printResult } from './output.ts'

interface SnippetOptions {
  readonly for: Dialect
  readonly address?: string
}

export function addDhcp(program: Command): void {
  const dhcp = addNoun(program, 'dhcp', 'DHCP beside servers of others.')

  addCommand(dhcp, {
    words: 'snippets',
    description: 'Print the configuration that makes another DHCP server send nodes here (with dhcp.mode off).',
    example: 'bootloom dhcp snippets --for dnsmasq --address 10.77.0.1',
  })
    .addOption(new Option('--for <server>', 'the other server').choices(dialects).makeOptionMandatory())
    .option('--address <address>', 'this server on the boot network (setting: network.address)')
    .action(async (options: SnippetOptions, command: Command) => {
      const { settings } = settingsOf(command)
      const { network, http, boot } = settings
      const address = options.address ?? network.address ?? (network.interface && firstAddress(network.interface)) ?? ''
      if (!/^\d+(\.\d+){3}$/.test(address)) {
        throw new BootloomError('USAGE', 'it is not known by which address nodes find this server', {
          hint: 'Give it with --address, or set network.interface.',
        })
      }
      const text = snippet(options.for, { address, httpPort: http.port, programs: programNames(boot.programs) })
      await printResult(command, { for: options.for, snippet: text }, () => text.trimEnd())
    })
}
