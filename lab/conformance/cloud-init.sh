#!/bin/sh
# A machine's first boot with cloud-init, in a chroot, in namespaces of its own: an address by DHCP, then its seed by HTTP.
#   cloud-init.sh ROOT INTERFACE SEED
# Prints what came of it: the name of the machine, and the file that its user data has it write.
set -eu
root=$1 interface=$2 seed=$3
cat >leased <<'END'
#!/bin/sh
[ "$1" != bound ] || ip address replace "$ip/$mask" dev "$interface"
END
chmod +x leased
busybox udhcpc -i "$interface" -f -n -q -s "$PWD/leased" >&2
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/etc/cloud/cloud.cfg.d"
printf 'datasource_list: [NoCloud]\ndatasource: {NoCloud: {seedfrom: "%s"}}\n' "$seed" >"$root/etc/cloud/cloud.cfg.d/90-seed.cfg"
rm -f "$root/etc/written"
chroot "$root" cloud-init clean --logs >&2
# Modules that want more of a machine than a chroot is fail: ssh has no keys to make here.
chroot "$root" cloud-init init >&2 || true
echo "hostname $(cat "$root/etc/hostname")"
echo "written $(cat "$root/etc/written")"
