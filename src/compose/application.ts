import type { Account } from '../blueprint/account.ts'
import type { Blueprint } from '../blueprint/schema.ts'
import type { Command, Service, Step } from '../blueprint/service.ts'
import type { Probe } from '../blueprint/step-schema.ts'
import { BootloomError } from '../config/errors.ts'
import { shellWord, shellWords } from './shell.ts'

/** A file of the description that init reads: below /.bootloom/app, for root alone. */
export interface DescriptionFile {
  readonly name: string
  readonly content: string
}

/**
 * How init starts, probes, reloads and ends the application: app.sh, and service-N.sh for each service in the order of
 * their start. boot/supervise.sh sources them; they are made of single-quoted words only. The texts of the probes are
 * files of their own, for they may hold anything. `passwd` is the bundle's /etc/passwd: ACCOUNT_UNKNOWN where it lacks
 * an account that something is run as.
 */
export function describeApplication(
  blueprint: Pick<Blueprint, 'name' | 'probe'>,
  services: readonly Service[],
  passwd: string,
): DescriptionFile[] {
  for (const { account } of services) requireAccount(account, passwd)
  const numbers = services.map((_, index) => String(index + 1))
  const script = [
    '# Made from the blueprint by `bootloom compose`; sourced by init.',
    `app_name=${shellWord(blueprint.name)}`,
    `app_services=${shellWord(numbers.join(' '))}`,
    shellFunction('app_probe', [probeCall(blueprint.probe, services[0]!)]),
    '',
  ]
  return [
    { name: 'app.sh', content: script.join('\n') },
    ...probeTexts('app', blueprint.probe),
    ...services.flatMap((service, index) => [
      { name: `service-${numbers[index]}.sh`, content: describeService(service, services) },
      ...(service.probe ? probeTexts(`service-${numbers[index]}`, service.probe) : []),
    ]),
  ]
}

function describeService(service: Service, services: readonly Service[]): string {
  const { start, probe } = service
  const after = service.after.map((name) => services.findIndex((other) => other.name === name) + 1)
  return [
    '# Made from the blueprint by `bootloom compose`; sourced by the process that keeps this service running.',
    `service_name=${shellWord(service.name)}`,
    `service_type=${shellWord(service.type)}`,
    `service_after=${shellWord(after.join(' '))}`,
    `service_directory=${shellWord(service.directory)}`,
    `service_pid_file=${shellWord(service.pidFile ?? '')}`,
    `service_umask=${shellWord(service.umask ?? '0022')}`,
    `service_open_files=${shellWord(String(service.openFiles ?? ''))}`,
    shellFunction(
      'service_directories',
      service.directories.map(
        ({ path, uid, gid, mode }) => `make_directory ${shellWords([path, `${uid}:${gid}`, mode])}`,
      ),
    ),
    shellFunction(
      'service_pre',
      service.pre.map((command) => `run_step ${call(command, service)} || ${command.mayFail ? ':' : 'return'}`),
    ),
    shellFunction('service_start', [`exec setsid ${call(start, service)}`]),
    ...(start.mayFail ? ['service_start_may_fail=yes'] : ["service_start_may_fail=''"]),
    shellFunction(
      'service_reload',
      service.reload.map((step) => stepCall(step, service)),
    ),
    shellFunction(
      'service_stop',
      service.stop.map((step) => stepCall(step, service)),
    ),
    shellFunction('service_probe', probe ? [probeCall(probe, service)] : []),
    '',
  ].join('\n')
}

const shellFunction = (name: string, lines: readonly string[]): string =>
  [`${name}() {`, ...(lines.length === 0 ? ['  :'] : lines.map((line) => `  ${line}`)), '}'].join('\n')

const stepCall = (step: Step, service: Service): string =>
  'signal' in step
    ? `signal_main ${shellWord(step.signal)}`
    : `run_step ${call(step, service, true)}${step.mayFail ? ' || :' : ''}`

/**
 * Words that run a command with the service's environment and account. start-stop-daemon executes the program itself, so
 * a name with '=' or a leading dash is a name; -p names a file that never exists, so it never finds the program "already
 * running".
 */
function call(command: Pick<Command, 'words' | 'asRoot'>, service: Service, withMain = false, user?: string): string {
  const { account, environment } = service
  const assignments = Object.entries(environment)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => shellWord(`${name}=${value}`))
  if (withMain) assignments.push('MAINPID="$main"')
  const become = command.asRoot || account.uid === 0 ? '' : ` -c ${account.uid}:${account.gid}`
  const as = user === undefined ? become : ` -c ${shellWord(user)}`
  const [program, ...words] = command.words.map((word) =>
    withMain ? shellWord(word).replaceAll('$MAINPID', `'"$main"'`) : shellWord(word),
  )
  const bare = `env -i -- ${assignments.join(' ')}`.trimEnd()
  return `${bare} "$tools/start-stop-daemon" -S -q -p "$run/none"${as} -x ${program} -- ${words.join(' ')}`.trimEnd()
}

/** The command of a probe runs as its service does, unless it names an account. */
function probeCall(probe: Probe, service: Service): string {
  if ('http' in probe) return `probe_http ${probe.port} ${probe.expect.status}`
  if ('tcp' in probe) return `probe_tcp ${probe.tcp}`
  return `probe_command ${probe.expect.exit} ${call({ words: probe.command, asRoot: false }, service, false, probe.user)}`
}

function probeTexts(name: string, probe: Probe): DescriptionFile[] {
  const expected = 'tcp' in probe ? probe.expect : probe.expect.contains
  const sent =
    'http' in probe
      ? `GET ${requestTarget(probe.http)} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: bootloom\r\nConnection: close\r\n\r\n`
      : 'tcp' in probe
        ? probe.send
        : undefined
  return [
    ...(sent === undefined ? [] : [{ name: `${name}.send`, content: sent }]),
    ...(expected === undefined ? [] : [{ name: `${name}.expect`, content: expected }]),
  ]
}

/** The path as it may stand in a request line: no space, no line end, nothing beyond ASCII (RFC 9112, 3.2). */
const requestTarget = (path: string): string => path.toWellFormed().replace(/[^\x21-\x7e]/gu, encodeURIComponent)

/** start-stop-daemon looks a number up in the bundle's own /etc/passwd, for the groups. */
function requireAccount({ uid, name }: Account, passwd: string): void {
  if (uid === 0 || passwd.split('\n').some((line) => line.split(':')[2] === String(uid))) return
  throw new BootloomError('ACCOUNT_UNKNOWN', `the bundle has no account '${name}'`, { where: '/etc/passwd' })
}
