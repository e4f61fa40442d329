import { credentials, type ServiceError } from '@grpc/grpc-js';
import { DriverError } from '../../model/fault.ts';
import { loadCsi } from '../../server/proto.ts';
import type {
  ControllerClient,
  CreateSnapshotRequest,
  CreateVolumeRequest,
  NodeClient,
  VolumeCapability,
} from '../../wire/types.ts';

/** The calls of Kubernetes' sidecars and of the kubelet. */
export interface DemoClient {
  /** Creates an XFS volume; every call has the same capability. */
  createVolume(request: CreateVolumeRequest): Promise<string>;
  deleteVolume(id: string): Promise<void>;
  createSnapshot(request: CreateSnapshotRequest): Promise<string>;
  deleteSnapshot(id: string): Promise<void>;
  attach(id: string, node: string): Promise<void>;
  detach(id: string, node: string): Promise<void>;
  stage(id: string, stagingPath: string): Promise<void>;
  publish(id: string, stagingPath: string, targetPath: string): Promise<void>;
  unpublish(id: string, targetPath: string): Promise<void>;
  unstage(id: string, stagingPath: string): Promise<void>;
  expand(id: string, bytes: bigint, volumePath: string): Promise<void>;
  close(): void;
}

/** One writer, an XFS file system. */
const capability: VolumeCapability = {
  mount: { fs_type: 'xfs', mount_flags: [] },
  access_mode: { mode: 'SINGLE_NODE_MULTI_WRITER' },
};

/** A client of the server on this socket. */
export function connect(socket: string): DemoClient {
  const csi = loadCsi();
  const controller = new csi.Controller(`unix://${socket}`, credentials.createInsecure());
  const node = new csi.Node(`unix://${socket}`, credentials.createInsecure());
  return {
    ...controllerCalls(controller, node),
    ...nodeCalls(node),
    close: () => {
      controller.close();
      node.close();
    },
  };
}

type Answered<T> = (error: ServiceError | null, reply?: T) => void;

/** A call as a promise of its reply; rejects with what the server said, which a person can read. */
const ask = <T>(call: (answered: Answered<T>) => unknown): Promise<T> =>
  new Promise((resolve, reject) => {
    call((error, reply) => {
      if (reply) resolve(reply);
      else
        reject(new DriverError('command-failed', error?.details ?? 'the server answered nothing'));
    });
  });

const controllerCalls = (controller: ControllerClient, node: NodeClient) => ({
  createVolume: async (request: CreateVolumeRequest) =>
    (
      await ask<{ volume: { volume_id: string } | null }>((done) =>
        controller.CreateVolume({ ...request, volume_capabilities: [capability] }, done),
      )
    ).volume?.volume_id ?? '',
  deleteVolume: async (id: string) => {
    await ask((done) => controller.DeleteVolume({ volume_id: id }, done));
  },
  createSnapshot: async (request: CreateSnapshotRequest) =>
    (
      await ask<{ snapshot: { snapshot_id: string } | null }>((done) =>
        controller.CreateSnapshot(request, done),
      )
    ).snapshot?.snapshot_id ?? '',
  deleteSnapshot: async (id: string) => {
    await ask((done) => controller.DeleteSnapshot({ snapshot_id: id }, done));
  },
  attach: async (id: string, name: string) => {
    const request = { volume_id: id, node_id: name, volume_capability: capability };
    await ask((done) => controller.ControllerPublishVolume(request, done));
  },
  detach: async (id: string, name: string) => {
    const request = { volume_id: id, node_id: name };
    await ask((done) => controller.ControllerUnpublishVolume(request, done));
  },
  expand: async (id: string, bytes: bigint, volumePath: string) => {
    const request = { volume_id: id, capacity_range: { required_bytes: String(bytes) } };
    await ask((done) => controller.ControllerExpandVolume(request, done));
    const onNode = { ...request, volume_path: volumePath };
    await ask((done) => node.NodeExpandVolume(onNode, done));
  },
});

const nodeCalls = (node: NodeClient) => ({
  stage: async (id: string, staging: string) => {
    const request = { volume_id: id, staging_target_path: staging, volume_capability: capability };
    await ask((done) => node.NodeStageVolume(request, done));
  },
  publish: async (id: string, staging: string, target: string) => {
    const request = {
      volume_id: id,
      staging_target_path: staging,
      target_path: target,
      volume_capability: capability,
    };
    await ask((done) => node.NodePublishVolume(request, done));
  },
  unpublish: async (id: string, target: string) => {
    await ask((done) => node.NodeUnpublishVolume({ volume_id: id, target_path: target }, done));
  },
  unstage: async (id: string, staging: string) => {
    const request = { volume_id: id, staging_target_path: staging };
    await ask((done) => node.NodeUnstageVolume(request, done));
  },
});
