import type { Services } from '../../service/api.ts';
import type { ControllerHandlers } from '../../wire/types.ts';
import { attachmentHandlers } from './attachments.ts';
import { snapshotHandlers } from './snapshots.ts';
import type { Unary } from '../call/unary.ts';
import { volumeHandlers } from './volumes.ts';

/** The Controller service; what it does not offer answers UNIMPLEMENTED by itself. */
export const controllerHandlers = (unary: Unary, services: Services) =>
  ({
    ...volumeHandlers(unary, services),
    ...snapshotHandlers(unary, services),
    ...attachmentHandlers(unary, services),
  }) satisfies Partial<ControllerHandlers>;
