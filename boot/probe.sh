# Asks the application what app.sh says, until it answers. What is sent and what is expected stand in files, so that
# they may hold anything: app/$asked.send and app/$asked.expect, $asked being `app` or `service-N`.
deadline=60
asked=app

# converse PORT DONE: connects, sends the request, and collects the answer in $run/$asked.answer until DONE says it is enough,
# the application closes, or 5 s are over. The pipe stays open for writing: some servers take a half-closed
# connection as the client having left.
converse() {
  local tries=0 asker sender status
  rm -f "$run/$asked.ask"
  : >"$run/$asked.answer"
  mkfifo -m 600 "$run/$asked.ask"
  exec 7<>"$run/$asked.ask"
  nc 127.0.0.1 "$1" <&7 >"$run/$asked.answer" 2>/dev/null 8>&- 9>&- &
  asker=$!
  cat $own/app/$asked.send >&7 2>/dev/null &
  sender=$!
  while kill -0 $asker 2>/dev/null && [ $tries -lt 100 ]; do
    if "$2"; then break; fi
    tries=$((tries + 1))
    usleep 50000
  done
  kill $asker $sender 2>/dev/null
  wait $asker 2>/dev/null
  wait $sender 2>/dev/null
  exec 7>&-
  "$2"
}

# Whether the answer holds the text expected, as it is; true when nothing is.
answer_holds() {
  [ -f $own/app/$asked.expect ] || return 0
  local expected answer
  expected=$(cat $own/app/$asked.expect && echo .)
  answer=$(head -c 1048576 "$run/$asked.answer")
  case $answer in *"${expected%.}"*) return 0 ;; esac
  return 1
}

# Whether anything listens on a TCP port, without starting a process: asking twenty times a second must not take from
# the application what it needs to start (proc(5): the local address ends in the port, 0A is LISTEN).
listens() {
  local port table slot here there state rest
  port=$(printf ':%04X' "$1")
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r $table ] || continue
    while read -r slot here there state rest; do
      case $here,$state in *"$port,0A") return 0 ;; esac
    done <$table
  done
  return 1
}

http_done() {
  local version status rest
  read -r version status rest <"$run/$asked.answer"
  [ "$status" = "$wanted" ] && answer_holds
}

tcp_done() {
  [ -s "$run/$asked.answer" ] && answer_holds
}

# probe_http PORT STATUS
probe_http() {
  wanted=$2
  listens "$1" && converse "$1" http_done
}

# probe_tcp PORT: where no text is expected, being connected is enough.
probe_tcp() {
  listens "$1" || return 1
  if [ -f $own/app/$asked.send ] || [ -f $own/app/$asked.expect ]; then
    converse "$1" tcp_done && return
  fi
  [ ! -f $own/app/$asked.expect ] && connects "$1"
}

# Nothing is said; ended after 1 s, it was connected.
connects() {
  timeout 1 nc 127.0.0.1 "$1" </dev/null >/dev/null 2>&1
  case $? in 0 | 143) return 0 ;; esac
  return 1
}

# probe_command STATUS COMMAND...
probe_command() {
  local expected=$1
  shift
  timeout 10 "$@" </dev/null >"$run/$asked.answer" 2>&1 8>&- 9>&-
  [ $? = "$expected" ] && answer_holds
}

# Reports ready at the first good answer; failed after the deadline, and ready all the same when it comes later.
await_ready() {
  local began now late='' pause=50000
  began=$(uptime_now)
  until app_probe; do
    now=$(uptime_now)
    if [ -z "$late" ] && [ $((${now%.*} - ${began%.*})) -ge $deadline ]; then
      report failed "the application did not answer its probe within $deadline s"
      late=yes
      pause=2000000
      tell_hardware
    fi
    usleep $pause
  done
  report ready
  [ -n "$late" ] || tell_hardware
}
