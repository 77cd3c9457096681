# A root of more than what was unpacked: below it what the packages' image holds (bundles of squashfs), and what the bundle
# lacks and may be fetched (boot/native/reach.c). Above both stands what was unpacked, just renamed.

layers_wanted() {
  [ -f $own/image ] || [ -x $own/misses/reach ]
}

# Begins init anew in the layers; returns, with why in $layers_error, only when that cannot be.
enter_layers() {
  local layers=$own/layers lower='' top
  layers_error='the layers of the root cannot be made'
  mkdir -p $layers/up$own $layers/up/dev $layers/up/proc $layers/up/sys $layers/work $layers/root || return 1
  chmod 700 $layers
  if [ -f $own/image ]; then
    layers_error='the image of the packages cannot be mounted'
    mkdir -p $layers/image
    mount -t squashfs -o loop,ro $own/image $layers/image || return 1
    lower=$layers/image
  fi
  if [ -x $own/misses/reach ]; then
    layers_error='what the bundle lacks cannot be mounted'
    mkdir -p $layers/lacking
    $own/misses/reach $own/misses/tree $layers/lacking $own/misses/fetched "$server" "$mac" "$boot" </dev/null 8>&- ||
      return 1
    lower=${lower:+$lower:}$layers/lacking
    if [ -f $own/pages/tree ]; then
      layers_error='what the bundle has by page cannot be mounted'
      mkdir -p $layers/paged
      show_pages $layers/paged fetch || return 1
      lower=$layers/paged:$lower
    fi
  fi
  layers_error='the layers of the root cannot be entered'
  set +f
  for top in /* /.[!.]*; do
    case $top in
      /dev | /proc | /sys | $own | '/.[!.]*') ;;
      *) mv "$top" $layers/up/ || return 1 ;;
    esac
  done
  set -f
  # Overlayfs finds its layers by name, once; nothing is copied (kernel document filesystems/overlayfs).
  mount -t overlay -o "lowerdir=$lower,upperdir=$layers/up,workdir=$layers/work" overlay $layers/root || return 1
  mount --bind $own $layers/root$own || return 1
  for top in /dev /proc /sys; do mount -o move $top $layers/root$top || return 1; done
  cd $layers/root && mount -o move . / || return 1
  export in_layers=yes
  exec chroot . /init
}
