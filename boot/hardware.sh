# Tells the server which devices this machine has, so that bundles get the drivers for them. Once in each boot, when the
# application has answered or had its time: nothing waits for it.

# By way of the buses: to walk all of /sys would leave some 8 MB of names and inodes in the kernel's memory.
list_modaliases() (
  set +f
  grep -sh '' /sys/bus/*/devices/*/modalias /sys/devices/system/cpu/modalias /sys/class/dmi/id/modalias |
    awk '!told[$0]++' | head -c 100000
)

tell_hardware() {
  [ -n "$server" ] || return 0
  list_modaliases >"$run/hardware"
  local pause
  for pause in 0 5 30; do
    [ "$pause" = 0 ] || sleep "$pause"
    timeout 10 wget -q -O /dev/null --header 'Content-Type: text/plain' --post-file "$run/hardware" \
      "$server/hardware?mac=$mac&boot=$boot" 2>/dev/null && break
  done
  rm -f "$run/hardware"
}
