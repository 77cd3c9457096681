/**
 * Every error a person can meet, in one place. `docs/reference/errors.md` is generated from this table
 * (`npm run docs`) and a test holds the two together. Retired codes are never reused for something else.
 *
 * `status` is the HTTP status the API answers with; `exit` is the command line's exit status
 * (1: it failed, 2: it was asked wrongly). `hint` says what to do.
 */
interface ErrorKind {
  readonly status: number
  readonly exit: 1 | 2
  readonly meaning: string
  readonly hint: string
}

export const catalogue = {
  USAGE: {
    status: 400,
    exit: 2,
    meaning: 'The command line or the request does not fit what the command takes.',
    hint: 'See `bootloom COMMAND --help` for its options and an example.',
  },
  INTERNAL: {
    status: 500,
    exit: 1,
    meaning: 'Bootloom itself failed in a way it did not foresee.',
    hint: 'Run again with BOOTLOOM_LOG_LEVEL=debug and report what it prints.',
  },
  SETTINGS_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'The settings file, the environment or a flag holds a value that does not fit.',
    hint: 'Mend each line named below; `bootloom config --show` prints what is in force.',
  },
  SETTINGS_UNREADABLE: {
    status: 400,
    exit: 2,
    meaning: 'The settings file cannot be read or is no YAML.',
    hint: 'Check the path given with --config, and the line named.',
  },
  TOOL_MISSING: {
    status: 500,
    exit: 1,
    meaning: 'A program that Bootloom needs is not installed.',
    hint: 'Run `bootloom doctor`: it names the Debian package.',
  },
  COMMAND_FAILED: {
    status: 500,
    exit: 1,
    meaning: 'A program that Bootloom called ended with an error.',
    hint: 'Its last lines of output are below.',
  },
  DIGEST_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'A digest is not of the form sha256: and 64 hexadecimal digits.',
    hint: '`bootloom bundle list` prints the digests of bundles.',
  },
  PIN_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'The blueprint has no pin on this package.',
    hint: '`bootloom pin list` lists the pins.',
  },
  PIN_UNAVAILABLE: {
    status: 409,
    exit: 1,
    meaning: 'A package is pinned to a version that neither the archive nor the store has.',
    hint: 'Pin it to a version that is there, or `bootloom pin remove` it.',
  },
  SECURITY_DATA: {
    status: 502,
    exit: 1,
    meaning: 'Security data cannot be read from where the settings say, or is not in the format expected there.',
    hint: 'Check security.tracker and security.osv in the settings.',
  },
  CVE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'The security data at hand does not know this CVE for the releases that blueprints draw on.',
    hint: 'Check its name, and set security.tracker or security.osv in the settings.',
  },
  COMPONENT_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'Neither the store nor an archive has this version of the package.',
    hint: '`bootloom repo list` lists the versions known; `bootloom impact NAME` takes the newest offered.',
  },
  BLOB_MISSING: {
    status: 404,
    exit: 1,
    meaning: 'The store does not hold a blob that is referred to.',
    hint: 'Run `bootloom repo update` and `bootloom compose NAME` to make it anew.',
  },
  BLOB_CORRUPT: {
    status: 500,
    exit: 1,
    meaning: 'A blob in the store does not have the digest that it is named by.',
    hint: 'Check the disk; remove the blob and run `bootloom repo update` to fetch it again.',
  },
  DISK_FULL: {
    status: 507,
    exit: 1,
    meaning: 'The disk that holds the state directory is full. Nothing half-written was left behind.',
    hint: 'Free some space, then run the same command again: it goes on where it stopped.',
  },
  NOT_PERMITTED: {
    status: 500,
    exit: 1,
    meaning: 'The account that Bootloom runs as lacks a right that the work needs.',
    hint: 'Run as root (sudo), or choose a directory of your own with --state.',
  },
  REDIS_UNREACHABLE: {
    status: 503,
    exit: 1,
    meaning: 'Redis does not answer.',
    hint: 'Check redis.url in the settings, or that redis-server is installed and the state directory writable.',
  },
  BLUEPRINT_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'A blueprint file is no YAML or does not fit the blueprint format.',
    hint: 'Mend each line named below; docs/reference/blueprint.md lists every key with its meaning.',
  },
  BLUEPRINT_FOREIGN: {
    status: 409,
    exit: 2,
    meaning: 'What was asked for is work on an application, and the blueprint is of a foreign kernel and initrds.',
    hint: '`bootloom compose NAME` fetches its files; there is nothing to observe, and no stack to update.',
  },
  FOREIGN_FETCH_FAILED: {
    status: 502,
    exit: 1,
    meaning: 'A file of a foreign blueprint could not be fetched: no answer, too slow, too large, or no file.',
    hint: 'Check the path or the URL in the blueprint, then run `bootloom compose NAME` again.',
  },
  FOREIGN_DIGEST: {
    status: 422,
    exit: 1,
    meaning: 'A file of a foreign blueprint is not the one whose SHA-256 the blueprint names.',
    hint: 'If the file was renewed on purpose, name its new digest in the blueprint. Nothing was kept.',
  },
  ACCOUNT_UNKNOWN: {
    status: 422,
    exit: 1,
    meaning: 'The blueprint names an account that its stack, or the bundle, does not have in /etc/passwd.',
    hint: 'Name an account that one of the packages makes, or root; or add /etc/passwd under `files`.',
  },
  SERVICE_UNKNOWN: {
    status: 404,
    exit: 2,
    meaning: 'The stack has no systemd unit of the name given, or none that its packages bring.',
    hint: 'Name one of the units below with `service:`, or say with `start:` how the application is started.',
  },
  SERVICE_AMBIGUOUS: {
    status: 400,
    exit: 2,
    meaning: 'The packages bring several systemd units, and the blueprint does not say which one is meant.',
    hint: 'Name one with `service:`, or several with `services:`.',
  },
  UNIT_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'A systemd unit of the stack cannot be read, or cannot be run on a node as it stands.',
    hint: 'Mend the line named with a drop-in among the `files:` of the blueprint, or use `start:` instead.',
  },
  OBSERVE_START_FAILED: {
    status: 422,
    exit: 1,
    meaning: 'The application ended, or went into the background, while it was being watched.',
    hint: 'Its last lines of output are below; start.command must run in the foreground.',
  },
  PROBE_NEVER_ANSWERED: {
    status: 422,
    exit: 1,
    meaning: 'The application was started, but its probe was not answered as expected in time.',
    hint: 'Compare the probe in the blueprint with what the application said last, below.',
  },
  WORKLOAD_FAILED: {
    status: 422,
    exit: 1,
    meaning: 'A step of the workload did not give what the blueprint expects of it.',
    hint: 'Correct the step or its expectation: a run that went wrong says little about what the application needs.',
  },
  REPLAY_FAILED: {
    status: 422,
    exit: 1,
    meaning:
      'Run from its new bundle alone, the application did not do what it does in its full stack; nothing was published.',
    hint: 'Add the files named below with --widen, or `keep` them in the blueprint; --no-replay publishes all the same.',
  },
  RULE_INVALID: {
    status: 500,
    exit: 1,
    meaning: 'A file in templates/rules does not fit the format of rules.',
    hint: 'Mend the lines named below; src/blueprint/rules.ts documents the format.',
  },
  SUBNET_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'The address lies in no subnet that DHCP gives out.',
    hint: 'See dhcp.subnets in the settings: `bootloom config --show`.',
  },
  LEASE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'Nobody holds a lease on the address.',
    hint: '`bootloom lease list` shows every lease on record.',
  },
  RESERVATION_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'The address is reserved for nobody, or by the settings, which only the settings file can change.',
    hint: '`bootloom lease list` shows the reservations and where they come from.',
  },
  ADDRESS_RESERVED: {
    status: 409,
    exit: 1,
    meaning: 'The address is reserved for another client.',
    hint: 'Take that reservation back first, or choose another address.',
  },
  BOOT_PROGRAM_MISSING: {
    status: 500,
    exit: 1,
    meaning: 'A network boot program that firmware loads is not installed.',
    hint: 'Install the Debian package ipxe.',
  },
  DHCP_SETTINGS_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'The DHCP subnets do not fit together, or do not fit the boot interface.',
    hint: 'Check dhcp.subnets and network.address in the settings.',
  },
  SOCKET_UNAVAILABLE: {
    status: 500,
    exit: 1,
    meaning: 'A datagram port cannot be opened on the boot interface.',
    hint: 'See with `ss -lunp` who uses the port; binding to an interface needs root.',
  },
  MAC_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'A MAC address is not twelve hexadecimal digits.',
    hint: 'Write it as 52:54:00:aa:00:01; dashes, dots or no separators will do as well.',
  },
  NODE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'No node with this MAC was ever assigned or seen.',
    hint: '`bootloom node list` prints the nodes known.',
  },
  GROUP_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'There is no group of this name.',
    hint: 'Check its spelling.',
  },
  BLUEPRINT_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'No blueprint of this name is applied.',
    hint: '`bootloom blueprint list` prints those that are; `bootloom blueprint apply FILE` adds one.',
  },
  BUNDLE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'The store holds no bundle under this digest.',
    hint: '`bootloom bundle list` prints the digests of bundles.',
  },
  BUNDLE_BROKEN: {
    status: 500,
    exit: 1,
    meaning: 'A part of a bundle is missing, empty or not of the size that its manifest says.',
    hint: 'Run `bootloom compose NAME` to make it anew.',
  },
  CHANNEL_MOVED: {
    status: 409,
    exit: 1,
    meaning: 'The channel no longer points to the bundle that the request expected.',
    hint: 'Look at the channel again, then repeat the request if it still makes sense.',
  },
  CHANNEL_HELD: {
    status: 409,
    exit: 1,
    meaning:
      'A node had its tries with this bundle and did not come up, so that nothing moves a channel to it by itself.',
    hint: 'See `bootloom node list`, then `bootloom rollback NAME`, or `bootloom channel release NAME` to try it again.',
  },
  CHANNEL_NO_PREVIOUS: {
    status: 409,
    exit: 1,
    meaning: 'The channel has no earlier bundle to go back to.',
    hint: '`bootloom bundle list` prints the bundles that it can be moved to.',
  },
  USER_DATA_MISSING: {
    status: 404,
    exit: 1,
    meaning: 'A node asked for its user data, and neither it nor one of its groups has any.',
    hint: 'Give it some: `bootloom node set MAC --user-data FILE`.',
  },
  NODE_SILENT: {
    status: 409,
    exit: 1,
    meaning: 'The node does not ask for what it is to do: it is off, hangs, or runs nothing of ours.',
    hint: '`bootloom node power MAC cycle` restarts it by its power controller, where it has one.',
  },
  KEXEC_UNFIT: {
    status: 409,
    exit: 1,
    meaning: 'What the node is to boot next is not for kexec: it goes through its firmware.',
    hint: 'Nothing to do; `kernel.kexec` in the blueprint decides.',
  },
  ORDER_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'A node answers to something that it was not asked, or not any more.',
    hint: 'Ask again.',
  },
  ROLLOUT_UNDER_WAY: {
    status: 409,
    exit: 1,
    meaning: 'The blueprint has a rollout that is not over.',
    hint: '`bootloom rollout status NAME` shows it, `bootloom rollout abort NAME` ends it.',
  },
  ROLLOUT_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'The blueprint has no rollout, or none that is under way.',
    hint: '`bootloom rollout list` prints them; `bootloom rollout start NAME` begins one.',
  },
  ROLLOUT_UNFIT: {
    status: 409,
    exit: 1,
    meaning: 'There is nothing to roll out: no other bundle, no bundle to go back to, or no node.',
    hint: '`bootloom channel list` prints where the channels point, `bootloom node list` the nodes.',
  },
  POWER_UNSET: {
    status: 409,
    exit: 1,
    meaning: 'Neither the node nor one of its groups has a power controller.',
    hint: 'Name one: `bootloom node set MAC --power ipmi://HOST --power-login FILE`.',
  },
  POWER_FAILED: {
    status: 502,
    exit: 1,
    meaning: 'The power controller did not answer, or did not do what it was told.',
    hint: 'Check its address and its login (`--power-login`), and that this server reaches it.',
  },
  NODE_NOT_YOU: {
    status: 403,
    exit: 1,
    meaning: 'Something asks in the name of a MAC from an address that our lease gave to another, or to nobody.',
    hint: 'A node with an address from elsewhere must get it from this DHCP server, or dhcp.mode be off.',
  },
  NODE_TOO_SMALL: {
    status: 409,
    exit: 1,
    meaning: 'The full stack does not fit into the memory that the node last said it has.',
    hint: 'Learn on a node with more memory, such as a virtual machine, or watch on the server: `bootloom observe NAME`.',
  },
  NODE_LEARNS: {
    status: 409,
    exit: 1,
    meaning: 'The node learns for another blueprint already.',
    hint: '`bootloom node show MAC` says for which; `bootloom observe NAME --stop` ends it.',
  },
  LEARNING_FAILED: {
    status: 409,
    exit: 1,
    meaning:
      'A node did not come up with the full stack that it was to learn from; it boots what it is assigned again.',
    hint: 'The reason is what the node reported. The full stack needs about twice its size in memory.',
  },
  LEARNING_OVER: {
    status: 410,
    exit: 1,
    meaning:
      'A node tells what it touches, and nobody learns from it any more, or a stop was asked for where nothing is learned.',
    hint: '`bootloom observe NAME --method node --node MAC` begins to learn.',
  },
  BOOT_NOT_CURRENT: {
    status: 403,
    exit: 1,
    meaning: 'A node named a boot that is not its own boot under way.',
    hint: 'Nothing to do, unless the node did not restart since: then check that no two machines share its MAC.',
  },
  SCRIPT_VALUE_UNSAFE: {
    status: 422,
    exit: 1,
    meaning: 'A value cannot be written into an iPXE script: iPXE has no quoting for it.',
    hint: "Leave ${, control characters and the words ||, && and ; out of the blueprint's kernel command line.",
  },
  ROUTE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'The server has nothing under this address.',
    hint: 'Check the path; the command line and the server may be of different versions.',
  },
  API_IN_USE: {
    status: 409,
    exit: 1,
    meaning: 'Another Bootloom server already serves this state directory.',
    hint: 'End it first, or give this one another --state.',
  },
  SERVER_NOT_RUNNING: {
    status: 503,
    exit: 1,
    meaning: 'No Bootloom server answers for this state directory.',
    hint: 'Start it with `bootloom serve`, or name its state directory with --state.',
  },
  LAB_NEEDS_ROOT: {
    status: 403,
    exit: 1,
    meaning: 'The lab makes a network namespace, which takes root.',
    hint: 'Run it as root, or install sudo.',
  },
  LAB_IN_USE: {
    status: 409,
    exit: 1,
    meaning: 'Another run holds the lab of this name.',
    hint: 'End it with Ctrl-C where it runs, or take another lab with --name.',
  },
  LAB_FAILED: {
    status: 500,
    exit: 1,
    meaning: 'A part of the lab (server, namespace, virtual machine) did not start or ended.',
    hint: 'Its last lines of output are below; the whole log is in the file named.',
  },
  LAB_TIMEOUT: {
    status: 504,
    exit: 1,
    meaning: 'A node of the lab did not get as far as was expected in time.',
    hint: 'Look at its console: `bootloom lab node N --console`, or the log named.',
  },
  LAB_NOT_UP: {
    status: 404,
    exit: 1,
    meaning: 'The lab, or the node of it that was named, is not running.',
    hint: 'See `bootloom lab status`; start it with `bootloom lab up` and `bootloom lab node N`.',
  },
  SUITE_UNAVAILABLE: {
    status: 400,
    exit: 1,
    meaning: 'No apt source of this machine offers a Debian suite that a blueprint draws on.',
    hint: 'Add the suite to /etc/apt/sources.list.d, or name another in the blueprint.',
  },
  MIRROR_UNREACHABLE: {
    status: 502,
    exit: 1,
    meaning: 'apt could not fetch from the Debian mirror, or a signature did not hold.',
    hint: "Check the network and the machine's apt sources with `apt-get update`; then run the same command again.",
  },
  PACKAGE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'A package, or the pinned version of it, is not in the suites that the blueprint draws on.',
    hint: '`apt-cache policy NAME` prints what the suites offer.',
  },
  PACKAGE_UNRESOLVABLE: {
    status: 409,
    exit: 1,
    meaning: 'The packages of a blueprint cannot be installed together.',
    hint: "apt's reasons are below: change a pinned version, or the suite.",
  },
  PACKAGE_INSTALL_FAILED: {
    status: 500,
    exit: 1,
    meaning: 'A package could not be installed into the root directory of a stack.',
    hint: "Its maintainer script's last lines are below.",
  },
  ARCHIVE_UNSAFE: {
    status: 422,
    exit: 1,
    meaning: 'An archive is damaged, or holds names that would lead out of where it is unpacked.',
    hint: 'Do not use it; fetch it again from a source that you trust.',
  },
  MODULE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'A kernel module is not in the kernel that the blueprint boots.',
    hint: 'Mend kernel.modules in the blueprint, or choose the generic kernel flavour.',
  },
  TREE_UNREADABLE: {
    status: 422,
    exit: 1,
    meaning: 'A directory that a blueprint takes files from is missing, unreadable, or holds what cannot be carried.',
    hint: 'Mend the path in the blueprint, or take sockets, devices and the like out of the directory.',
  },
  TREE_UNSTABLE: {
    status: 409,
    exit: 1,
    meaning: 'A file kept changing while it was read.',
    hint: 'Run again when whatever writes to it has finished.',
  },
  STACK_INVALID: {
    status: 400,
    exit: 1,
    meaning: "A blueprint's sources do not make a stack.",
    hint: 'Give every deb entry the same suite, updates and security; packages may stand in several entries.',
  },
  INSTALL_NEEDS_ROOT: {
    status: 403,
    exit: 1,
    meaning: 'Installing a stack takes root: files of many owners are written.',
    hint: 'Run the command, or `bootloom serve`, as root.',
  },
  ARCHIVE_UNFIT: {
    status: 422,
    exit: 1,
    meaning: 'A file cannot be put into an initramfs: its name, link or size is beyond what the format holds.',
    hint: 'Leave it out with `drop` in the blueprint.',
  },
  ARCHIVE_BROKEN: {
    status: 500,
    exit: 1,
    meaning: 'A segment is no whole cpio archive.',
    hint: 'Run `bootloom compose NAME` to make it anew.',
  },
  SELECTION_CONFLICT: {
    status: 422,
    exit: 1,
    meaning: 'Two components disagree on a path: one has a link or a file where another has a directory with files.',
    hint: 'Leave one of the two out with `drop` in the blueprint.',
  },
  COMPONENT_INCOMPLETE: {
    status: 500,
    exit: 1,
    meaning: 'The busybox of a stack lacks the program that init runs on.',
    hint: 'Run `bootloom repo update` and compose again.',
  },
  BLOB_NOT_LACKING: {
    status: 404,
    exit: 1,
    meaning: 'A node asked for a file content that its own bundle does not lack, or may not fetch.',
    hint: 'A node fetches what its stack has and its bundle lacks, where the blueprint says `onMiss: fetch`.',
  },
  MISS_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'A path was to be accepted that no running node of the blueprint missed.',
    hint: '`bootloom blueprint misses NAME` lists what was missed; `keep` in the blueprint takes any path.',
  },
  NATIVE_MISSING: {
    status: 500,
    exit: 1,
    meaning: 'A program that a bundle carries for the node was not compiled.',
    hint: 'Run `npm run build:native`; it needs musl-gcc (Debian: musl-tools).',
  },
  VALUE_UNFIT: {
    status: 422,
    exit: 1,
    meaning:
      'A value cannot be handed to a node: it holds a character that neither a shell nor a command line can carry.',
    hint: 'Take the character out of the blueprint or the setting named.',
  },
  PORT_IN_USE: {
    status: 409,
    exit: 1,
    meaning: 'Another program listens on a port that is to be served.',
    hint: '`ss -tulpn` names it; end it, or choose another port in the settings.',
  },
  NOT_COMPOSED: {
    status: 409,
    exit: 1,
    meaning: 'The blueprint was not composed yet, so nothing is selected.',
    hint: 'Run `bootloom compose NAME`.',
  },
  NOT_SELECTED: {
    status: 404,
    exit: 1,
    meaning: 'The path is not in the bundle.',
    hint: '`bootloom blueprint why-not NAME PATH` says what is known of it.',
  },
  IS_SELECTED: {
    status: 409,
    exit: 1,
    meaning: 'The path is in the bundle.',
    hint: '`bootloom blueprint why NAME PATH` says what led to it.',
  },
  CHANGE_UNKNOWN: {
    status: 404,
    exit: 1,
    meaning: 'There is no change of this id, or it is not about this blueprint.',
    hint: '`bootloom change list` lists them.',
  },
  CHANGE_STATE: {
    status: 409,
    exit: 1,
    meaning: 'What was asked does not fit how far the change has come.',
    hint: '`bootloom change show ID` says how far it has come with each blueprint.',
  },
  VERIFY_FAILED: {
    status: 422,
    exit: 1,
    meaning: 'A new bundle did not show what the blueprint asks of it: it is not promoted.',
    hint: 'Mend the cause and `bootloom change retry ID`, or change what `verify` in the blueprint asks.',
  },
  VERIFY_IMPOSSIBLE: {
    status: 503,
    exit: 1,
    meaning: 'No virtual machine can be run here, and no canary node is named.',
    hint: 'Install qemu-system-x86 and run the server as root, or name a node: `canary` below `verify` in the blueprint.',
  },
  NODE_WAITS: {
    status: 503,
    exit: 1,
    meaning: 'As many nodes download as `http.admission` lets; this one is in the queue.',
    hint: 'Ask again after the seconds that the header Retry-After names.',
  },
  INTERFACE_UNUSABLE: {
    status: 500,
    exit: 1,
    meaning: 'The boot interface is not there or has no IPv4 address.',
    hint: 'Give it an address (`ip address add … dev NAME`), or name network.address in the settings.',
  },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof catalogue

interface ErrorContext {
  /** Where it is wrong: a file with line, a path in the settings, a MAC, a URL without credentials. */
  readonly where?: string
  /** More lines for the person: each separate finding, or a program's last lines of output. */
  readonly details?: readonly string[]
  /** Replaces the catalogue's hint where more is known. */
  readonly hint?: string
  readonly cause?: unknown
}

export class BootloomError extends Error {
  readonly code: ErrorCode
  readonly where: string | undefined
  readonly details: readonly string[]
  readonly hint: string

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause })
    this.name = 'BootloomError'
    this.code = code
    this.where = context.where
    this.details = context.details ?? []
    this.hint = context.hint ?? catalogue[code].hint
  }

  get status(): number {
    return catalogue[this.code].status
  }

  get exit(): 1 | 2 {
    return catalogue[this.code].exit
  }

  /** The shape in which errors cross the API: what `--json` prints under `error`. */
  toJSON(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      ...(this.where === undefined ? {} : { where: this.where }),
      ...(this.details.length === 0 ? {} : { details: this.details }),
      hint: this.hint,
    }
  }

  static fromJSON(error: SerializedError): BootloomError {
    const code = Object.hasOwn(catalogue, error.code) ? (error.code as ErrorCode) : 'INTERNAL'
    return new BootloomError(code, error.message, {
      hint: error.hint,
      ...(error.where === undefined ? {} : { where: error.where }),
      ...(error.details === undefined ? {} : { details: error.details }),
    })
  }
}

export interface SerializedError {
  readonly code: string
  readonly message: string
  readonly where?: string
  readonly details?: readonly string[]
  readonly hint: string
}

/** Any thrown value as a BootloomError; system errors that have a code of their own keep their meaning. */
export function asBootloomError(error: unknown): BootloomError {
  if (error instanceof BootloomError) return error
  const code = (error as NodeJS.ErrnoException | null)?.code
  const message = error instanceof Error ? error.message : String(error)
  if (code === 'EACCES' || code === 'EPERM') return new BootloomError('NOT_PERMITTED', message, { cause: error })
  if (code === 'ENOSPC') return new BootloomError('DISK_FULL', message, { cause: error })
  if (code === 'ENOENT' && (error as NodeJS.ErrnoException).syscall?.startsWith('spawn')) {
    return new BootloomError('TOOL_MISSING', `${(error as NodeJS.ErrnoException).path} is not installed`, {
      cause: error,
    })
  }
  return new BootloomError('INTERNAL', message, { cause: error })
}
