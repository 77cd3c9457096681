# What this boot is about: the kernel command line, and for a node whose command line is fixed, the overlay.
server='' mac='' boot='' bundle='' hostname='' time_left=''

read_argument() {
  case $1 in
    server) server=$2 ;;
    mac) mac=$2 ;;
    boot) boot=$2 ;;
    bundle) bundle=$2 ;;
    hostname) hostname=$2 ;;
    deadline) time_left=$2 ;;
  esac
}

# Read as text, never run as a script.
if [ -f $own/node/node.env ]; then
  while IFS='=' read -r name value; do
    read_argument "$name" "$value"
  done <$own/node/node.env
fi
read -r words </proc/cmdline
for word in $words; do
  case $word in
    bootloom.*=*)
      word=${word#bootloom.}
      read_argument "${word%%=*}" "${word#*=}"
      ;;
  esac
done
