# A node that boots its full stack to learn what of it is used tells the server what is touched (boot/native/learn.c).

# Returns once all that comes is seen.
start_learning() {
  learner=''
  [ -x $own/learn ] && [ -n "$server" ] || return 0
  learner=$($own/learn / "$server" "$mac" "$boot" </dev/null 7>&- 8>&- 9>&-) ||
    echo 'bootloom: what is touched cannot be watched' >/dev/console
}

# What the services touched while they ended is told before the node goes.
end_learning() {
  local tries=0
  [ -n "$learner" ] || return 0
  kill -TERM "$learner" 2>/dev/null
  while kill -0 "$learner" 2>/dev/null && [ $tries -lt 150 ]; do
    tries=$((tries + 1))
    usleep 100000
  done
}
