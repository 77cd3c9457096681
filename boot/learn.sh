# A node that boots its full stack to learn what of it is used tells the server what is touched (boot/native/learn.c).

# Returns once all that comes is seen.
start_learning() {
  [ -x $own/learn ] && [ -n "$server" ] || return 0
  $own/learn / "$server" "$mac" "$boot" </dev/null 7>&- 8>&- 9>&- ||
    echo 'bootloom: what is touched cannot be watched' >/dev/console
}
