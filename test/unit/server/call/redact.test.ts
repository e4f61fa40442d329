import { expect, test } from 'vitest';
import {
  fitForLog,
  redacted,
  sensitiveIn,
  withoutSecrets,
} from '../../../../src/server/call/redact.ts';
import { secretFields } from '../../../../src/wire/secrets.ts';

const request = {
  volume_id: 'v',
  secrets: { user: 'root', key: 's3cr3t', empty: '' },
  volume_capabilities: [{ mount: { mount_flags: ['ro', 'a=b.c'] } }],
};

test('the log shows that there are secrets and flags, and not which', () => {
  expect(redacted(request)).toEqual({
    volume_id: 'v',
    secrets: { user: '***', key: '***', empty: '***' },
    volume_capabilities: [{ mount: { mount_flags: ['***', '***'] } }],
  });
});

test('errors that quote them are cleaned, words that look like them are not', () => {
  const sensitive = sensitiveIn(request);
  const text = 'root: error s3cr3t in ro, option a=b.c; not a=bxc';
  expect(fitForLog(text, sensitive)).toBe('***: error *** in ***, option ***; not a=bxc');
  expect(withoutSecrets(text, sensitive)).toBe('***: error *** in ro, option a=b.c; not a=bxc');
});

test('a request without end is cut', () => {
  const cut = redacted({ a: 'x'.repeat(1_000_000), b: Array.from({ length: 10_000 }, () => 1) });
  expect(JSON.stringify(cut).length).toBeLessThan(10_000);
});

// What is redacted goes by this one name: a secret field with another would slip through.
test('every secret field of CSI is called secrets', () => {
  expect(secretFields.size).toBe(22);
  expect([...secretFields].filter((field) => !field.endsWith('.secrets'))).toEqual([]);
});
