#!/usr/bin/perl
# Sets UDP_SEGMENT on inherited sockets: from then on the kernel cuts what is sent there into datagrams of so many bytes.
#
#   segment.pl 3=1432 4=1472
#
# Node can set no such option; perl-base is on every Debian.
use strict;
use warnings;

my ($SOL_UDP, $UDP_SEGMENT) = (17, 103);    # linux/udp.h

for (@ARGV) {
    my ($descriptor, $bytes) = /^(\d+)=(\d+)$/ or die "segment: $_ is not DESCRIPTOR=BYTES\n";
    open(my $socket, '+<&=', $descriptor) or die "segment: descriptor $descriptor: $!\n";
    setsockopt($socket, $SOL_UDP, $UDP_SEGMENT, pack('i', $bytes)) or die "segment: UDP_SEGMENT: $!\n";
}
