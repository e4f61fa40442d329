import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fsTypes } from '../../../../src/model/capability.ts';
import { whyRefused, whyUnfit } from '../../../../src/model/class/mount-flags.ts';

test.each([
  'ro',
  'rw',
  'noatime',
  'nodiratime',
  'relatime',
  'discard',
  'nouuid',
  'defaults',
  'sync',
  'errors=remount-ro',
  'data=ordered',
  'logbsize=256k',
  'noexec',
  '_netdev',
  'nosuid',
  'nodev',
  'commit=30',
  'inode64',
  'barrier=1',
  'barrier',
  'compress=zstd:3',
  'context=system_u:object_r:t:s0',
  'context="system_u:object_r:container_file_t:s0:c10,c20"',
])('%s is an option of some file system', (flag) => {
  expect(whyRefused(flag)).toBeUndefined();
});

test.each([
  'loop',
  'LOOP',
  'loop=/dev/loop0',
  'offset=4096',
  'sizelimit=1',
  'bind',
  'rbind',
  'move',
  'remount',
  'shared',
  'rprivate',
  'suid',
  'dev',
  'norecovery',
  'noload',
  'nofail',
  'rescue=all',
  'rescue=nologreplay:ignorebadroots',
  'usebackuproot',
  'nobarrier',
  'barrier=0',
  'NoBarrier',
  'fatal_errors=panic',
  'fatal_errors=bug',
  'logdev=/dev/sda',
  'journal_path=/dev/sda',
  'device=/dev/sda',
  'errors=panic',
  'errors=PANIC',
  'debug',
  'user',
])('%s is refused by name', (flag) => {
  const isWhole = ['errors=panic', 'barrier=0'].includes(flag.toLowerCase());
  const name = isWhole ? flag.toLowerCase() : (flag.toLowerCase().split('=')[0] ?? '');
  expect(whyRefused(flag)).toContain(`must not be ${name}: it `);
});

test.each(['barrier=00', 'barrier=000', 'barrier=0x0', 'barrier=-0', 'barrier=+0', 'barrier=0x00'])(
  '%s is barrier=0 for the kernel, and for us',
  (flag) => {
    expect(whyRefused(flag)).toContain('must not be barrier=0: it ');
  },
);

test.each([
  'commit=010',
  'commit=0x10',
  'commit=+5',
  'commit= 5',
  'commit=5 ',
  'commit=3601',
  'commit=0',
  'commit=99999999999999999999',
  'commit',
  'barrier=1.0',
  'barrier=01',
  'barrier=',
  'noatime=1',
  'ro=',
  'data=',
  'data=Journal',
  'logbufs=9',
  'logbsize=1m',
  'thread_pool=1000000',
  'inode_readahead_blks=3',
  'inode_readahead_blks=1073741824',
  'compress=zstd:99',
  'allocsize=-1',
  'context=x',
])('%s has a value that its option may not have', (flag) => {
  expect(whyRefused(flag)).toMatch(/^must be /);
});

// Of mount(8), of other file systems, and of ext4, xfs and btrfs: what nobody has thought about is refused.
test.each(
  `uid=1000 gid=0 umask=0 mode=777 size=1g nr_inodes=0 lowerdir=/etc upperdir=/x workdir=/y roothash=x hash_offset=1
  nouid32 dax dax=always test_dummy_encryption ref_verify fragment=all warn_on_error usrjquota=aquota.user jqfmt=vfsv0
  ibadroots rescan_uuid_tree mand async=1 comment auto recovery barrier2 norecovery2 max_open_zones=1 seclabel
  smackfsroot smackfsdef RO NOATIME constructor __proto__ toString hasOwnProperty`
    .trim()
    .split(/\s+/),
)('%s is in no list and refused', (flag) => {
  expect(whyRefused(flag)).toBeDefined();
  for (const type of fsTypes) expect(whyUnfit(flag, type), type).toBeDefined();
});

test.each([
  '',
  ' ',
  'ro,suid',
  'ro suid',
  'ro\tsuid',
  'ro\nsuid',
  'a\0b',
  '-o',
  '--bind',
  '=x',
  ',suid',
  'X-mount.mkdir',
  'x-systemd.automount',
  'verity.hashdevice=/dev/sda',
  'a="b,suid"',
  "a='b'",
  'context="x",suid',
  'context="x"",suid,"y"',
  'a=b\\,c',
  'ünï',
])('%j is refused for its form', (flag) => {
  expect(whyRefused(flag)).toMatch(/^must be one option/);
});

describe('an option of one file system', () => {
  test.each([
    ['data=journal', 'xfs', 'data is an option of ext4, not of xfs'],
    ['compress', 'ext4', 'compress is an option of btrfs, not of ext4'],
    ['inode64', 'btrfs', 'inode64 is an option of xfs, not of btrfs'],
    ['barrier=1', 'btrfs', 'must be barrier'],
    ['discard=async', 'ext4', 'must be discard'],
    ['suid', 'xfs', 'must not be suid: it lets files of the volume gain rights on the node'],
  ] as const)('%s is refused for %s', (flag, type, why) => {
    expect(whyUnfit(flag, type)).toBe(why);
  });

  test.each([
    ['data=journal', 'ext4'],
    ['barrier=1', 'ext4'],
    ['discard=async', 'btrfs'],
    ['logbsize=64k', 'xfs'],
    ['noexec', 'btrfs'],
    ['context="system_u:object_r:container_file_t:s0:c10,c20"', 'xfs'],
  ] as const)('%s fits %s', (flag, type) => {
    expect(whyUnfit(flag, type)).toBeUndefined();
  });
});

test('a reason never repeats what the user wrote beyond a name of our list', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 12, maxLength: 40 }), (text) => {
      for (const flag of [text, `loop=${text}`, `commit=${text}`, `${text},x`])
        expect(whyRefused(flag) ?? '').not.toContain(text);
    }),
  );
});
