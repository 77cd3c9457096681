# What the bundle lacks and the application asks for: told to the server, or fetched from it (boot/native).

# Begins to see misses, which takes a moment; goes on beside what init has to do meanwhile.
watch_misses() {
  watcher=''
  [ -x $own/misses/watch ] && [ -n "$server" ] || return 0
  $own/misses/watch $own/misses/names "$server" "$mac" "$boot" </dev/null 8>&- &
  watcher=$!
}

# Those of the application's start shall be seen too. Without the watch the node works as well.
await_watch() {
  [ -z "$watcher" ] || wait "$watcher"
}

# Mounts the files of which the bundle has some pages only: in a directory, and with `deny` each on its own path.
show_pages() {
  $own/pages/reach $own/pages/tree "$1" $own/pages/fetched "${server:-http://127.0.0.1:9}" "${mac:--}" "${boot:--}" \
    "$2" $own/pages </dev/null 8>&-
}

# A node that does not reach back. Others have them below their layers.
mount_pages() {
  [ -f $own/pages/tree ] || return 0
  mkdir -p $own/pages/mounted
  show_pages $own/pages/mounted deny
}
