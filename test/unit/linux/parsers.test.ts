import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { parseProbe } from '../../../src/linux/blkid.ts';
import { parseXfsGrowfs } from '../../../src/linux/growfs.ts';
import { parseListed } from '../../../src/linux/losetup.ts';
import { shows } from '../../../src/linux/mount.ts';

describe('parseListed', () => {
  test('reads a line with its padding', () => {
    const line = String.raw`/dev/loop3 \x20\x20\x20254:1\x20\x20 9977999`;
    expect(parseListed(line)).toEqual({
      path: '/dev/loop3',
      backing: { device: 0xfe01n, inode: 9977999n },
    });
  });

  test('keeps an inode beyond what a double holds, and a minor beyond a byte', () => {
    const { backing } = parseListed('/dev/loop0 7:300 18446744073709551615');
    expect(backing).toEqual({ device: 0x10072cn, inode: 18446744073709551615n });
  });

  test.each([
    '/dev/loop3',
    '/dev/loop3  ',
    String.raw`/dev/loop3\x20(lost)  `,
    '/dev/loop3 (lost)',
  ])('a device whose file is unknown: %j', (line) => {
    expect(parseListed(line)).toEqual({ path: '/dev/loop3', backing: undefined });
  });

  test.each(['', '/dev/loop0 0 1', 'loop0 7:0 1', '/dev/loop0 7:0 x'])('refuses %j', (line) => {
    expect(() => parseListed(line)).toThrow('losetup printed');
  });
});

describe('parseProbe', () => {
  test('tells file systems, tables and other content apart', () => {
    expect(parseProbe('DEVNAME=/dev/loop0\nTYPE=ext4\nUSAGE=filesystem\n')).toEqual({
      kind: 'filesystem',
      type: 'ext4',
    });
    expect(parseProbe('DEVNAME=/dev/loop0\nPTUUID=x\nPTTYPE=gpt\n')).toEqual({
      kind: 'other',
      what: 'a gpt partition table',
    });
    expect(parseProbe('TYPE=LVM2_member\nUSAGE=raid\n')).toEqual({
      kind: 'other',
      what: 'LVM2_member',
    });
  });

  test('refuses what it does not know', () => {
    expect(() => parseProbe('DEVNAME=/dev/loop0\n')).toThrow('blkid printed');
  });
});

describe('parseXfsGrowfs', () => {
  const geometry = 'data     =                       bsize=4096   blocks=76800, imaxpct=25\n';

  test('reads the size after, or the one that stayed', () => {
    expect(parseXfsGrowfs(`${geometry}data blocks changed from 76800 to 128000\n`)).toBe(
      500n * MiB,
    );
    expect(parseXfsGrowfs(`${geometry}data size unchanged, skipping\n`)).toBe(300n * MiB);
  });

  test('refuses what it does not know', () => {
    expect(() => parseXfsGrowfs('done\n')).toThrow('xfs_growfs printed');
  });
});

describe('shows', () => {
  const mount = {
    id: 1,
    parent: 0,
    device: '0:5',
    root: '/loop3',
    point: '/p',
    options: [],
    type: 'devtmpfs',
    source: 'devtmpfs',
    superOptions: [],
    shared: false,
  };
  const device = { number: '7:3', name: 'loop3', nodeIn: '0:24' };

  test('a mount of the device and a bind of its node, and nothing else', () => {
    expect(shows(mount, device)).toBe(true);
    expect(shows({ ...mount, device: '7:3', root: '/', type: 'ext4' }, device)).toBe(true);
    expect(shows({ ...mount, root: '/loop30' }, device)).toBe(false);
    expect(shows({ ...mount, type: 'ext4' }, device)).toBe(false);
  });

  test('in memory only where /dev is: a pod may name a directory like a device', () => {
    expect(shows({ ...mount, type: 'tmpfs', device: '0:24' }, device)).toBe(true);
    expect(shows({ ...mount, type: 'tmpfs', device: '0:25' }, device)).toBe(false);
  });
});
