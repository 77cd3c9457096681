# Drivers and the network.
network_error=''

load_drivers() {
  local module
  # Where the kernel looks for it before anywhere else; drivers may ask at once, or years later.
  [ ! -d $own/firmware ] || echo -n $own/firmware >/sys/module/firmware_class/parameters/path
  set +f
  for module in $own/drivers/*.ko*; do
    [ -f "$module" ] && insmod "$module"
  done
  set -f
  # A kernel that came without drivers has all of them in itself, and takes none from anybody.
  [ -d $own/drivers ] || [ ! -e /proc/sys/kernel/modules_disabled ] || echo 1 >/proc/sys/kernel/modules_disabled
  rm -rf $own/drivers
}

# The interface that booted, by its address; without one on the command line, the first that is no loopback.
find_interface() {
  local path address
  set +f
  for path in /sys/class/net/*; do
    read -r address <"$path/address"
    [ "${path##*/}" != lo ] || continue
    if [ -z "$mac" ] || [ "$address" = "$mac" ]; then
      interface=${path##*/}
      break
    fi
  done
  set -f
  [ -n "$interface" ]
}

# ask_for_lease WORD...: asks in the words of udhcpc; once it has a lease it goes on in the background and renews it.
ask_for_lease() {
  hostname_set=$hostname udhcpc -i "$interface" -s $own/boot/lease.sh -O mtu ${hostname:+-x hostname:"$hostname"} "$@" \
    >"$run/lease.log" 2>&1
}

# The lease that the boot before had, handed on by kexec: until it is over the node may go on with it, and asks for it
# again when its application has had time to start. Fails when there is none, or less than a minute of it is left.
go_on_with_lease() {
  local handed=$own/kept/lease name value address='' left=0
  [ -f $handed ] || return 1
  while IFS='=' read -r name value; do
    case $name in
      ip) address=$value ;;
      until) left=$((value - EPOCHSECONDS)) ;;
    esac
  done <$handed
  [ -n "$address" ] && [ $left -ge 60 ] && hostname_set=$hostname $own/boot/lease.sh handed <$handed || return 1
  {
    sleep 5
    ask_for_lease -r "$address" -n -t $((left / 10)) -T 10 || {
      ip -4 addr flush dev "$interface"
      ask_for_lease -b -T 10
    }
  } &
}

# A driver may take a moment to find its card, and a link a few seconds to come up: both are waited for in small steps.
bring_up_network() {
  local tries=0 carrier=0
  interface=''
  until find_interface; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ]; then
      network_error="no interface has the address $mac"
      return 1
    fi
    usleep 50000
  done
  ip link set "$interface" up
  tries=0
  while [ $tries -lt 100 ]; do
    read -r carrier <"/sys/class/net/$interface/carrier" 2>/dev/null
    [ "$carrier" != 1 ] || break
    tries=$((tries + 1))
    usleep 50000
  done
  # Every second for half a minute.
  if ! go_on_with_lease && ! ask_for_lease -n -t 30 -T 1; then
    network_error="no DHCP server answered on $interface"
    return 1
  fi
  : >"$run/online"
}

apply_hostname() {
  echo "${hostname:-node-${mac//:/}}" >/proc/sys/kernel/hostname
}

# The node knows its own name without asking a name server: many applications look it up when they start, and wait.
name_locally() {
  local name line word
  read -r name </proc/sys/kernel/hostname
  case $name in '' | '(none)') return ;; esac
  [ -f /etc/hosts ] || echo '127.0.0.1 localhost' >/etc/hosts
  while read -r line || [ -n "$line" ]; do
    for word in ${line#* }; do [ "$word" != "$name" ] || return 0; done
  done </etc/hosts
  echo "127.0.1.1 $name" >>/etc/hosts
}

# Files of the overlay go to their places; what is left of it is taken away, for it may hold secrets.
apply_files() {
  [ ! -d $own/node/files ] || cp -a $own/node/files/. /
  rm -rf $own/node
}
