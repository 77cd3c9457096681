# Reports go to the server one after the other, by a process of its own, so that the boot never waits for them. Those
# made before there is a network wait for it in the pipe.

# Sets $up, in seconds. Nothing here starts a process: an application is about to start.
read_uptime() {
  local rest
  read -r up rest </proc/uptime
}

# Sets $memory to the words of a query, in KiB.
read_memory() {
  local name size rest
  memory=''
  while read -r name size rest; do
    case $name in
      MemTotal:) memory="&memtotal=$size" ;;
      MemAvailable:) memory="$memory&memavailable=$size" && return ;;
    esac
  done </proc/meminfo
}

start_reports() {
  exec 8<>"$run/reports"
  number=0
  [ -z "$server" ] || $own/agent tell "$server" "$mac" "$boot" <&8 7>&- 8>&- 9>&- &
}

# report STAGE [REASON]: the body is the reason, an empty line, and what the application printed last.
report() {
  local stage=$1 query up memory
  read_uptime
  query="stage=$stage&uptime=$up"
  if [ "$stage" = ready ]; then
    read_memory
    query="$query$memory"
  fi
  echo "bootloom: $stage ${2-}" >/dev/console
  [ "$stage" != ready ] || : >"$run/came-up"
  [ -n "$server" ] || return 0
  # Numbered by process too: the probe reports from a process of its own.
  number=$((number + 1))
  local name
  read -r name </proc/self/stat
  name="$run/report.${name%% *}.$number.$stage"
  printf '%s\n' "${2-}" >"$name"
  [ "$stage" != failed ] || { echo; last_lines; } >>"$name"
  echo "$query $name" >&8
}

last_lines() {
  cat "$run/output.old" "$run/output.log" 2>/dev/null | tail -n 20 | tail -c 4096
}
