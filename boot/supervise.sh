# Starts the services in their order, each as its account with its own environment, and keeps them running. Each has a
# process that keeps it; as PID 1, `wait` takes care of every process that lost its parent.
most_failures=5

# make_directory PATH UID:GID MODE
make_directory() {
  if [ -d "$1" ]; then
    chown "$2" "$1" && chmod "$3" "$1"
  else
    mkdir -p -m "$3" "$1" && { [ "$2" = 0:0 ] || chown "$2" "$1"; }
  fi
}

# What the application prints goes to the console and to two files of 64 KiB at most, for the report of a failure.
collect_output() {
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

# in_service FUNCTION: runs it as everything of a service is run; what it starts inherits nothing of ours.
in_service() {
  cd "$service_directory" || return 126
  umask "$service_umask"
  [ -z "$service_open_files" ] || ulimit -n "$service_open_files" 2>/dev/null
  "$@" </dev/null >&9 2>&1 7>&- 8>&- 9>&-
}

# run_step COMMAND...: one that ends.
run_step() {
  ("$@")
}

# signal_main NAME
signal_main() {
  kill -"$1" "$main" 2>/dev/null
}

is_running() {
  [ -n "$main" ] && kill -0 "$main" 2>/dev/null
}

# The processes that lost their parent, or are ours: children of PID 1 (proc(5): the name in brackets may hold spaces).
children_of_init() {
  local stat line
  set +f
  for stat in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null <"$stat" || continue
    set -f
    set -- "${line%% *}" ${line##*) }
    [ "$3" != 1 ] || [ "$2" = Z ] || echo "$1"
  done
  set -f
}

# leads_session PID
leads_session() {
  local line
  read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  set -- "$1" ${line##*) }
  [ "$5" = "$1" ]
}

# The main process of a service whose start command has ended: the one that its PID file names, or the one left behind.
find_main() {
  local tries=0 child
  while [ $tries -lt 100 ]; do
    main=''
    if [ -n "$service_pid_file" ]; then
      read -r main 2>/dev/null <"$service_pid_file"
    else
      for child in $(children_of_init); do
        case " $before " in *" $child "*) continue ;; esac
        # A daemon has a session of its own; what has none may be a helper about to end.
        if leads_session "$child" || [ $tries -ge 4 ]; then main=$child && break; fi
      done
    fi
    case $main in *[!0-9]*) main='' ;; esac
    is_running && return 0
    tries=$((tries + 1))
    usleep 50000
  done
  main=''
  return 1
}

# Sets $main, or $failure to what went wrong.
start_service() {
  main='' failure='' status=0
  service_directories
  (in_service service_pre) || {
    failure="the command before its start ended with status $?"
    return 1
  }
  if [ "$service_type" = simple ]; then
    (in_service service_start) &
    main=$!
    return 0
  fi
  [ -z "$service_pid_file" ] || rm -f "$service_pid_file"
  before=$(children_of_init | tr '\n' ' ')
  (in_service service_start)
  status=$?
  if [ $status != 0 ] && [ -z "$service_start_may_fail" ]; then
    failure="ended with status $status"
    return 1
  fi
  # Of a process that is not our child, nobody learns how it ended.
  status=''
  [ "$service_type" != forking ] || find_main || {
    failure='left no process behind'
    return 1
  }
}

# Returns when the main process has ended, or this process was told to end it.
watch_service() {
  while is_running && [ -z "$ending" ]; do
    if [ "$service_type" = simple ]; then
      # A signal ends `wait` early, with the service still there.
      wait "$main"
      status=$?
    else
      sleep 1 &
      wait $!
    fi
  done
}

# Twenty seconds are its own.
end_service() {
  local killer
  is_running || return 0
  (in_service service_stop)
  { sleep 20 && kill -KILL "$main" 2>/dev/null; } &
  killer=$!
  while is_running && kill -0 "$killer" 2>/dev/null; do
    # Of what is not our child, nobody tells the end.
    if [ "$service_type" = simple ]; then wait "$main"; else usleep 20000; fi
  done
  kill "$killer" 2>/dev/null
}

# Others may start once the probe is answered, or without one, once it was started.
tell_ready() {
  until service_probe; do
    is_running && [ -z "$ending" ] || return
    usleep 50000
  done
  : >"$run/ready.$1"
}

# keep_service NUMBER
keep_service() {
  local failures=0 began now up other
  main='' ending='' asked="service-$1"
  . $own/app/service-$1.sh
  trap 'ending=yes' TERM
  trap 'is_running && (in_service service_reload)' HUP
  until [ -e "$run/started" ]; do usleep 10000; done
  for other in $service_after; do
    until [ -e "$run/ready.$other" ] || [ -n "$ending" ]; do usleep 50000; done
  done
  while [ -z "$ending" ]; do
    read_uptime
    began=$up
    if start_service; then
      tell_ready "$1"
      [ "$service_type" != oneshot ] || return 0
      watch_service
      [ -z "$ending" ] || break
      failure="ended${status:+ with status $status}"
      # What it left must not stand in the way of the next: it leads a group of its own.
      kill -KILL -"$main" 2>/dev/null
    fi
    read_uptime
    now=$up
    [ $((${now%.*} - ${began%.*})) -lt 60 ] || failures=0
    failures=$((failures + 1))
    if [ $failures -ge $most_failures ]; then
      kill "$(cat "$run/prober")" 2>/dev/null
      # The last lines are still on their way through the pipe.
      usleep 200000
      give_up "$service_name ended $failures times, at last: $failure" 30
    fi
    echo "bootloom: $service_name $failure, starting it again" >&9
    sleep $((1 << (failures - 1))) &
    wait $!
  done
  end_service
}

tell_keepers() {
  local keeper
  for keeper in $keepers; do kill -"$1" "$keeper" 2>/dev/null; done
}

# In the order against that of the start: what others rely on ends last.
end_all() {
  local keeper
  for keeper in $keepers; do
    kill -TERM "$keeper" 2>/dev/null
    while kill -0 "$keeper" 2>/dev/null; do wait "$keeper"; done
  done
  end_learning
  sync
  $ending
}

# A shutdown is asked of PID 1 by busybox's reboot (TERM), poweroff (USR2) and halt (USR1).
supervise() {
  local number
  ending='' keepers=''
  collect_output
  trap 'ending=leave' TERM INT
  trap 'ending="poweroff -f"' USR2
  trap 'ending="halt -f"' USR1
  trap 'tell_keepers HUP' HUP
  await_ready &
  echo $! >"$run/prober"
  for number in $app_services; do
    (keep_service "$number") &
    keepers="$! $keepers"
  done
  # All that is ours runs: from now on, what appears below PID 1 was left behind by a service.
  : >"$run/started"
  report app
  while :; do
    wait
    [ -z "$ending" ] || end_all
  done
}
