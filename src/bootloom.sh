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
exec "$node" "$root/src/main.ts" "$@"
