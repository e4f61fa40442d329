import { DriverError } from '../../model/fault.ts';
import type { Services } from '../../service/api.ts';
import type {
  GetPluginCapabilitiesResponse,
  GetPluginInfoResponse,
  IdentityHandlers,
  ProbeResponse,
} from '../../wire/types.ts';
import { empty } from './requests/node.ts';
import type { Unary } from '../call/unary.ts';

/** The same on every node and in every mode, since CSI requires one answer for one version. */
const capabilities = ({ topology }: Services): GetPluginCapabilitiesResponse => ({
  capabilities: [
    { service: { type: 'CONTROLLER_SERVICE' } },
    { service: { type: 'GROUP_CONTROLLER_SERVICE' } },
    ...(topology ? [{ service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } } as const] : []),
    { volume_expansion: { type: 'ONLINE' } },
  ],
});

/** The Identity service: name, capabilities, readiness. */
export const identityHandlers = (unary: Unary, services: Services) =>
  ({
    GetPluginInfo: unary({
      name: 'GetPluginInfo',
      request: empty,
      quiet: true,
      handle: (): GetPluginInfoResponse => ({
        name: services.driverName,
        vendor_version: services.version,
      }),
    }),
    GetPluginCapabilities: unary({
      name: 'GetPluginCapabilities',
      request: empty,
      quiet: true,
      handle: () => capabilities(services),
    }),
    Probe: unary({
      name: 'Probe',
      request: empty,
      quiet: true,
      handle: async (): Promise<ProbeResponse> => ({
        ready: { value: (await services.readiness().catch(cannotWork)) === 'ready' },
      }),
    }),
  }) satisfies IdentityHandlers;

// CSI has one code for a plugin that does not work, whatever the reason is.
function cannotWork(error: unknown): never {
  if (!(error instanceof DriverError)) throw error;
  throw new DriverError('misconfigured', error.message, error);
}
