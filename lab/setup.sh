#!/bin/sh
# Installs what Bootloom and its lab need on a Debian machine: the packages of packages.txt by apt-get, then what
# package-lock.json names by npm; then compiles what runs on a node in C. Says what it installs and why; does nothing,
# quickly, when all is there.
# `npm start` and `npm test` run it first; `setup.sh kernel` also installs what kernels are built with. Safe to run twice
# at once.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"

lists=lab/packages.txt
[ "${1-}" != kernel ] || lists="$lists lab/packages-kernel.txt"

say() { echo "setup: $*" >&2; }
fail() {
  say "$1"
  shift
  for line in "$@"; do echo "       $line" >&2; done
  exit 1
}

wanted() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' $lists; }

# Names that dpkg does not have as fully installed, one a line.
missing_packages() {
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $(wanted) 2>/dev/null |
    sed -n 's/ installed$//p') || true
  for name in $(wanted); do
    printf '%s\n' "$installed" | grep -qxF -e "$name" || echo "$name"
  done
}

node_modules_stale() {
  [ ! -x node_modules/node/bin/node ] || [ ! -e node_modules/.package-lock.json ] ||
    [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || fail \
  'this machine is not Debian: neither apt-get nor dpkg-query is here.' \
  "Bootloom's lab runs on Debian 12 or a relative of it; a container or virtual machine will do." \
  "What it needs is listed in $root/lab/packages.txt."
command -v npm >/dev/null 2>&1 || fail 'npm is not installed.' 'Get it with: apt-get install npm (or from nodejs.org).'

missing=$(missing_packages)
if [ -z "$missing" ] && ! node_modules_stale; then exec sh lab/native.sh; fi

# One at a time: the one that comes second waits, and then finds all done. The lock goes with its holder.
exec 9<lab/packages.txt
if ! flock -n 9; then
  say 'another set-up of this checkout is under way; waiting for it…'
  flock 9
fi
missing=$(missing_packages)

policy=/usr/sbin/policy-rc.d
mark='# written by the set-up of Bootloom for the time of one installation'

remove_policy() {
  if grep -qsxF -e "$mark" "$policy"; then as_root rm -f "$policy"; fi
}

# Debian starts a daemon as soon as its package is installed, unless policy-rc.d forbids it: Bootloom runs its own.
forbid_daemons() {
  [ -e "$policy" ] && return 0
  temporary=$(mktemp)
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$temporary"
  as_root install -m 755 "$temporary" "$policy"
  rm -f "$temporary"
}

# What apt-get said when it failed, as advice for the person; then its last lines.
explain_apt() {
  names=$(sed -n 's/^E: Unable to locate package //p; s/^E: Package .\(.*\). has no installation candidate$/\1/p' "$1" | tr '\n' ' ')
  # First of all the network: without package lists, every package is unknown.
  if grep -qE 'Temporary failure resolving|Could not resolve|Could not connect|Network is unreachable' "$1"; then
    advice='The Debian mirror cannot be reached. Check the network, the proxy (Acquire::http::Proxy in apt.conf) and apt'"'"'s sources.'
  elif [ -n "$names" ]; then
    advice="Unknown to this machine's apt sources: ${names% }. Bootloom is made for Debian 12 (bookworm); check apt's sources."
  elif grep -qE 'No space left|enough free space' "$1"; then
    advice='The disk is full. Free some space.'
  elif grep -qE 'Could not get lock|is another process using it' "$1"; then
    advice='Another apt or dpkg is running. Wait for it to end.'
  else
    advice='See its last lines below.'
  fi
  tail -n 6 "$1" >&2
  fail "apt-get failed. $advice" 'Then run this again, or install by hand:' \
    "  apt-get install --no-install-recommends $(echo $missing)"
}

install_packages() {
  say 'these Debian packages are missing:'
  for name in $missing; do
    why=$(sed -n "s/^$name[[:space:]]*#[[:space:]]*//p" $lists)
    printf '         %-22s %s\n' "$name" "$why" >&2
  done
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
    fail 'installing them needs root, and sudo is not here. As root run:' \
      "  apt-get install --no-install-recommends $(echo $missing)"
  fi
  [ "$(id -u)" = 0 ] || say 'installing them needs root: sudo may ask for your password.'
  as_root true || fail 'sudo did not let us.' \
    "As root run: apt-get install --no-install-recommends $(echo $missing)"
  output=$(mktemp)
  trap 'remove_policy; rm -f "$output"' EXIT
  trap 'exit 130' INT TERM HUP
  remove_policy
  forbid_daemons
  say 'apt-get update…'
  # An update that fails in part may still do: installing decides.
  as_root apt-get update -q -o DPkg::Lock::Timeout=120 >"$output" 2>&1 || true
  say 'apt-get install…'
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get install -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 $missing >>"$output" 2>&1 || explain_apt "$output"
  # Nor shall they start with the machine from now on: what was not here before has no other user.
  if [ -d /run/systemd/system ]; then
    for unit in redis-server kea-dhcp4-server radvd nginx; do
      case " $(echo $missing) " in *" $unit "*) as_root systemctl disable -q "$unit" 2>/dev/null || true ;; esac
    done
  fi
  remove_policy
  rm -f "$output"
  trap - EXIT INT TERM HUP
  say 'Debian packages are in place.'
}

[ -z "$missing" ] || install_packages

if node_modules_stale; then
  say "npm ci: the libraries that package-lock.json names, and Node.js 24, into $root/node_modules…"
  output=$(mktemp)
  trap 'rm -f "$output"' EXIT
  if ! npm ci --no-audit --no-fund --loglevel=error >"$output" 2>&1; then
    # The cause comes first; what follows is often npm's own usage.
    head -n 12 "$output" >&2
    fail 'npm ci failed; its first lines are above.' \
      'When the registry cannot be reached, check the network, or `npm config get registry` and its proxy settings.' \
      "Then run again, or by hand: cd $root && npm ci"
  fi
  [ -x node_modules/node/bin/node ] || fail 'npm ci did not bring Node.js 24.' \
    'Its install script did not run: check that `npm config get ignore-scripts` says false, then run `npm ci` again.'
  touch node_modules/.package-lock.json
  say 'libraries are in place.'
fi

exec sh lab/native.sh
