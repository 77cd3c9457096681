#!/bin/sh
# Runs bootloom with the Node that package.json pins. Works from a link too, as node_modules/.bin holds one.
set -eu

self=$0
while [ -L "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
root=$(cd "$(dirname "$self")/.." && pwd -P)
node=$root/node_modules/node/bin/node

if [ ! -x "$node" ]; then
  echo "error NOT_INSTALLED: Bootloom's own Node.js is not in $root/node_modules" >&2
  echo "hint: run \`npm ci\` in $root (it needs npm from any Node.js, version 20 or later)." >&2
  exit 1
fi

# What Node makes of the sources (types stripped, code compiled) is kept, so that the next start takes less time and memory.
cache=${CACHE_DIRECTORY:-${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}}
[ -z "$cache" ] || export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$cache/bootloom}"

# A server's garbage dies young, and V8's own limits let it lie for long: docs/decisions/0022 has what these take and give.
exec "$node" --max-semi-space-size=8 --heap-growing-percent=30 --no-parallel-scavenge "$root/src/main.ts" "$@"
