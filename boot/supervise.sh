# Starts the application as its user with its own environment, and keeps it running. As PID 1, `wait` also takes care of
# every process that lost its parent.
most_failures=5

# make_directory PATH UID:GID MODE
make_directory() {
  mkdir -p "$1" && chown "$2" "$1" && chmod "$3" "$1"
}

# What the application prints goes to the console and to two files of 64 KiB at most, for the report of a failure. Its
# user may open /dev/stdout by name, so the pipe is open for writing to all.
collect_output() {
  mkfifo -m 622 "$run/output"
  chmod 622 "$run/output"
  exec 9<>"$run/output"
  awk -v current="$run/output.log" -v old="$run/output.old" '
    {
      line = substr($0, 1, 4096)
      print line > "/dev/console"; fflush("/dev/console")
      print line > current; fflush(current)
      size += length(line) + 1
      if (size > 65536) { close(current); system("mv " current " " old); size = 0 }
    }' <&9 &
}

start_application() {
  (
    cd "$app_directory" || exit 126
    app_run </dev/null >&9 2>&1 7>&- 8>&- 9>&-
  ) &
  app=$!
}

# A shutdown is asked of PID 1 by busybox's reboot (TERM), poweroff (USR2) and halt (USR1).
end_with() {
  ending=$1
  kill -"$app_stop" "$app" 2>/dev/null
  (sleep 20; kill -KILL "$app" 2>/dev/null) &
}

end_if_asked() {
  [ -n "$ending" ] || return 0
  sync
  $ending
}

supervise() {
  local failures=0 began now status
  ending=''
  collect_output
  app_directories
  trap 'end_with "reboot -f"' TERM INT
  trap 'end_with "poweroff -f"' USR2
  trap 'end_with "halt -f"' USR1
  trap 'kill -$app_reload $app 2>/dev/null' HUP
  start_application
  report app
  await_ready &
  prober=$!
  while :; do
    began=$(uptime_now)
    # A signal ends `wait` early, with the application still there.
    wait "$app"
    status=$?
    while kill -0 "$app" 2>/dev/null; do
      wait "$app"
      status=$?
    done
    end_if_asked
    now=$(uptime_now)
    [ $((${now%.*} - ${began%.*})) -lt 60 ] || failures=0
    failures=$((failures + 1))
    if [ $failures -ge $most_failures ]; then
      kill $prober 2>/dev/null
      # The last lines are still on their way through the pipe.
      usleep 200000
      give_up "$app_name ended $failures times, at last with status $status" 30
    fi
    echo "bootloom: $app_name ended with status $status, starting it again" >&9
    sleep $((1 << (failures - 1)))
    end_if_asked
    start_application
  done
}
