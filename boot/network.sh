# Drivers and the network.
network_error=''

load_drivers() {
  local module
  # Where the kernel looks for it before anywhere else; drivers may ask at once, or years later.
  [ ! -d $own/firmware ] || echo -n $own/firmware >/sys/module/firmware_class/parameters/path
  if [ -d $own/drivers ]; then
    # What the kernel cannot unpack, busybox does.
    for module in $($own/agent drivers); do insmod "$module"; done
    [ ! -d $own/drivers ] || rm -rf $own/drivers
  # A kernel that came without drivers has all of them in itself, and takes none from anybody.
  elif [ -e /proc/sys/kernel/modules_disabled ]; then
    echo 1 >/proc/sys/kernel/modules_disabled
  fi
}

# ask_for_lease WORD...: asks in the words of udhcpc; once it has a lease it goes on in the background and renews it.
ask_for_lease() {
  hostname_set=$hostname udhcpc -i "$interface" -s $own/lease -O mtu ${hostname:+-x hostname:"$hostname"} "$@" \
    >"$run/lease.log" 2>&1
}

# ask_again ADDRESS SECONDS: for an address that the boot before handed on, when the application has had time to start;
# once its time is over, for any.
ask_again() {
  sleep 5
  ask_for_lease -r "$1" -n -t $(($2 / 10)) -T 10 || {
    interface=$interface $own/lease deconfig
    ask_for_lease -b -T 10
  }
}

bring_up_network() {
  interface=''
  set -- $(hostname_set=$hostname $own/agent network "$mac")
  interface=$1
  if [ -z "$interface" ]; then
    network_error="no interface has the address $mac"
    return 1
  fi
  if [ -n "$3" ]; then
    ask_again "$2" "$3" &
  # Every second for half a minute.
  elif ! ask_for_lease -n -t 30 -T 1; then
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
