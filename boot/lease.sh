#!/.bootloom/busybox sh
# What udhcpc calls for each event of the lease, with the lease in the environment; and init with `handed`, for a lease that
# the boot before had, which stands on its standard input as it was noted here.
export PATH=/.bootloom/bin
umask 022
run=/.bootloom/run

set_address() {
  ip addr add "$ip/$mask" ${broadcast:+broadcast "$broadcast"} dev "$interface"
}

set_all() {
  [ -z "$mtu" ] || ip link set dev "$interface" mtu "$mtu"
  # On a renewal the address stays: taking it away for a moment would end connections.
  if [ ! -e $run/online ]; then
    set_address
  elif ! ip -4 addr show dev "$interface" | grep -q "inet $ip/$mask "; then
    ip -4 addr flush dev "$interface"
    set_address
  fi
  for gateway in $router; do
    ip route replace default via "$gateway" dev "$interface"
    break
  done
  if [ -n "$dns$domain" ]; then
    [ ! -e /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ] || rm -f /etc/resolv.conf
    {
      [ -z "$domain" ] || echo "search $domain"
      for address in $dns; do echo "nameserver $address"; done
    } >/etc/resolv.conf
  fi
  # The overlay's name comes before the server's.
  [ -n "$hostname_set" ] || [ -z "$hostname" ] || echo "$hostname" >/proc/sys/kernel/hostname
}

# For the next boot, when the node jumps into it (boot/native/kexec.c).
note_lease() {
  {
    for name in interface ip mask broadcast router dns domain hostname mtu; do
      eval "echo \"$name=\$$name\""
    done
    echo "until=$((EPOCHSECONDS + lease))"
  } >$run/lease.new
  mv $run/lease.new $run/lease
}

case $1 in
  deconfig)
    # Nothing has been set before the first lease; and a handed one is being asked for.
    if [ -e $run/handed ]; then
      rm -f $run/handed
    elif [ -e $run/online ]; then
      ip -4 addr flush dev "$interface"
    fi
    ;;
  handed)
    while IFS='=' read -r name value; do
      case $name in
        interface | ip | mask | broadcast | router | dns | domain | hostname | mtu) eval "$name=\$value" ;;
      esac
    done
    : >$run/handed
    set_all
    ;;
  bound | renew)
    set_all
    note_lease
    ;;
esac
