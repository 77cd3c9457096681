/**
 * What obeys in the namespaces, as process 2, with the root directory of the stack as its argument, and whether to copy it.
 * It covers that directory with a tmpfs that only these namespaces see, holding
 *
 * - `root`: a copy of the stack, or nothing at first; mounted strictatime, the application runs in it;
 * - `view`: the same files through a mount that leaves access times alone, in which the blueprint's commands run. They
 *   see and change what the application does, and nothing they touch is taken for its doing;
 *   Where nothing was copied, `view` is `root` over the stack, so that commands have their programs: an overlay, but for
 *   directories with sockets and state, which are those of `root` itself;
 * - `jobs`: a script for each program that is run watched, and its `.pid` and, once all it started has ended, `.exit`;
 * - `trace`, `output`: what came of it.
 *
 * It then obeys its standard input. When that ends, because the server is done or dead, process 1 ends with it, and the
 * kernel ends every process and mount.
 */
export const stageScript = String.raw`
set -e
T=$1
cd "$T"
mount -t tmpfs -o strictatime,mode=0755,size=90% bootloom "$T"
mkdir "$T/root" "$T/view" "$T/trace" "$T/jobs"
R=$T/root
if [ "$2" = copy ]; then
  cp -a -x . "$R/"
else
  mkdir "$T/stack" "$T/work"
  # As it is named, the tmpfs stands there by now; the working directory is what was there before.
  mount -c --bind . "$T/stack"
  mount -o remount,bind,ro "$T/stack"
fi
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
if [ "$2" = copy ]; then
  mount --rbind "$R" "$T/view"
  mount -o remount,bind,noatime "$T/view"
fi
ip link set lo up
: >"$T/output"
chmod 0666 "$T/output"
echo copied
set +e
while read -r verb word pid; do
  case $verb in
    list) cd "$R" && find . -xdev -printf '%y\t%P\0%l\0' >"$T/$word"; echo listed ;;
    lay)
      mount -t overlay -o "lowerdir=$T/stack,upperdir=$R,workdir=$T/work" view "$T/view" || exit 1
      for directory in proc sys dev run tmp var; do
        [ ! -d "$R/$directory" ] || [ -L "$R/$directory" ] || mount --rbind "$R/$directory" "$T/view/$directory" || exit 1
      done
      echo laid ;;
    calm) cd "$R" && find . -xdev -print0 | xargs -0 touch -h -a -d @0; cd /; echo calm ;;
    run)
      cd /
      (
        sh "$T/jobs/$word" </dev/null >>"$T/output" 2>&1
        echo $? >"$T/jobs/$word.exit.new"
        mv "$T/jobs/$word.exit.new" "$T/jobs/$word.exit"
      ) &
      echo started ;;
    signal) kill -s "$word" "$pid" 2>/dev/null && echo sent || echo gone ;;
    touched) cd "$R" && find . -xdev ! -type d -newerat 1970-01-02 -printf '%P\0' >"$T/touched"; echo listed ;;
  esac
done
`

/** A word as sh takes it literally. */
export const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/**
 * Process 1: waits for the script above, which is its first argument, and so takes in every process that lost its
 * parent. Some wait for a process to be gone before they go on (start-stop-daemon --retry).
 */
export const reaperScript = `
exec 3<&0
sh -c "$0" "$@" <&3 3<&- &
exec </dev/null 3<&-
wait $!
`
