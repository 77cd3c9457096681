#!/usr/bin/perl
# Asks which IPv6 routers are on a link (RFC 4861 §6.3.7), for Node has no raw sockets:
#
#   solicit.pl eth1 4
#
# Solicits at once and after each second, for as many seconds. Each line of output is the link-local address of a router
# that advertised itself, and for how many seconds it offers itself as the default router. Needs CAP_NET_RAW.
use strict;
use warnings;
use Socket qw(AF_INET6 SOCK_RAW inet_ntop pack_sockaddr_in6 unpack_sockaddr_in6 inet_pton);
use Time::HiRes qw(time);

my ($ICMPV6, $SOL_SOCKET, $SO_BINDTODEVICE) = (58, 1, 25);
my ($SOL_IPV6, $IPV6_MULTICAST_IF, $IPV6_MULTICAST_HOPS) = (41, 17, 18);
my ($interface, $patience) = @ARGV;
open(my $file, '<', "/sys/class/net/$interface/ifindex") or die "solicit: interface $interface: $!\n";
my $index = <$file> + 0;

socket(my $wire, AF_INET6, SOCK_RAW, $ICMPV6) or die "solicit: socket: $!\n";
setsockopt($wire, $SOL_SOCKET, $SO_BINDTODEVICE, "$interface\0") or die "solicit: bind to $interface: $!\n";
setsockopt($wire, $SOL_IPV6, $IPV6_MULTICAST_IF, pack('i', $index)) or die "solicit: multicast: $!\n";
# Routers take a solicitation only with the hop limit that no other link's can have.
setsockopt($wire, $SOL_IPV6, $IPV6_MULTICAST_HOPS, pack('i', 255)) or die "solicit: hop limit: $!\n";

$| = 1;
my $routers = pack_sockaddr_in6(0, inet_pton(AF_INET6, 'ff02::2'), $index);
my ($end, $next) = (time + $patience, time);
while ((my $now = time) < $end) {
    if ($now >= $next) {
        # An address that is still being probed for cannot be sent from: the next one will do.
        send($wire, pack('C C n N', 133, 0, 0, 0), 0, $routers);
        $next += 1;
    }
    my $ready = '';
    vec($ready, fileno($wire), 1) = 1;
    my $until = $next < $end ? $next : $end;
    next if select($ready, undef, undef, $until - $now) <= 0;
    my $from = recv($wire, my $packet, 1500, 0) or next;
    my ($type, $code, $lifetime) = unpack('C C x2 x2 n', $packet);
    next unless length $packet >= 16 && $type == 134 && $code == 0;
    my $address = inet_ntop(AF_INET6, (unpack_sockaddr_in6($from))[1]);
    print "$address $lifetime\n" if $address =~ /^fe[89ab]/;
}
