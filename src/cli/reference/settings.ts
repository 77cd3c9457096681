import { z } from 'zod'
import { leaves } from '../../config/leaves.ts'
import { settingsSchema } from '../../config/settings.ts'
import { type JsonSchema, markdownTable, rows } from './schema.ts'

/** docs/reference/settings.md: every setting of the schema, with its variable. */
export function settingsReference(): string {
  const schema = z.toJSONSchema(settingsSchema, { io: 'input' }) as JsonSchema
  const variables = new Map(leaves.map(({ path, variable }) => [path.join('.'), variable]))
  const lines = [...rows(schema)].map(({ path, takes, fallback, meaning }) => [
    `\`${path}\``,
    takes,
    fallback,
    variables.has(path) ? `\`${variables.get(path)}\`` : '',
    meaning,
  ])
  return `# Settings

Settings come from \`bootloom.yaml\`, from environment variables and from flags; a flag stands over a variable, a variable
over the file. The file is the one that \`--config\` names, else the one that \`BOOTLOOM_CONFIG\` names, else
\`./bootloom.yaml\`, else \`/etc/bootloom/bootloom.yaml\`; none is needed. Variables that hold a list or keys are written as
YAML or JSON. A name that does not exist is an error, in the file as in the environment. \`bootloom config --show\` prints
what is in force and where each of it comes from; credentials are never printed.

\`--state\` gives \`state\`; \`serve --interface\` gives \`network.interface\`.

${markdownTable(['setting', 'takes', 'default', 'variable', 'meaning'], lines)}

\`\`\`yaml
network: { interface: eth1 }
dhcp:
  subnets:
    - subnet: 10.77.0.0/24
      range: [10.77.0.100, 10.77.0.199]
      router: 10.77.0.1
unknown: { action: local }
\`\`\`
`
}
