/** What the driver starts on a node, what its simulator needs, and what mends each file system by hand. */
export const programs = [
  ...['node', 'env', 'mknod', 'nsenter'],
  ...['losetup', 'blkdiscard', 'blkid', 'mount', 'umount', 'fallocate', 'fstrim', 'fsfreeze'],
  ...['prlimit', 'unshare', 'setpriv', 'qemu-img'],
  ...['mkfs.ext4', 'e2fsck', 'resize2fs', 'tune2fs'],
  ...['mkfs.xfs', 'xfs_repair', 'xfs_growfs', 'xfs_io'],
  ...['mkfs.btrfs', 'btrfs'],
];
