import { expect, test } from 'vitest';
import { GiB, MiB } from '../../../../src/model/bytes.ts';
import { decodeRequest, sizeFor } from '../../../../src/service/volumes/request.ts';
import { mounted, spec } from '../../../support/memory/driver.ts';

const range = (requiredBytes: bigint, limitBytes = 0n) => ({ requiredBytes, limitBytes });

test('a request is decoded without a root: its class, and its size with and without a source', () => {
  const parameters = { pool: 'data', provisioning: 'thick', root: '/gpfs/nowhere' };
  const request = decodeRequest(spec('v', { parameters, range: range(GiB) }));
  expect(request.parameters).toEqual({
    attributes: { pool: 'data' },
    options: { provisioning: 'thick', discard: 'off' },
    creation: { root: '/gpfs/nowhere' },
  });
  expect(sizeFor(request, undefined)).toBe(GiB);
  expect(sizeFor(request, { bytes: 512n * MiB, fileBytes: 512n * MiB })).toBe(GiB);
  expect(() => sizeFor(request, { bytes: 2n * GiB, fileBytes: 2n * GiB })).toThrow(
    'less than the 2 GiB of its source',
  );
});

test('a size that no volume has is refused at once, unless a source may still decide it', () => {
  const tooSmall = { capabilities: [mounted('xfs')], range: range(MiB, 2n * MiB) };
  expect(() => decodeRequest(spec('v', tooSmall))).toThrow('no volume size fits between');
  const source = { kind: 'snapshot', id: 'unknown' } as const;
  expect(() => decodeRequest(spec('v', { ...tooSmall, source }))).not.toThrow();
});

test('a class of attributes is refused by its own rules', () => {
  expect(() => decodeRequest(spec('v', { mutable: { fsType: 'xfs' } }))).toThrow(
    'mutable_parameters has an unknown key "fsType"; known are pool,',
  );
});
