#!/.bootloom/busybox sh
# What udhcpc calls for each event of the lease, with the lease in the environment.
export PATH=/.bootloom/bin
case $1 in
  deconfig)
    ip -4 addr flush dev "$interface"
    ;;
  bound | renew)
    [ -z "$mtu" ] || ip link set dev "$interface" mtu "$mtu"
    # On a renewal the address stays: taking it away for a moment would end connections.
    ip -4 addr show dev "$interface" | grep -q "inet $ip/$mask " || {
      ip -4 addr flush dev "$interface"
      ip addr add "$ip/$mask" ${broadcast:+broadcast "$broadcast"} dev "$interface"
    }
    for gateway in $router; do
      ip route replace default via "$gateway" dev "$interface"
      break
    done
    if [ -n "$dns$domain" ]; then
      rm -f /etc/resolv.conf
      {
        [ -z "$domain" ] || echo "search $domain"
        for address in $dns; do echo "nameserver $address"; done
      } >/etc/resolv.conf
      chmod 644 /etc/resolv.conf
    fi
    # The overlay's name comes before the server's.
    [ -n "$hostname_set" ] || [ -z "$hostname" ] || hostname "$hostname"
    ;;
esac
