# What the server can tell this node to do while it runs (boot/native/agent.c).

start_agent() {
  [ -n "$server" ] || return 0
  $own/agent obey "$server" "$mac" "$boot" </dev/null 7>&- 8>&- 9>&- &
}

# Into what the agent made ready, else through the firmware.
leave() {
  [ ! -e "$run/jump" ] || $own/agent jump
  reboot -f
}
