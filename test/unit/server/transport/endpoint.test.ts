import { expect, test } from 'vitest';
import { checkedPath, socketPath } from '../../../../src/server/transport/endpoint.ts';

test('an endpoint names an absolute path, with three slashes or one', () => {
  expect(socketPath('unix:///csi/csi.sock')).toBe('/csi/csi.sock');
  expect(socketPath('unix:/csi/csi.sock')).toBe('/csi/csi.sock');
  expect(socketPath('unix:///csi/with space ☃.sock')).toBe('/csi/with space ☃.sock');
});

test.each([
  '',
  '/csi/csi.sock',
  'csi.sock',
  'unix:csi.sock',
  'unix://tmp/csi.sock',
  'unix:////csi.sock',
  'unix:@csi.sock',
  'unix-abstract:csi.sock',
  'tcp://127.0.0.1:1',
  'unix:///csi/csi',
  'unix:///csi/../csi.sock',
  'unix:///csi/a\nb.sock',
  'unix:///csi/a\0.sock',
])('%j is refused with what is wrong', (endpoint) => {
  expect(() => socketPath(endpoint)).toThrow(/must/);
});

test('length is counted in bytes, as the kernel does', () => {
  const path = (name: string) => `/${name}.sock`;
  expect(checkedPath(path('x'.repeat(101)))).toHaveLength(107);
  expect(() => checkedPath(path('x'.repeat(102)))).toThrow(/is 108/);
  expect(() => checkedPath(path('漢'.repeat(34)))).toThrow(/is 108/);
});
