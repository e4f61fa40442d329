import { expect } from 'vitest';
import type { Capability } from '../../../src/model/capability.ts';
import type { PublishAsk, StageAsk } from '../../../src/service/api.ts';
import type { GroundVolume } from './ground.ts';

/** A mount capability. */
export const mountAs = (
  fsType: string,
  mode: Capability['mode'] = 'SINGLE_NODE_WRITER',
  flags: readonly string[] = [],
): Capability => ({ access: { kind: 'mount', fsType, flags }, mode });

/** A raw block capability. */
export const blockAs = (mode: Capability['mode'] = 'SINGLE_NODE_WRITER'): Capability => ({
  access: { kind: 'block' },
  mode,
});

/** The request to stage a volume. */
export const stageAsk = (
  { id }: GroundVolume,
  stagingPath: string,
  capability: Capability,
): StageAsk => ({
  id,
  stagingPath,
  capability,
  publishContext: new Map(),
  volumeContext: new Map(),
});

/** The request to publish a staged volume. */
export const publishAsk = (staged: StageAsk, targetPath: string, readonly = false): PublishAsk => ({
  ...staged,
  targetPath,
  readonly,
});

/** Matches a DriverError by its fault. */
export const fault = (kind: string): unknown =>
  expect.objectContaining({ fault: expect.objectContaining({ kind }) as unknown });
