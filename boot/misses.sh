# What the bundle lacks and the application asks for: told to the server, or fetched from it (boot/native).

# Begins to see misses, which takes a moment; goes on beside what init has to do meanwhile.
watch_misses() {
  watcher=''
  [ -x $own/misses/watch ] && [ -n "$server" ] || return 0
  $own/misses/watch $own/misses/names "$server" "$mac" "$boot" </dev/null 8>&- &
  watcher=$!
}

# Those of the application's start shall be seen too. Without the watch the node works as well.
await_watch() {
  [ -z "$watcher" ] || wait "$watcher"
}

# A node that may reach back runs in an overlay: the bundle, just renamed, over what it lacks. Begins init anew there;
# returns, with why in $reach_error, only when that cannot be.
enter_reach() {
  local layers=$own/layers top
  reach_error='what the bundle lacks cannot be mounted'
  mkdir -p $layers/up$own $layers/up/dev $layers/up/proc $layers/up/sys $layers/work $layers/lacking $layers/root
  chmod 700 $layers
  $own/misses/reach $own/misses/tree $layers/lacking $own/misses/fetched "$server" "$mac" "$boot" </dev/null 8>&- ||
    return 1
  set +f
  for top in /* /.[!.]*; do
    case $top in
      /dev | /proc | /sys | $own | '/.[!.]*') ;;
      *) mv "$top" $layers/up/ || return 1 ;;
    esac
  done
  set -f
  # Overlayfs finds its layers by name, once; nothing is copied (kernel document filesystems/overlayfs).
  mount -t overlay -o lowerdir=$layers/lacking,upperdir=$layers/up,workdir=$layers/work overlay $layers/root ||
    return 1
  mount --bind $own $layers/root$own || return 1
  for top in /dev /proc /sys; do mount -o move $top $layers/root$top || return 1; done
  cd $layers/root && mount -o move . / || return 1
  export in_reach=yes
  exec chroot . /init
}
