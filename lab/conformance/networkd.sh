#!/bin/sh
# systemd-networkd by hand, without systemd: in a mount namespace of its own, for ten seconds.
#   networkd.sh INTERFACE
mount -t tmpfs tmpfs /run/systemd
# With a /sys for reading only it does not wait for udev, which knows nothing of this namespace.
mount -o remount,ro /sys
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network: /run/systemd/netif
printf '[Match]\nName=%s\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n' "$1" >/run/systemd/network/10-node.network
exec env SYSTEMD_LOG_TARGET=console timeout 10 /lib/systemd/systemd-networkd
