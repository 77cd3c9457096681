import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { searchPath } from '../service.ts'
import type { Kept } from './kept.ts'

/** What scripts told services: each is done once the script has ended. */
export type Told =
  | { readonly service: Kept; readonly what: 'reload' | 'restart' }
  | { readonly service: Kept; readonly signal: string }

/** Where a script finds what stands in for systemd while it runs; below a name that no package uses. */
const place = '/tmp/.bootloom-rotate'

/** What stands in for systemd and init, which do not run here, while a script of a package runs. `root`: from outside. */
export async function placeStandIns(root: string): Promise<void> {
  await mkdir(join(root, place), { mode: 0o755 })
  for (const name of ['systemctl', 'service', 'invoke-rc.d']) {
    await writeFile(join(root, place, name), manager, { mode: 0o755 })
  }
}

export async function removeStandIns(root: string): Promise<void> {
  await rm(join(root, place), { recursive: true })
}

/** The script, finding them before the real ones. Where one service is kept, it is meant by whatever name. */
export function tellingUs(script: string, services: readonly Kept[]): string {
  const known = services.length === 1 ? '*' : services.flatMap(namesOf).join(' ')
  return `PATH=${place}:${searchPath} BOOTLOOM_SERVICES='${known}'\nexport PATH BOOTLOOM_SERVICES\n${script}`
}

/** What scripts have said since it was asked last. */
export async function toldIn(root: string, services: readonly Kept[]): Promise<Told[]> {
  const text = await readFile(join(root, place, 'told'), 'utf8').catch(() => '')
  await rm(join(root, place, 'told'), { force: true })
  return text.split('\n').flatMap((line): Told[] => {
    const [what = '', name = ''] = line.split(' ')
    const service = services.length === 1 ? services[0] : services.find((kept) => namesOf(kept).includes(name))
    if (!service || what === '') return []
    if (what === 'reload' || what === 'restart') return [{ service, what }]
    return [{ service, signal: what.replace(/^SIG/, '') }]
  })
}

/** Names that a script may call a service by: its unit's, the blueprint's, and its program's. */
const namesOf = ({ service: { name, unit = '', start } }: Kept): string[] =>
  [name, posix.basename(unit, '.service'), posix.basename(start.words[0]!)].filter((one) => /^[\w.:@-]+$/.test(one))

/**
 * systemctl(1), service(8) and invoke-rc.d(8) as far as scripts of logrotate use them. What is asked of a service goes
 * into a file; an action that only its init script knows is that script's.
 */
const manager = `#!/bin/sh
told=${place}/told
signal=TERM words=
while [ $# -gt 0 ]; do
  case $1 in
    -s | --signal) signal=$2; shift ;;
    --signal=*) signal=\${1#*=} ;;
    -*) ;;
    *) words="$words $1" ;;
  esac
  shift
done
set -- $words
case \${0##*/} in
  systemctl) action=$1 name=\${2%.service} ;;
  *) name=\${1%.service} action=$2 ;;
esac
case " $BOOTLOOM_SERVICES " in
  ' * ' | *" $name "*) here=yes ;;
  *) here=no ;;
esac
case $action in
  status | is-active) [ $here = yes ] || exit 3 ;;
  *) [ $here = yes ] || exit 0 ;;
esac
case $action in
  status | is-active | is-enabled | start) ;;
  restart | try-restart | condrestart) echo "restart $name" >>$told ;;
  kill) echo "$signal $name" >>$told ;;
  reload | force-reload | reload-or-restart | try-reload-or-restart) echo "reload $name" >>$told ;;
  *) [ ! -x "/etc/init.d/$name" ] || exec "/etc/init.d/$name" "$action" ;;
esac
`
