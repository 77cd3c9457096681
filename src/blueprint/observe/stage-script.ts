/**
 * What runs as process 1 of the namespaces, with the root directory of the stack as its argument. It covers that
 * directory with a tmpfs that only these namespaces see, holding
 *
 * - `root`: a copy of the stack, mounted strictatime, in which the application runs;
 * - `view`: the same files through a mount that leaves access times alone, in which the blueprint's commands run. They
 *   see and change what the application does, and nothing they touch is taken for its doing;
 * - `trace`, `output`, `pid`, `exit`: what came of it.
 *
 * It then obeys its standard input. When that ends, because the server is done or dead, process 1 ends, and the kernel
 * ends every process and mount with it.
 */
export const stageScript = String.raw`
set -e
T=$1
cd "$T"
mount -t tmpfs -o strictatime,mode=0755,size=90% bootloom "$T"
mkdir "$T/root" "$T/view" "$T/trace"
cp -a -x . "$T/root/"
R=$T/root
mkdir -p "$R/proc" "$R/sys" "$R/dev" "$R/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$R/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys" || true
mount -t tmpfs -o mode=0755,nosuid dev "$R/dev"
mkdir "$R/dev/pts" "$R/dev/shm"
mknod -m 0666 "$R/dev/null" c 1 3
mknod -m 0666 "$R/dev/zero" c 1 5
mknod -m 0666 "$R/dev/full" c 1 7
mknod -m 0666 "$R/dev/random" c 1 8
mknod -m 0666 "$R/dev/urandom" c 1 9
mknod -m 0666 "$R/dev/tty" c 5 0
ln -s /proc/self/fd "$R/dev/fd"
ln -s fd/0 "$R/dev/stdin"
ln -s fd/1 "$R/dev/stdout"
ln -s fd/2 "$R/dev/stderr"
ln -s pts/ptmx "$R/dev/ptmx"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$R/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$R/dev/shm"
mount --rbind "$R" "$T/view"
mount -o remount,bind,noatime "$T/view"
ip link set lo up
: >"$T/output"
chmod 0666 "$T/output"
echo copied
set +e
while read -r verb word; do
  case $verb in
    list) cd "$R" && find . -xdev -printf '%y\t%P\0%l\0' >"$T/$word"; echo listed ;;
    start)
      cd "$R" && find . -xdev -print0 | xargs -0 touch -h -a -d @0
      cd /
      (
        sh "$T/launch" </dev/null >>"$T/output" 2>&1
        echo $? >"$T/exit.new"
        mv "$T/exit.new" "$T/exit"
      ) &
      echo started ;;
    signal) kill -s "$word" "$(cat "$T/pid")" 2>/dev/null && echo sent || echo gone ;;
    touched) cd "$R" && find . -xdev ! -type d -newerat 1970-01-02 -printf '%P\0' >"$T/touched"; echo listed ;;
  esac
done
`

/** A word as sh takes it literally. */
export const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`
