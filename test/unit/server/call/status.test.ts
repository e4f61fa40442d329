import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { DriverError, invalid } from '../../../../src/model/fault.ts';
import { answerFor, codeName } from '../../../../src/server/call/status.ts';

test('a fault is answered as its code and its sentence', () => {
  expect(answerFor(invalid('name', 'must be given'))).toEqual({
    code: status.INVALID_ARGUMENT,
    details: 'name must be given',
  });
  expect(answerFor(new DriverError('no-space', 'root /gpfs is full'))).toEqual({
    code: status.RESOURCE_EXHAUSTED,
    details: 'root /gpfs is full',
  });
  expect(codeName(status.ABORTED)).toBe('ABORTED');
});

test('a defect is answered as nothing but that', () => {
  for (const thrown of [new Error('/etc/shadow'), 'text', undefined, { code: 3, details: 'x' }])
    expect(answerFor(thrown)).toEqual({ code: status.INTERNAL, details: 'internal error' });
});

test('a message is never empty and never cut inside of a character', () => {
  expect(answerFor(new DriverError('busy', ' ')).details).toBe('busy');
  const { details } = answerFor(new DriverError('busy', `x${'🐘'.repeat(5000)}`));
  expect(details.isWellFormed()).toBe(true);
});
