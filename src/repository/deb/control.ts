/** Fields by lower-case name. */
export type Stanza = ReadonlyMap<string, string>

/**
 * Stanzas of the control format (deb-control(5)): fields by lower-case name. Continuation lines stay as they are, so a
 * value can be written out again after `Name: `.
 */
export function parseStanzas(text: string): Map<string, string>[] {
  const stanzas: Map<string, string>[] = []
  let fields: Map<string, string> | undefined
  let last = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue
    if (line.trim() === '') {
      fields = undefined
      continue
    }
    if (fields === undefined) {
      fields = new Map()
      stanzas.push(fields)
    }
    if (/^[ \t]/.test(line)) {
      fields.set(last, `${fields.get(last) ?? ''}\n${line}`)
      continue
    }
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    last = line.slice(0, colon).toLowerCase()
    fields.set(last, line.slice(colon + 1).trim())
  }
  return stanzas
}

/** `Source: name (version)`: the source package where its name or version is another than the binary's. */
export function sourcePackageOf(fields: ReadonlyMap<string, string>): { name: string; version: string } | undefined {
  const match = fields.get('source')?.match(/^(\S+)(?:\s+\((\S+)\))?$/)
  if (!match) return undefined
  const name = match[1]!
  const version = match[2] ?? fields.get('version')!
  return name === fields.get('package') && version === fields.get('version') ? undefined : { name, version }
}
