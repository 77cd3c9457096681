# The kernel unpacks a damaged initramfs as far as it can and starts init all the same, so init looks itself.

# Sets $missing to what is wrong and fails, unless the end marker is there, names the bundle asked for, and $1 paths are as
# many as it says.
check_marker() {
  if [ ! -f $own/end ]; then
    missing="the end marker is missing, $1 files arrived: damaged, cut off, or larger than half of this node's RAM"
    return 1
  fi
  local name value named='' files=''
  while IFS='=' read -r name value; do
    case $name in
      bundle) named=$value ;;
      files) files=$value ;;
    esac
  done <$own/end
  if [ "$named" != "$bundle" ]; then
    missing="the overlay is of bundle ${named:-?}, this boot asked for ${bundle:-none}"
    return 1
  fi
  if [ "$files" != "$1" ]; then
    missing="$1 of $files files arrived"
    return 1
  fi
}

# Reports why, waits $2 seconds so that the report gets away and a person can read the screen, and boots anew.
give_up() {
  echo "bootloom: $1; booting again in $2 s" >/dev/console
  report failed "$1"
  sleep "$2"
  reboot -f
}
