import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Settings } from '../../config/settings.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

export function checkInterface({ network }: Settings): Finding[] {
  const name = network.interface
  if (name === undefined) {
    const mend = 'Name it with network.interface in bootloom.yaml (the lab brings its own network).'
    return [warn('interface', 'no boot interface is named, so nothing is served to nodes', mend)]
  }
  const addresses = networkInterfaces()[name]
  if (!addresses) {
    return [
      fail('interface', `${name} is not here, or has no address`, `See \`ip address\`; \`ip link set ${name} up\`.`),
    ]
  }
  const own = addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => address)
  if (own.length === 0) {
    return [fail('interface', `${name} has no IPv4 address`, `Give it one: ip address add 10.77.0.1/24 dev ${name}`)]
  }
  if (network.address !== undefined && !own.includes(network.address)) {
    const mend = `Set network.address to one of ${own.join(', ')}, or leave it out.`
    return [fail('interface', `${network.address} is not an address of ${name}`, mend)]
  }
  return [ok('interface', `${name}, ${network.address ?? own[0]}`)]
}

/** Ports are looked at only where an interface is named: without one nothing is served. */
export async function checkPorts(settings: Settings): Promise<Finding[]> {
  const { network, dhcp, tftp, http } = settings
  if (network.interface === undefined) return []
  const findings: Finding[] = []
  if (dhcp.mode !== 'off') findings.push(finding('dhcp', 'UDP', 67, await udpOutcome(67)))
  if (tftp.enabled) findings.push(finding('tftp', 'UDP', tftp.port, await udpOutcome(tftp.port)))
  findings.push(finding('http', 'TCP', http.port, await tcpOutcome(http.port)))
  return findings
}

/** `free`, or the code of the error. */
type Outcome = string

function finding(service: string, protocol: string, port: number, outcome: Outcome): Finding {
  const check = `port ${port} (${service})`
  if (outcome === 'free') return ok(check, `${protocol} ${port} is free`)
  if (outcome === 'EACCES') {
    return fail(check, `this account may not open ${protocol} ${port}`, 'Run as root, or grant CAP_NET_BIND_SERVICE.')
  }
  const mend = `A Bootloom that serves already is fine; else see \`ss -lnp 'sport = :${port}'\` and end it, or set ${service}.port.`
  return warn(
    check,
    `${protocol} ${port} is taken (${outcome})`,
    service === 'dhcp' ? mend.replace(/, or set.*/, '.') : mend,
  )
}

function udpOutcome(port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.bind(port, () => socket.close(() => resolve('free')))
  })
}

function tcpOutcome(port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen(port, () => server.close(() => resolve('free')))
  })
}
