# Asks the application what app.sh says, until it answers. What is sent and what is expected stand in files, so that
# they may hold anything: app/$asked.send and app/$asked.expect, $asked being `app` or `service-N`.
deadline=60
asked=app

# probe_http PORT STATUS
probe_http() {
  $own/agent probe $asked "$1" "$2" </dev/null 7>&- 8>&- 9>&-
}

# probe_tcp PORT: where no text is expected, being connected is enough.
probe_tcp() {
  $own/agent probe $asked "$1" </dev/null 7>&- 8>&- 9>&-
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

# probe_command STATUS COMMAND...
probe_command() {
  local expected=$1
  shift
  timeout 10 "$@" </dev/null >"$run/$asked.answer" 2>&1 8>&- 9>&-
  [ $? = "$expected" ] && answer_holds
}

# Reports ready at the first good answer; failed after the deadline, and ready all the same when it comes later.
await_ready() {
  local began up late='' pause=50000
  read_uptime
  began=$up
  until app_probe; do
    read_uptime
    if [ -z "$late" ] && [ $((${up%.*} - ${began%.*})) -ge $deadline ]; then
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
