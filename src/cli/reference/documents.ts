import { blueprintReference, blueprintSchemaFile } from './blueprint.ts'
import { commandsReference } from './commands.ts'
import { dhcpOptionsReference } from './dhcp-options.ts'
import { errorsReference } from './errors.ts'
import { settingsReference } from './settings.ts'

const notice = '<!-- Written by `npm run docs` from the sources; changes made here are lost. -->\n\n'

/** What `npm run docs` writes: path in the checkout → text. A test fails when a file differs. */
export const documents: Readonly<Record<string, () => string>> = {
  'docs/reference/errors.md': () => notice + errorsReference(),
  'docs/reference/settings.md': () => notice + settingsReference(),
  'docs/reference/blueprint.md': () => notice + blueprintReference(),
  'docs/reference/dhcp-options.md': () => notice + dhcpOptionsReference(),
  'docs/reference/cli.md': () => notice + commandsReference(),
  'templates/blueprints/blueprint.schema.json': blueprintSchemaFile,
}
