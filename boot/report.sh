# Reports go to the server one after the other, by a process of its own, so that the boot never waits for them. Those
# made before there is a network wait for it in the pipe.

uptime_now() {
  local up rest
  read -r up rest </proc/uptime
  echo "$up"
}

# As the words of a query, in KiB; read without starting a process, for an application is about to answer.
memory_now() {
  local name size rest
  while read -r name size rest; do
    case $name in
      MemTotal:) printf '&memtotal=%s' "$size" ;;
      MemAvailable:) printf '&memavailable=%s' "$size" && return ;;
    esac
  done </proc/meminfo
}

start_reports() {
  mkfifo -m 600 "$run/reports"
  exec 8<>"$run/reports"
  number=0
  send_reports &
}

# report STAGE [REASON]: the body is the reason, an empty line, and what the application printed last.
report() {
  local stage=$1 query
  query="stage=$stage&uptime=$(uptime_now)"
  if [ "$stage" = ready ]; then
    query="$query$(memory_now)"
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

# `ready` is tried for some minutes: without it the server thinks that the node did not come up.
send_reports() {
  local query body pause pauses
  while read -r query body; do
    while [ ! -e "$run/online" ]; do usleep 50000; done
    pauses='0 1 2'
    case $query in stage=ready*) pauses="$pauses 5 10 20 40 60 60 60" ;; esac
    for pause in $pauses; do
      [ "$pause" = 0 ] || sleep "$pause"
      timeout 5 wget -q -O /dev/null --header 'Content-Type: text/plain' --post-file "$body" \
        "$server/report?mac=$mac&boot=$boot&$query" 2>/dev/null && break
    done
    rm -f "$body"
  done <&8
}
