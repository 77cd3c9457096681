#!/usr/bin/perl
# Opens UDP sockets that are bound to one interface each, then becomes the command given, which inherits them:
#
#   bind.pl eth1:67/300 eth1:67 eth1:4011 -- node src/main.ts serve
#
# INHERITED_SOCKETS tells the command which descriptor is which: "eth1:67=3 eth1:4011=4". Node can neither set
# SO_BINDTODEVICE nor be given a socket any other way; perl-base is on every Debian.
#
# A socket with a size sends only: the kernel cuts what is sent by it into datagrams of so many bytes (UDP_SEGMENT). It is
# named before the one that receives on its port, for of two that could the kernel gives a datagram to the one bound
# last. A kernel that cannot cut (before 4.18) leaves it out.
use strict;
use warnings;
use Socket;

my $SO_BINDTODEVICE = 25;
my $SO_SNDBUFFORCE = 32;
my $SO_RCVBUFFORCE = 33;
my $SO_ATTACH_FILTER = 26;
my ($SOL_UDP, $UDP_SEGMENT) = (17, 103);    # linux/udp.h
# Takes nothing: one instruction (linux/filter.h), BPF_RET with 0 bytes.
my $nothing = pack('S C C L', 0x06, 0, 0, 0);
$^F = 1000;    # Descriptors up to here stay open across exec.

my (@named, @kept);
while (@ARGV and (my $name = shift @ARGV) ne '--') {
    my ($interface, $port, $size) = $name =~ /^([^\s\/:]{1,15}):(\d{1,5})(?:\/(\d{1,5}))?$/
      or die "bind: $name is not INTERFACE:PORT or INTERFACE:PORT/SIZE\n";
    socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die "bind: socket: $!\n";
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) or die "bind: SO_REUSEADDR: $!\n";
    setsockopt($socket, SOL_SOCKET, SO_BROADCAST, 1) or die "bind: SO_BROADCAST: $!\n";
    setsockopt($socket, SOL_SOCKET, $SO_BINDTODEVICE, $interface) or die "bind: interface $interface: $!\n";
    if ($size) {
        setsockopt($socket, $SOL_UDP, $UDP_SEGMENT, pack('i', $size)) or next;
        setsockopt($socket, SOL_SOCKET, $SO_ATTACH_FILTER, pack('S x![P] P', 1, $nothing)) or next;
    } else {
        # Room for a burst of some 5,000 datagrams, where we may (CAP_NET_ADMIN): a rack that powers on asks all at once.
        setsockopt($socket, SOL_SOCKET, $SO_RCVBUFFORCE, pack('i', 2**21));
    }
    # The kernel holds what goes to an address that no ARP answers for three seconds, up to the default size of this
    # buffer for each: one such address must not keep the others' answers waiting.
    setsockopt($socket, SOL_SOCKET, $SO_SNDBUFFORCE, pack('i', 2**22));
    bind($socket, sockaddr_in($port, INADDR_ANY)) or die "bind: $name: $!\n";
    push @kept, $socket;
    push @named, "$name=" . fileno($socket);
}
die "bind: no command\n" unless @ARGV;
$ENV{INHERITED_SOCKETS} = join ' ', @named;
exec { $ARGV[0] } @ARGV or die "bind: $ARGV[0]: $!\n";
