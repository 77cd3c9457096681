import type { Blueprint, Probe } from '../blueprint/schema.ts'
import { accountOf } from './accounts.ts'
import { shellWord, shellWords } from './shell.ts'

/** A file of the description that init reads: below /.bootloom/app, for root alone. */
export interface DescriptionFile {
  readonly name: string
  readonly content: string
}

/**
 * How init starts, probes, reloads and ends the application: one shell file that boot/supervise.sh sources, made of
 * single-quoted words only, and the texts of the probe as files of their own, for they may hold anything.
 * `passwd` is the bundle's /etc/passwd: owners are resolved here, so that init needs no look-up for directories.
 */
export function describeApplication(blueprint: Blueprint, passwd: string): DescriptionFile[] {
  const { start, probe } = blueprint
  accountOf(passwd, start.user)
  const environment = Object.entries(start.environment)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
  const [program, ...words] = start.command
  // start-stop-daemon executes the program itself, so a name with '=' or a leading dash is a name; -p names a file that
  // never exists, so it never finds the application "already running".
  const become = start.user === 'root' ? '' : ` -c ${shellWord(start.user)}`
  const bare = `env -i -- ${shellWords(environment)}`.trimEnd()
  const launch = `${bare} "$tools/start-stop-daemon" -S -q -p "$run/none"`
  const script = [
    '# Made from the blueprint by `bootloom compose`; sourced by init.',
    `app_name=${shellWord(blueprint.name)}`,
    `app_directory=${shellWord(start.directory)}`,
    `app_stop=${shellWord(start.stop)}`,
    `app_reload=${shellWord(start.reload)}`,
    'app_run() {',
    `  exec setsid ${launch}${become} -x ${shellWord(program!)} -- ${shellWords(words)}`.trimEnd(),
    '}',
    'app_directories() {',
    '  :',
    ...blueprint.writable.map(({ path, owner, mode }) => {
      const { uid, gid } = accountOf(passwd, owner)
      return `  make_directory ${shellWords([path, `${uid}:${gid}`, mode])}`
    }),
    '}',
    'app_probe() {',
    `  ${probeCall(probe, launch)}`,
    '}',
    '',
  ]
  return [{ name: 'app.sh', content: script.join('\n') }, ...probeTexts(probe)]
}

function probeCall(probe: Probe, launch: string): string {
  if ('http' in probe) return `probe_http ${probe.port} ${probe.expect.status}`
  if ('tcp' in probe) return `probe_tcp ${probe.tcp}`
  const [program, ...words] = probe.command
  const call = `${launch} -x ${shellWord(program!)} -- ${shellWords(words)}`.trimEnd()
  return `probe_command ${probe.expect.exit} ${call}`
}

function probeTexts(probe: Probe): DescriptionFile[] {
  const expected = 'tcp' in probe ? probe.expect : probe.expect.contains
  const sent =
    'http' in probe
      ? `GET ${requestTarget(probe.http)} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: bootloom\r\nConnection: close\r\n\r\n`
      : 'tcp' in probe
        ? probe.send
        : undefined
  return [
    ...(sent === undefined ? [] : [{ name: 'probe.send', content: sent }]),
    ...(expected === undefined ? [] : [{ name: 'probe.expect', content: expected }]),
  ]
}

/** The path as it may stand in a request line: no space, no line end, nothing beyond ASCII (RFC 9112, 3.2). */
const requestTarget = (path: string): string => path.toWellFormed().replace(/[^\x21-\x7e]/gu, encodeURIComponent)
