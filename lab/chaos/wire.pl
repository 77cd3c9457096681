#!/usr/bin/perl
# A bad cable: carries Ethernet frames between two tap devices and does to them what it is told.
#
#   wire.pl TAP TAP [loss=PERCENT] [duplicate=PERCENT] [reorder=PERCENT] [delay=MS] [jitter=MS] [rate=BYTES_PER_SECOND]
#                   [up=MS down=MS] [seed=N]
#
# It does what `tc netem` does, without the kernel's sch_netem, which many kernels of virtual machines lack. A reordered
# frame overtakes those that wait: it is sent at once, the others after the delay. With up and down the link flaps.
use strict;
use warnings;
use Fcntl;
use Time::HiRes qw(time);

my ($TUNSETIFF, $IFF_TAP_NO_PI) = (0x400454ca, 0x1002);
# Frames that may wait; beyond, they are dropped, as a switch does.
my $most = 4000;

my @names = splice @ARGV, 0, 2;
my %told = map { /^(\w+)=([\d.]+)$/ or die "wire: $_?\n"; ($1 => $2) } @ARGV;
my %is = (loss => 0, duplicate => 0, reorder => 0, delay => 0, jitter => 0, rate => 0, up => 0, down => 0, seed => 1, %told);
srand $is{seed};

my @taps = map {
    sysopen(my $tap, '/dev/net/tun', O_RDWR | O_NONBLOCK) or die "wire: /dev/net/tun: $!\n";
    ioctl($tap, $TUNSETIFF, pack('a16 s x22', $_, $IFF_TAP_NO_PI)) or die "wire: $_: $!\n";
    $tap;
} @names;

# For each direction: frames with the time they are due, in order, and when the line is free again.
my @waiting = ([], []);
my @free = (0, 0);
my $began = time;
$| = 1;
print "carrying\n";

while (1) {
    my $now = time;
    my $next = $now + 1;
    for my $to (0, 1) {
        my $queue = $waiting[$to];
        while (@$queue and $queue->[0][0] <= $now) { syswrite $taps[$to], (shift @$queue)->[1] }
        $next = $queue->[0][0] if @$queue and $queue->[0][0] < $next;
    }
    my $ready = '';
    vec($ready, fileno $_, 1) = 1 for @taps;
    my $left = $next - time;
    next unless select($ready, undef, undef, $left > 0 ? $left : 0) > 0;
    for my $from (0, 1) {
        next unless vec $ready, fileno $taps[$from], 1;
        for (1 .. 64) {
            last unless sysread $taps[$from], my $frame, 65536;
            carry(1 - $from, $frame);
        }
    }
}

sub carry {
    my ($to, $frame) = @_;
    my $now = time;
    return if $is{down} and ($now - $began) * 1000 % ($is{up} + $is{down}) >= $is{up};
    return if rand(100) < $is{loss};
    my $due = $now + ($is{delay} + rand $is{jitter}) / 1000;
    $due = $now if rand(100) < $is{reorder};
    if ($is{rate}) {
        $free[$to] = ($free[$to] > $now ? $free[$to] : $now) + length($frame) / $is{rate};
        $due += $free[$to] - $now;
    }
    for (1 .. (rand(100) < $is{duplicate} ? 2 : 1)) {
        if ($due <= $now and !@{ $waiting[$to] }) { syswrite $taps[$to], $frame; next }
        return if @{ $waiting[$to] } >= $most;
        insert($waiting[$to], [$due, $frame]);
    }
}

# From the end: a frame is nearly always due after those before it.
sub insert {
    my ($queue, $entry) = @_;
    my $at = @$queue;
    $at-- while $at > 0 and $queue->[$at - 1][0] > $entry->[0];
    splice @$queue, $at, 0, $entry;
}
