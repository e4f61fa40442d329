import fc from 'fast-check';
import { expect, test } from 'vitest';
import { whyRefused } from '../../../../src/model/class/mount-flags.ts';

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
  'uid=1000',
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
  'context=system_u:object_r:t:s0',
  'context="system_u:object_r:container_file_t:s0:c10,c20"',
])('%s is left to the file system', (flag) => {
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
  'nobarrier',
  'barrier=0',
  'NoBarrier',
  'fatal_errors=panic',
  'logdev=/dev/sda',
  'journal_path=/dev/sda',
  'device=/dev/sda',
  'errors=panic',
  'user',
])('%s is refused by name', (flag) => {
  const isWhole = ['errors=panic', 'fatal_errors=panic', 'barrier=0'].includes(flag);
  const name = isWhole ? flag : (flag.toLowerCase().split('=')[0] ?? '');
  expect(whyRefused(flag)).toContain(`must not be ${name}: it `);
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

test('a reason never repeats what the user wrote beyond a name of our list', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 12, maxLength: 40 }), (text) => {
      for (const flag of [text, `loop=${text}`, `${text},x`])
        expect(whyRefused(flag) ?? '').not.toContain(text);
    }),
  );
});
