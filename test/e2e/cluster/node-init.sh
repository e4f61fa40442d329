# The first process of a node: makes the node's own view of the machine, then waits for orphans to reap.
# When it is killed, all processes, mounts and links of the node go with it.
#   node-init.sh NAME FOLDER GPFS
set -eu
name=$1 folder=$2 gpfs=$3
hostname "$name"
for path in /var/lib/kubelet /var/lib/gpfs-csi /var/lib/cni; do
  mount --bind "$folder$path" "$path"
done
mount --bind "$folder/machine-id" /etc/machine-id
mount --make-rshared /var/lib/kubelet
# What others have mounted from loop devices is held busy by our copy of their mounts.
device=$(findmnt -n -o SOURCE "$gpfs/fs1")
findmnt -rn -o TARGET,SOURCE,FSTYPE | tac | while read -r target source type; do
  case $source:$type in
    "$device":*) ;;
    /dev/loop*:* | *:overlay) [ "$target" = / ] || umount -l "$target" || true ;;
  esac
done
# GPFS gets a mount of its own here, so that mounting and unmounting it reaches the pods.
umount "$gpfs/fs1"
mount --bind "$gpfs" "$gpfs"
mount --make-rshared "$gpfs"
mount -t xfs "$device" "$gpfs/fs1"
# These are empty after a boot, as they are on any machine.
for path in /run /var/log "$folder/containerd/state"; do
  mount -t tmpfs -o mode=755 tmpfs "$path"
done
mkdir -p /run/netns /run/containerd /run/lock
sysctl -qw net.ipv4.ip_forward=1
ip link set lo up
touch /run/ready
while :; do
  sleep 3600 &
  wait $!
done
