import { z } from 'zod'
import { foreignSchema } from '../../blueprint/foreign.ts'
import { blueprintSchema } from '../../blueprint/schema.ts'
import { type JsonSchema, markdownTable, rows } from './schema.ts'

const jsonOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input' })

/** templates/blueprints/blueprint.schema.json: what editors check and complete a blueprint with. */
export const blueprintSchemaFile = (): string =>
  `${JSON.stringify(
    { title: 'Bootloom blueprint', anyOf: [jsonOf(blueprintSchema), jsonOf(foreignSchema)] },
    undefined,
    2,
  )}\n`

/** docs/reference/blueprint.md */
export function blueprintReference(): string {
  const linesOf = (schema: z.ZodType) =>
    [...rows(jsonOf(schema) as JsonSchema)].map(({ path, takes, fallback, meaning }) => [
      `\`${path}\``,
      takes,
      fallback,
      meaning,
    ])
  return `# Blueprints

A blueprint is one YAML file that names an application: where its components come from, how it is started, and how one
sees that it is up. Bootloom finds out the rest by watching it run. Ready-made ones are in \`templates/blueprints/\`.
Relative paths count from the file. For completion in an editor, begin the file with

\`\`\`yaml
# yaml-language-server: $schema=blueprint.schema.json
\`\`\`

${markdownTable(['key', 'takes', 'default', 'meaning'], linesOf(blueprintSchema))}

## How it is started

Give one of these, or none of them:

- nothing: the systemd unit that bears the name of a package named, or the only one that the named packages ship;
- \`service: postgresql@15-main\`: that unit; instances of templates too. Its start, reload and stop, account, directories,
  environment and type fill everything in, drop-ins included (one among the \`files\` will do);
- \`services\`: several, each by a unit or a start of its own, with their order;
- \`start\`: a command, where no unit says how.

\`bootloom blueprint show NAME --services\` prints what came of it, and which settings of a unit are not acted on.

## What to drive

A workload is run once, from top to bottom, in the full stack while it is watched, and again in the bundle before that is
published. Drive what the application is to do on the node. Start and stop are always watched; \`reload\`, \`rotate\` and
\`restart\` are driven where the workload asks for them. Commands, SQL and scripts run beside the application and find
their programs in the full stack; what they touch is not taken for the application's doing.

## Foreign blueprints

A blueprint with the key \`foreign\` names a kernel, initrds and a command line that somebody else made: a distribution's
installer, a live image, what the boot server before this one served. \`bootloom compose NAME\` fetches the files, checks
the digests that are named, and moves the channel; nothing is observed. A file is a path, a URL, or \`{ from, sha256 }\`.
The init that runs is theirs, so the boot ends as \`delivered\` once the last byte was handed over: whether the node came
up is not known. It gets no overlay and no end marker.

\`\`\`yaml
name: debian-installer
foreign:
  kernel: https://mirror.example/debian-installer/amd64/linux
  initrds:
    - from: ./initrd.gz
      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  cmdline: auto=true url={{server}}/nocloud/{{mac}}/user-data console=ttyS0
\`\`\`

${markdownTable(['key', 'takes', 'default', 'meaning'], linesOf(foreignSchema))}
`
}
