#!/bin/sh
# Compiles what is in C: for nodes and watched runs (boot/native), for TFTP (src/tftp/carry) and its benchmark, into build/native: static, small, and the same bytes each time.
# Does nothing, quickly, when all is newer than its sources.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root/boot/native"
built=$root/build/native
carry=../../src/tftp/carry
bench=../../lab/bench

# PROGRAM FILES…
programs="watch watch.c say.c lookups.c deep.c storms.c probes.c btf.c reports.c server.c
opens opens.c
reach reach.c say.c fuse.c tree.c escape.c paged.c fetch.c sha256.c reports.c server.c
pages pages.c say.c fuse.c tree.c escape.c paged.c fetch.c sha256.c reports.c server.c
agent agent.c begin.c drivers.c connect.c lease.c network.c tell.c probe.c say.c kexec.c clock.c gather.c handover.c place.c unpack.c rebuild.c escape.c drift.c weigh.c sha256.c server.c
learn learn.c say.c server.c
carry $carry/carry.c $carry/orders.c $carry/transfer.c $carry/content.c $carry/out.c $carry/told.c
tftp-client $bench/tftp-client.c"

stale() {
  [ ! -x "$built/$1" ] || [ -n "$(find . "$carry" "$bench/tftp-client.c" "$root/lab/native.sh" -newer "$built/$1" | head -n 1)" ]
}

printf '%s\n' "$programs" | while read -r name files; do
  stale "$name" || continue
  command -v musl-gcc >/dev/null 2>&1 || {
    echo 'native: musl-gcc is not here, which compiles what runs on a node. Get it with:' >&2
    echo '        apt-get install musl-tools linux-libc-dev    (or: sh lab/setup.sh)' >&2
    exit 1
  }
  mkdir -p "$built"
  # The kernel's own headers come after musl's. No build id, no paths, no stamps: same sources, same bytes.
  # shellcheck disable=SC2086
  musl-gcc -std=gnu11 -Os -Wall -Wextra -Werror -static -s -ffunction-sections -fdata-sections -Wl,--gc-sections \
    -Wl,--build-id=none -ffile-prefix-map="$PWD"=. -idirafter /usr/include -idirafter "/usr/include/$(uname -m)-linux-gnu" \
    $files -lpthread -o "$built/.$name.$$"
  mv "$built/.$name.$$" "$built/$name"
  echo "native: built $name, $(wc -c <"$built/$name") bytes" >&2
done
