import { lstatSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  asBlock,
  asMount,
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const server = await site.serve();
const MiB = 1024 * 1024;

const sizeOf = (id: string): number => lstatSync(imageOnDisk(site.root, id)).size;

describe.concurrent('names', () => {
  test('3: a name of 128 bytes in characters of three bytes, with tab and line feed, is a name', async () => {
    const name = `${'語'.repeat(42)}\t\n`;
    expect(Buffer.byteLength(name)).toBe(128);
    const id = await newVolume(server, name);
    expect(Buffer.byteLength(id)).toBeLessThanOrEqual(128);
    expect(await newVolume(server, name)).toBe(id);
    await remove(server, { volumes: [id] });
  });

  test('4: names like paths, emoji, and two forms of one letter are distinct and stay inside the root', async () => {
    const names = [
      '../x4',
      'a4/b',
      'a4_b',
      '/etc/passwd4',
      '.',
      '..',
      '4🦓',
      'caf4\u00e9',
      'caf4e\u0301',
      '4 name',
      '4 name ',
      'NAME4',
      'name4',
      '__proto__',
      'h-4',
      '-4',
      '4.5',
    ];
    expect(new Set(names).size).toBe(names.length);
    const ids = await Promise.all(names.map((name) => newVolume(server, name)));
    expect(new Set(ids).size).toBe(names.length);
    const images = ids.map((id) => imageOnDisk(site.root, id));
    expect(new Set(images).size).toBe(names.length);
    for (const image of images) expect(image).toMatch(/\/volumes\/[0-9a-f]{3}\/[A-Za-z0-9_.-]+$/);
    expect(await Promise.all(names.map((name) => newVolume(server, name)))).toEqual(ids);
    await remove(server, { volumes: ids });
  });

  test('4: a volume and a snapshot may have one name', async () => {
    const volume = await newVolume(server, 'same4');
    const snapshot = await newSnapshot(server, 'same4', volume);
    await remove(server, { snapshots: [snapshot] });
    expect(sizeOf(volume)).toBe(64 * MiB);
    await remove(server, { volumes: [volume] });
  });
});

describe.concurrent('sizes', () => {
  test.each([
    [{ required_bytes: '1' }, 1 * MiB],
    [{ required_bytes: String(5 * MiB + 1) }, 6 * MiB],
    [{ required_bytes: String(5 * MiB + 1), limit_bytes: String(5 * MiB + 4096) }, 5 * MiB + 4096],
    [{ required_bytes: String(8 * MiB), limit_bytes: String(8 * MiB) }, 8 * MiB],
    [{ limit_bytes: String(3 * MiB + 5000) }, 3 * MiB + 4096],
  ])('13, 14: %o makes a file of exactly %i bytes, and says so', async (capacity_range, bytes) => {
    const name = `size14-${bytes}`;
    const request = { ...volumeRequest(name), capacity_range };
    const { volume } = await server.ok('CreateVolume', request);
    expect(volume?.capacity_bytes).toBe(String(bytes));
    expect(sizeOf(volume?.volume_id ?? '')).toBe(bytes);
    await remove(server, { volumes: [volume?.volume_id ?? ''] });
  });

  test('14: an exact size between two sectors is out of range, and nothing is left', async () => {
    const exact = { required_bytes: String(5 * MiB + 1), limit_bytes: String(5 * MiB + 1) };
    const request = { ...volumeRequest('odd14'), capacity_range: exact };
    expect(await server.refused('CreateVolume', request)).toMatch(/^OUT_OF_RANGE .*limit_bytes/);
    expect(filesOnDisk(site.root).filter((path) => path.includes('odd14'))).toEqual([]);
  });
});

describe.concurrent('the same name again', () => {
  test('16: with another access type it exists already', async () => {
    const id = await newVolume(server, 'v16');
    const other = volumeRequest('v16', { capability: asMount() });
    expect(await server.refused('CreateVolume', other)).toMatch(/^ALREADY_EXISTS .*capabilities/);
    await remove(server, { volumes: [id] });
  });

  test('17: with other parameters it exists already; those of the sidecars do not count', async () => {
    const id = await newVolume(server, 'v17');
    const other = { ...volumeRequest('v17'), parameters: { dataReplicas: '1' } };
    expect(await server.refused('CreateVolume', other)).toMatch(/^ALREADY_EXISTS .*parameters/);
    const sidecar = { 'csi.storage.k8s.io/pvc/name': 'claim' };
    const same = { ...volumeRequest('v17'), parameters: sidecar };
    expect((await server.ok('CreateVolume', same)).volume?.volume_id).toBe(id);
    await remove(server, { volumes: [id] });
  });

  test('18, 19: with or without a source it exists already', async () => {
    const plain = await newVolume(server, 'v18');
    const clone = await newVolume(server, 'v18-clone', { from: fromVolume(plain) });
    const other = await newVolume(server, 'v18-other');
    const withSource = volumeRequest('v18-other', { from: fromVolume(plain), mib: 64 });
    const sentence = /^ALREADY_EXISTS .*content source/;
    expect(await server.refused('CreateVolume', withSource)).toMatch(sentence);
    const without = volumeRequest('v18-clone');
    expect(await server.refused('CreateVolume', without)).toMatch(sentence);
    const another = volumeRequest('v18-clone', { from: fromVolume(other) });
    expect(await server.refused('CreateVolume', another)).toMatch(sentence);
    expect(await newVolume(server, 'v18-clone', { from: fromVolume(plain) })).toBe(clone);
    await remove(server, { volumes: [plain, clone, other] });
  });

  test('20: within the range it is the same volume, outside it exists already', async () => {
    const id = await newVolume(server, 'v20');
    const again = (capacity_range: object) => ({ ...volumeRequest('v20'), capacity_range });
    for (const range of [{ ...mib(64), limit_bytes: String(999 * MiB) }, mib(1), mib(64)])
      expect((await server.ok('CreateVolume', again(range))).volume?.volume_id).toBe(id);
    const none = { name: 'v20', volume_capabilities: [asBlock()] };
    expect((await server.ok('CreateVolume', none)).volume?.volume_id).toBe(id);
    for (const range of [mib(65), { limit_bytes: String(63 * MiB) }])
      expect(await server.refused('CreateVolume', again(range))).toMatch(/^ALREADY_EXISTS .*size/);
    await remove(server, { volumes: [id] });
  });

  test('9.5: what is found under a name is never given out with old data or another size', async () => {
    const id = await newVolume(server, 'v95', { mib: 8 });
    const larger = volumeRequest('v95', { mib: 9 });
    expect(await server.refused('CreateVolume', larger)).toMatch(/^ALREADY_EXISTS /);
    expect(sizeOf(id)).toBe(8 * MiB);
    const before = imageOnDisk(site.root, id);
    await remove(server, { volumes: [id] });
    expect(await newVolume(server, 'v95', { mib: 9 })).toBe(id);
    expect(imageOnDisk(site.root, id)).not.toBe(before);
    await remove(server, { volumes: [id] });
  });
});

describe.concurrent('the size of a clone or restore', () => {
  test('24, 27: less than the source is out of range', async () => {
    const source = await newVolume(server, 'v24');
    const snapshot = await newSnapshot(server, 's24', source);
    for (const from of [fromVolume(source), fromSnapshot(snapshot)]) {
      const small = volumeRequest('v24-small', { from, mib: 63 });
      expect(await server.refused('CreateVolume', small)).toMatch(/^OUT_OF_RANGE .*source/);
      const limit = { limit_bytes: String(63 * MiB) };
      const limited = { ...volumeRequest('v24-small', { from }), capacity_range: limit };
      expect(await server.refused('CreateVolume', limited)).toMatch(/^OUT_OF_RANGE /);
    }
    await remove(server, { volumes: [source], snapshots: [snapshot] });
  });

  test.each([
    ['25', undefined, 65],
    ['26', 70, 70],
  ])('%s: for %s MiB asked it has %i', async (title, asked, size) => {
    const source = await newVolume(server, `v${title}`, { mib: 65 });
    const snapshot = await newSnapshot(server, `s${title}`, source);
    for (const from of [fromVolume(source), fromSnapshot(snapshot)]) {
      const wanted = asked === undefined ? { from } : { from, mib: asked };
      const request = volumeRequest(`v${title}-copy`, wanted);
      const made = (await server.ok('CreateVolume', request)).volume;
      expect(made?.capacity_bytes).toBe(String(size * MiB));
      expect(made?.content_source).toMatchObject(from);
      const id = made?.volume_id ?? '';
      expect(sizeOf(id)).toBe(size * MiB);
      await remove(server, { volumes: [id] });
    }
    await remove(server, { volumes: [source], snapshots: [snapshot] });
  });
});

test('nothing is left of all this but records of what is gone', () => {
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.problems()).toEqual([]);
});
