#!/bin/sh
# systemd-networkd by hand, without systemd: in a mount namespace of its own, until it has a lease or 20 s have passed.
#   networkd.sh INTERFACE
mount -t tmpfs tmpfs /run/systemd
# With a /sys for reading only it does not wait for udev, which knows nothing of this namespace.
mount -o remount,ro /sys
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network: /run/systemd/netif
printf '[Match]\nName=%s\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n' "$1" >/run/systemd/network/10-node.network
SYSTEMD_LOG_TARGET=console timeout 20 /lib/systemd/systemd-networkd 2>&1 | while read -r line; do
  echo "$line"
  case $line in *'DHCPv4 address'*) break ;; esac
done
