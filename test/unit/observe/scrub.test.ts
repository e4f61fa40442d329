import { expect, test } from 'vitest';
import { scrubber } from '../../../src/observe/scrub.ts';

const planted = 'hunter2-S3cret';
const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJoaSJ9.c2lnbmF0dXJl';

test.each([
  [`mount -o rw,password=${planted},noatime`],
  [`cifs: key=${planted}, other`],
  [`Authorization: Bearer ${planted}`],
  [`{"level":"info","secrets":{"a":"${planted}"},"message":"x"}`],
  [`2026-11-28T22:00:00Z stderr F {"mount_flags":["pw=${planted}"],"level":"info"}`],
  [`{"message":"it said {\\"api_key\\": \\"${planted}\\"}"}`],
  [`https://user:${planted}@example.org/x`],
  [`mmcommand --password ${planted} fs1`],
  [`token ${jwt} here`],
  [`DB_PASSWORD: "${planted} with words"`],
  [`-----BEGIN PRIVATE KEY-----\n${planted}\n${planted}\n-----END PRIVATE KEY-----`],
  [`{"message":"-----BEGIN PRIVATE KEY-----\\n${planted}\\n-----END PRIVATE KEY-----"}`],
  [`known to the environment: env-${planted}-value`],
])('%s loses its secret', (text) => {
  const scrub = scrubber([`env-${planted}-value`]);
  const clean = scrub.text(text);
  expect(clean).not.toContain(planted);
  expect(clean).not.toContain(jwt.slice(0, 20));
  expect(clean).toContain('[redacted]');
});

test('what is no secret stays', () => {
  const scrub = scrubber(['on', '']);
  const line =
    '{"level":"info","message":"volume pvc-1 is staged on a1","ms":12,"key":"pvc-1.1-ab"}';
  expect(scrub.text(line)).toBe(line);
  const loop = '[ 12.3] loop3: detected capacity change from 0 to 8192';
  expect(scrub.text(loop)).toBe(loop);
  expect(scrub.value({ bytes: 5n, key: 'v.1-a', tokens: null })).toEqual({
    bytes: '5',
    key: 'v.1-a',
    tokens: null,
  });
});

test('a hostile line takes no time', () => {
  const scrub = scrubber([]);
  const begin = performance.now();
  for (const text of ['password'.repeat(20_000), '"'.repeat(100_000), 'a=-'.repeat(50_000)])
    scrub.text(text);
  scrub.text('-----BEGIN A-----\n'.repeat(2000));
  expect(performance.now() - begin).toBeLessThan(2000);
});
