#!/usr/bin/perl
# Sends parts of files to sockets of its parent by sendfile(2), so that no byte is copied. Node can do neither.
#
# A line on standard input is "send ID DESCRIPTOR PEER-PORT OFFSET LENGTH FILE" or "drop ID"; a line on standard output is
# "ID" when all of it is in the socket's hands, "ID cannot REASON" when sockets cannot be borrowed here, or "ID REASON".
# Ends when its input does. perl-base is on every Debian.
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use POSIX ();

$SIG{PIPE} = 'IGNORE';    # a reader that went away is told by EPIPE

my $arm = (POSIX::uname())[4] eq 'aarch64';
my ($SENDFILE, $EPOLL_CREATE1, $EPOLL_CTL, $EPOLL_PWAIT) = $arm ? (71, 20, 21, 22) : (40, 291, 233, 281);
my ($PIDFD_OPEN, $PIDFD_GETFD) = (434, 438);
my ($ADD, $DEL, $IN, $OUT) = (1, 2, 1, 4);
my $event = $arm ? 'L x4 Q' : 'L Q';    # struct epoll_event is packed on x86-64 only
my $stalled = 60;                       # seconds in which a reader takes nothing

my $parent = syscall($PIDFD_OPEN, getppid() + 0, 0);
my $epoll = syscall($EPOLL_CREATE1, 0);
watch($ADD, 0, $IN, 0);

my (%jobs, %files, $input);
my $buffer = "\0" x (64 * length pack($event, 0, 0));

while (1) {
    my $ready = syscall($EPOLL_PWAIT, $epoll, $buffer, 64, 5000, 0, 8);
    die "epoll: $!\n" if $ready < 0 && $! != EINTR;
    for my $i (0 .. $ready - 1) {
        my $size = length pack($event, 0, 0);
        my (undef, $id) = unpack($event, substr($buffer, $i * $size, $size));
        if ($id == 0) { take() }
        elsif ($jobs{$id}) { go_on($id) }
    }
    my $now = time;
    for my $id (keys %jobs) { done($id, 'takes nothing') if $now - $jobs{$id}{moved} > $stalled }
}

sub watch {
    my ($how, $descriptor, $events, $id) = @_;
    my $wanted = pack($event, $events, $id);
    return syscall($EPOLL_CTL, $epoll, $how, $descriptor + 0, $wanted) == 0;
}

sub take {
    my $got = sysread(STDIN, my $bytes, 65536);
    exit 0 unless $got;
    $input .= $bytes;
    while ($input =~ s/^([^\n]*)\n//) {
        my ($verb, $id, @words) = split / /, $1, 7;
        if ($verb eq 'send') { begin($id, @words) }
        elsif ($jobs{$id}) { done($id, 'dropped') }
    }
}

sub begin {
    my ($id, $descriptor, $peer, $offset, $length, $path) = @_;
    my $fd = syscall($PIDFD_GETFD, $parent, $descriptor + 0, 0);
    return answer("$id cannot $!") if $fd < 0;
    open(my $socket, '+<&=', $fd) or return answer("$id $!");
    # The parent may have closed it meanwhile, and the number may be another connection's by now.
    my $address = getpeername($socket) or return answer("$id gone");
    my ($port) = unpack('x2 n', $address);    # of IPv4 and IPv6 alike
    return answer("$id gone") if $port != $peer;
    %files = () if keys %files > 256;
    my $file = $files{$path};
    if (!$file) {
        open($file, '<', $path) or return answer("$id $!");
        $files{$path} = $file;
    }
    $jobs{$id} = { socket => $socket, file => $file, offset => pack('q', $offset), left => $length + 0, moved => time };
    go_on($id);
}

sub go_on {
    my ($id) = @_;
    my $job = $jobs{$id};
    my ($to, $from) = (fileno $job->{socket}, fileno $job->{file});
    while ($job->{left} > 0) {
        my $sent = syscall($SENDFILE, $to + 0, $from + 0, $job->{offset}, $job->{left});
        if ($sent > 0) {
            $job->{left} -= $sent;
            $job->{moved} = time;
            next;
        }
        next if $sent < 0 && $! == EINTR;
        return done($id, $sent == 0 ? 'the file is too short' : "$!") if $sent == 0 || $! != EAGAIN;
        $job->{watched} ||= watch($ADD, $to, $OUT, $id);
        return;
    }
    done($id);
}

sub done {
    my ($id, $reason) = @_;
    my $job = delete $jobs{$id};
    watch($DEL, fileno $job->{socket}, 0, 0) if $job->{watched};
    answer(defined $reason ? "$id $reason" : $id);
}

sub answer {
    my $line = "$_[0]\n";
    while (length $line) {
        my $wrote = syswrite(STDOUT, $line);
        if (defined $wrote) { substr($line, 0, $wrote) = '' }
        elsif ($! != EINTR) { exit 0 }
    }
}
