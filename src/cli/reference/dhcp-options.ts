import { expectationOf } from '../../dhcp/option-kinds.ts'
import { settableOptions } from '../../dhcp/option-table.ts'
import { markdownTable } from './schema.ts'

/** docs/reference/dhcp-options.md: every option that may be named, with its number and type. */
export function dhcpOptionsReference(): string {
  const lines = Object.entries(settableOptions)
    .sort(([, [a]], [, [b]]) => a - b)
    .map(([name, [code, kind]]) => [String(code), `\`${name}\``, expectationOf(kind)])
  return `# DHCP options

These may be set for all clients (\`dhcp.options\`), for a subnet, for a class, with a reservation, and for groups and nodes
(\`bootloom group set NAME --option …\`, \`bootloom node set MAC --option …\`); each of them stands over the ones before.
An option that is not here goes by its number, with its bytes in hexadecimal: \`224: 0a:0b\`. What the protocol itself
fills in cannot be set. Where an option takes a list, a single value will do. Options that a client has no room for are
left out, those first that it did not ask for.

${markdownTable(['option', 'name', 'takes'], lines)}

\`\`\`yaml
dhcp:
  options: { ntpServers: [10.77.0.5], domainSearch: [rack.example] }
  classes:
    - name: gpu
      match: { mac: "52:54:00:bb:*" }
      options: { interfaceMtu: 9000 }
  subnets:
    - subnet: 10.77.0.0/24
      pools:
        - range: [10.77.0.100, 10.77.0.149]
        - { range: [10.77.0.150, 10.77.0.199], class: gpu }
      options: { classlessStaticRoutes: ["10.80.0.0/16 10.77.0.254"] }
      reservations:
        - { mac: "52:54:00:aa:00:01", address: 10.77.0.50, options: { hostName: one } }
        - { circuitId: "rack 4 port 7", address: 10.77.0.57 }
\`\`\`
`
}
