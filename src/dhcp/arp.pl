#!/usr/bin/perl
# Asks by ARP who uses an address, for Node has no raw sockets:
#
#   arp.pl eth1
#
# Each line of input is an address; it is asked for with the sender address 0.0.0.0, which no neighbour remembers (RFC
# 5227 §2.1.1). Each line of output is an address and the MAC that answered. Ends with its input. Needs CAP_NET_RAW.
use strict;
use warnings;
use Socket;

my ($AF_PACKET, $ETH_P_ARP, $SIOCGIFINDEX, $SIOCGIFHWADDR) = (17, 0x0806, 0x8933, 0x8927);
my $interface = shift @ARGV // die "arp: no interface\n";

socket(my $wire, $AF_PACKET, SOCK_DGRAM, unpack('S', pack('n', $ETH_P_ARP))) or die "arp: socket: $!\n";
my $request = pack('a16 x24', $interface);
ioctl($wire, $SIOCGIFINDEX, $request) or die "arp: interface $interface: $!\n";
my $index = unpack('x16 i', $request);
$request = pack('a16 x24', $interface);
ioctl($wire, $SIOCGIFHWADDR, $request) or die "arp: MAC of $interface: $!\n";
my $mac = unpack('x18 a6', $request);
my $place = sub { pack('S n i S C C a8', $AF_PACKET, $ETH_P_ARP, $index, 1, 0, 6, shift) };
bind($wire, $place->('')) or die "arp: bind: $!\n";

$| = 1;
my (%asked, $input);
$input = '';
while (1) {
    my $ready = '';
    vec($ready, fileno(STDIN), 1) = 1;
    vec($ready, fileno($wire), 1) = 1;
    next if select($ready, undef, undef, undef) < 0;
    if (vec($ready, fileno(STDIN), 1)) {
        sysread(STDIN, $input, 4096, length $input) or exit 0;
        while ($input =~ s/^([^\n]*)\n//) {
            my $target = inet_aton($1) or next;
            my $now = time;
            if (keys %asked > 1000) { $asked{$_} < $now - 3 and delete $asked{$_} for keys %asked }
            $asked{$target} = $now;
            my $question = pack('n n C C n a6 a4 a6 a4', 1, 0x0800, 6, 4, 1, $mac, "\0" x 4, "\0" x 6, $target);
            send($wire, $question, 0, $place->("\xff" x 6));
        }
    }
    if (vec($ready, fileno($wire), 1)) {
        defined recv($wire, my $packet, 1500, 0) or next;
        next if length $packet < 28;
        my ($hardware, $protocol, $hlen, $plen, $op, $sender, $address) = unpack('n n C C n a6 a4', $packet);
        next unless $hardware == 1 && $protocol == 0x0800 && $hlen == 6 && $plen == 4 && $asked{$address};
        print inet_ntoa($address), ' ', join(':', unpack('(H2)6', $sender)), "\n";
    }
}
