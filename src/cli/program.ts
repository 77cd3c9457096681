import { Command } from 'commander'
import metadata from '../../package.json' with { type: 'json' }
import { addBlueprint } from './blueprint.ts'
import { addBundle } from './bundle.ts'
import { addChange } from './change.ts'
import { addChannel } from './channel.ts'
import { addCompose } from './compose.ts'
import { addConfig } from './config.ts'
import { addDhcp } from './dhcp.ts'
import { addDoctor } from './doctor.ts'
import { addEvents } from './events.ts'
import { addGroup } from './group.ts'
import { addImpact } from './impact.ts'
import { addKernel } from './kernel.ts'
import { addLab } from './lab.ts'
import { addLease } from './lease.ts'
import { addNode } from './node.ts'
import { addObserve } from './observe.ts'
import { addPin } from './pin.ts'
import { addRepo } from './repo.ts'
import { addRollback } from './rollback.ts'
import { addRollout } from './rollout.ts'
import { addRule } from './rule.ts'
import { addServe } from './serve.ts'

/** The whole command line. The nouns load what they do only when they are asked to, so that --help is quick. */
export function buildProgram(): Command {
  const program = new Command('bootloom')
    .description('Boots servers over the network into RAM, with only the files that their application uses.')
    .version(metadata.version)
    .option('--json', 'print one JSON document instead of text')
    .option('--state <directory>', 'the state directory (setting: state)')
    .option('--config <file>', 'the settings file (else BOOTLOOM_CONFIG, ./bootloom.yaml, /etc/bootloom/bootloom.yaml)')
  const nouns = [
    addServe,
    addNode,
    addGroup,
    addLease,
    addDhcp,
    addBlueprint,
    addObserve,
    addCompose,
    addBundle,
    addKernel,
    addChannel,
    addChange,
    addRollback,
    addRollout,
    addRepo,
    addImpact,
    addPin,
    addRule,
    addEvents,
  ]
  for (const add of [...nouns, addLab, addDoctor, addConfig]) add(program)
  settle(program)
  return program
}

/** Commander prints nothing of its own but help: errors are thrown, so that they come out in one form. */
function settle(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({ showGlobalOptions: true })
  for (const child of command.commands) settle(child)
}
