/**
 * Installs packages into a root directory, in mount, network, ipc, uts and pid namespaces that end with it. Words: where to
 * work, the root to make, the repository of .debs, the root to go on from (none: mmdebstrap makes the first), where to
 * keep what mmdebstrap makes (nowhere: it is the root), whether to work in memory, and mmdebstrap's words. A file `steps`
 * in the working directory has a line for each step after that root: its date, in seconds since 1970, and the names of its
 * packages.
 *
 * In memory, because dpkg waits for the disk at each step of each package; the root goes to the disk once, as a whole. The
 * packages of a step are installed as mmdebstrap does it: by apt from outside, with dpkg inside, no service started.
 *
 * What takes time on the disk is making files, so what no step has touched becomes one more link to the file of the root
 * that was gone on from: nothing is ever written in a root on the disk. Touched is whatever has a later ctime than the
 * copy in memory, which no maintainer script can set.
 */
export const installScript = String.raw`
set -e
work=$1 root=$2 repository=$3 from=$4 keep=$5 memory=$6
shift 6
echo localhost >/proc/sys/kernel/hostname
place=$root first=$keep
if [ "$memory" = yes ]; then
  mkdir "$work/memory"
  mount -t tmpfs -o size=95%,mode=0755 bootloom "$work/memory"
  place=$work/memory/root first=$work/memory/first
fi

# bootstrap DIRECTORY WORD...
bootstrap() {
  made=$1
  shift
  mmdebstrap "$@" "$made" "deb [trusted=yes] copy:$repository ./"
  remove_leftovers "$made"
}

# What is copied from this machine, or tells of the act of installing, is not of the stack.
remove_leftovers() {
  for path in hostname resolv.conf apt/sources.list apt/apt.conf.d/99mmdebstrap dpkg/dpkg.cfg.d/99mmdebstrap; do
    rm -f "$1/etc/$path"
  done
}

one_step() {
  epoch=$1
  shift
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR="$place/tmp" \
    SOURCE_DATE_EPOCH="$epoch" DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true APT_CONFIG="$work/apt.conf" \
    apt-get --yes -oDpkg::Use-Pty=false -oDir::Bin::dpkg=env -oDPkg::Options::=--unset=TMPDIR -oDPkg::Options::=dpkg \
    -oDPkg::Options::=--force-unsafe-io -oDPkg::Chroot-Directory="$place" install "$@" >&2
  # As each root is when it is begun from.
  find "$place/run" "$place/tmp" -mindepth 1 -xdev -depth ! -path "$place/run/lock" -delete
}

further_steps() {
  mount -t proc -o nosuid,nodev,noexec proc "$place/proc"
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$place/sys"
  mount -t tmpfs -o mode=0755,nosuid dev "$place/dev"
  for device in null zero full random urandom tty; do cp -a /dev/$device "$place/dev/"; done
  mkdir "$place/dev/pts" "$place/dev/shm"
  ln -s /proc/self/fd "$place/dev/fd"
  mkdir -p "$place/var/lib/apt/lists/partial" "$place/var/cache/apt/archives/partial"
  printf '#!/bin/sh\nexit 101\n' >"$place/usr/sbin/policy-rc.d"
  chmod 755 "$place/usr/sbin/policy-rc.d"
  mv "$place/sbin/start-stop-daemon" "$place/sbin/start-stop-daemon.REAL"
  printf '#!/bin/sh\nexit 0\n' >"$place/sbin/start-stop-daemon"
  chmod 755 "$place/sbin/start-stop-daemon"
  echo "deb [trusted=yes] copy:$repository ./" >"$work/sources.list"
  cat >"$work/apt.conf" <<END
Apt::Architecture "amd64";
Apt::Architectures "amd64";
Apt::Install-Recommends false;
Apt::Sandbox::User "root";
Acquire::Languages "none";
Dir "$place";
Dir::State::Status "$place/var/lib/dpkg/status";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
END
  APT_CONFIG=$work/apt.conf apt-get update -q >&2
  # shellcheck disable=SC2086
  while read -r epoch names; do one_step "$epoch" $names </dev/null; done <"$work/steps"
  mv "$place/sbin/start-stop-daemon.REAL" "$place/sbin/start-stop-daemon"
  rm "$place/usr/sbin/policy-rc.d"
  find "$place/var/lib/apt/lists" "$place/var/cache/apt" -mindepth 1 -delete
  umount "$place/proc" "$place/sys" "$place/dev"
  remove_leftovers "$place"
}

# keep_first: while the next steps go on.
keep_first() {
  [ "$first" = "$keep" ] || cp -a -x "$first" "$keep"
  sync -f "$keep"
  : >"$keep.whole"
}

# to_disk FROM: the root, from memory.
to_disk() {
  cd "$place"
  find . -xdev ! -type d ! -cnewer "$work/memory/copied" -print0 >"$work/memory/same"
  find . -xdev \( -type d -o -cnewer "$work/memory/copied" \) -print0 >"$work/memory/other"
  mkdir "$root"
  (cd "$1" && xargs -0 -r cp -P -l --parents -t "$root" <"$work/memory/same")
  tar -c --null --no-recursion --acls --xattrs --xattrs-include='*' -T "$work/memory/other" |
    tar -x -p --acls --xattrs --xattrs-include='*' --same-owner --numeric-owner -C "$root"
  cd /
}

keeping=''
# Also when a later step fails: the next try goes on from it.
trap '[ -z "$keeping" ] || wait "$keeping" || true' EXIT
if [ -z "$from" ] && [ -z "$keep" ]; then
  bootstrap "$place" "$@"
  [ "$memory" = no ] || cp -a -x "$place" "$root"
  exit
fi
if [ -z "$from" ]; then
  bootstrap "$first" "$@"
  cp -a -x "$first" "$place"
  keep_first &
  keeping=$! from=$keep
else
  cp -a -x "$from" "$place"
fi
if [ "$memory" = yes ]; then
  # A tick of the clock that ctime is read from, on either side.
  sleep 0.02
  : >"$work/memory/copied"
  sleep 0.02
fi
further_steps
[ -z "$keeping" ] || wait "$keeping"
[ "$memory" = no ] || to_disk "$from"
`
