#!/usr/bin/perl
# Fetches a file by TFTP, so many times at once, and prints the seconds that took. Used against every server alike: it does
# as little as a client can.
#
#   tftp-client.pl ADDRESS PORT FILE BLKSIZE WINDOWSIZE CLIENTS BYTES
use strict;
use warnings;
use Socket;
use Time::HiRes qw(time alarm);

my ($address, $port, $file, $block_size, $window, $clients, $expected) = @ARGV;
alarm 60;
my $server  = sockaddr_in($port, inet_aton($address));
my $request = pack('n', 1) . "$file\0octet\0blksize\0$block_size\0" . ($window > 1 ? "windowsize\0$window\0" : '');
my ($waiting, @clients) = ('');
my ($left, $bytes) = ($clients, 0);
my $began = time;

for (1 .. $clients) {
    socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
    setsockopt($socket, SOL_SOCKET, SO_RCVBUF, 1 << 20);
    bind($socket, sockaddr_in(0, inet_aton($address))) or die "bind: $!\n";
    send($socket, $request, 0, $server) or die "send: $!\n";
    vec($waiting, fileno($socket), 1) = 1;
    # Blocks that came, blocks since the last acknowledgement, what was agreed.
    $clients[fileno $socket] = { socket => $socket, came => 0, since => 0, size => 512, window => 1 };
}

sub receive {
    my ($client) = @_;
    my $from = recv($client->{socket}, my $packet, 65535, 0);
    my $operation = unpack 'n', $packet;
    connect($client->{socket}, $from) unless $client->{connected}++;
    if ($operation == 3) {
        my $number = unpack 'x2n', $packet;
        if ($number != (($client->{came} + 1) & 0xffff)) {
            # One is missing: say what there is, once.
            syswrite $client->{socket}, pack('nn', 4, $client->{came} & 0xffff) unless $client->{gap}++;
            $client->{since} = 0;
            return;
        }
        $client->{gap} = 0;
        $client->{came}++;
        my $length = length($packet) - 4;
        $bytes += $length;
        my $last = $length < $client->{size};
        if (++$client->{since} >= $client->{window} or $last) {
            syswrite $client->{socket}, pack('nn', 4, $number);
            $client->{since} = 0;
        }
        return unless $last;
        $left--;
        vec($waiting, fileno($client->{socket}), 1) = 0;
    }
    elsif ($operation == 6) {
        my %agreed = split /\0/, substr $packet, 2;
        $client->{size}   = $agreed{blksize}    || 512;
        $client->{window} = $agreed{windowsize} || 1;
        syswrite $client->{socket}, pack('nn', 4, 0);
    }
    else {
        die 'the server says: ' . substr($packet, 4) . "\n";
    }
}

if ($clients == 1) {
    my ($client) = grep { $_ } @clients;
    receive($client) while $left;
}
while ($left) {
    select(my $ready = $waiting, undef, undef, undef);
    vec($ready, $_, 1) and receive($clients[$_]) for 0 .. $#clients;
}
die "$bytes bytes came\n" if $bytes != $expected * $clients;
printf "%.4f\n", time - $began;
