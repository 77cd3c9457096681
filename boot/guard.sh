# A node that does not come up boots anew by itself: when its deadline is over, though all else hangs; and by the
# machine's watchdog, where there is one and the bundle has its driver, though the kernel hangs.

# Goes on in the background for as long as the node runs. Without a deadline on the command line there is none.
guard_boot() {
  case $time_left in *[!0-9]*) time_left='' ;; esac
  guard </dev/null 7>&- 9>&- &
}

# Where the guard finds the watchdog even when all that is mounted has moved.
offer_watchdog() {
  [ ! -c /dev/watchdog ] || cp -a /dev/watchdog "$run/watchdog"
}

guard() {
  local fed=''
  # Killed for want of memory, it would leave the watchdog unfed.
  echo -1000 >/proc/self/oom_score_adj
  while :; do
    if [ -z "$fed" ] && [ -c "$run/watchdog" ]; then
      command exec 6>"$run/watchdog" && fed=yes
    fi
    [ -z "$fed" ] || echo >&6
    sleep 5
    if [ -e "$run/came-up" ] || [ -z "$time_left" ]; then continue; fi
    time_left=$((time_left - 5))
    [ $time_left -gt 0 ] || give_up "not ready in time" 5
  done
}
