import { type Command, Option } from 'commander'
import { createLogger } from '../config/log.ts'
import { settingsOf } from './api.ts'
import { addCommand } from './command.ts'

interface ServeOptions {
  readonly role: 'boot' | 'control' | 'all'
  readonly interface?: string
}

export function addServe(program: Command): void {
  addCommand(program, {
    words: 'serve',
    description:
      'Serve nodes on the boot interface (DHCP, TFTP, HTTP), and the admin API on the state directory’s socket.',
    example: 'bootloom serve --config /etc/bootloom/bootloom.yaml',
  })
    .addOption(
      new Option('--role <role>', 'what this process is: the nodes’ side, the admins’ side, or both')
        .choices(['boot', 'control', 'all'])
        .default('all'),
    )
    .option('--interface <name>', 'the boot interface (setting: network.interface)')
    .action(async ({ role, interface: name }: ServeOptions, command: Command) => {
      // The control role touches no network, so it needs no interface.
      const serving = role !== 'control'
      const { settings } = settingsOf(command, { ...(name === undefined ? {} : { interface: name }), serving })
      const log = createLogger(settings.log)
      const asked = endAsked()
      const { startServer } = await import('../roles.ts')
      const server = await startServer(settings, role, log)
      await asked
      await server.close()
    })
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function endAsked(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    const onSignal = () => {
      if (asked) process.exit(130)
      asked = true
      resolve()
    }
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  })
}
