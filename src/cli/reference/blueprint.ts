import { z } from 'zod'
import { blueprintSchema } from '../../blueprint/schema.ts'
import { type JsonSchema, markdownTable, rows } from './schema.ts'

const schema = () => z.toJSONSchema(blueprintSchema, { io: 'input' })

/** templates/blueprints/blueprint.schema.json: what editors check and complete a blueprint with. */
export const blueprintSchemaFile = (): string =>
  `${JSON.stringify({ ...schema(), title: 'Bootloom blueprint' }, undefined, 2)}\n`

/** docs/reference/blueprint.md */
export function blueprintReference(): string {
  const lines = [...rows(schema() as JsonSchema)].map(({ path, takes, fallback, meaning }) => [
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

${markdownTable(['key', 'takes', 'default', 'meaning'], lines)}
`
}
