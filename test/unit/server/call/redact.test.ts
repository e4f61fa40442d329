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

test('a secret that is part of another, or of what replaces it, leaves nothing of either', () => {
  const secrets = { a: 'pass', b: 'password-of-db', c: '*', d: '**', e: 'a.c', f: '🐘' };
  const sensitive = sensitiveIn({ secrets });
  const text = 'login with password-of-db, pass and *; abc a.c 🐘';
  expect(withoutSecrets(text, sensitive)).toBe('login with ***, *** and ***; abc *** ***');
  const stars = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`k${n}`, '*']));
  expect(withoutSecrets('a * b', sensitiveIn({ secrets: stars }))).toBe('a *** b');
});

test('of maps that anybody fills, the log shows only what is known to be harmless', () => {
  const map = {
    pool: 'data',
    'csi.storage.k8s.io/pvc/name': 'claim-1',
    password: 'canary',
    discard: 'canary\nwith a line',
    'csi.storage.k8s.io/serviceAccount.tokens': 'canary',
  };
  const shown = {
    pool: 'data',
    'csi.storage.k8s.io/pvc/name': 'claim-1',
    password: '***',
    discard: '***',
    'csi.storage.k8s.io/serviceAccount.tokens': '***',
  };
  for (const field of ['parameters', 'mutable_parameters', 'volume_context', 'publish_context'])
    expect(redacted({ [field]: map })).toEqual({ [field]: shown });
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
