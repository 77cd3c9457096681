/**
 * Installs packages into a root directory, in mount, network, ipc, uts and pid namespaces that end with it. Words: where to
 * work, the root to make, the repository of .debs, the root to go on from (none: mmdebstrap makes the first), whether to
 * work in memory, and mmdebstrap's words. A file `steps` in the working directory has a line a step: its date, in
 * seconds since 1970, and the names of its packages.
 *
 * In memory, because dpkg waits for the disk at each step of each package; the root goes to the disk once, as a whole. The
 * packages of a step are installed as mmdebstrap does it: by apt from outside, with dpkg inside, no service started.
 */
export const installScript = String.raw`
set -e
work=$1 root=$2 repository=$3 from=$4 memory=$5
shift 5
echo localhost >/proc/sys/kernel/hostname
place=$root
if [ "$memory" = yes ]; then
  mkdir "$work/memory"
  mount -t tmpfs -o size=95%,mode=0755 bootloom "$work/memory"
  place=$work/memory/root
fi

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

if [ -z "$from" ]; then
  mmdebstrap "$@" "$place" "deb [trusted=yes] copy:$repository ./"
else
  cp -a -x "$from" "$place"
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
fi
[ "$memory" = no ] || cp -a -x "$place" "$root"
`
