import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadCsi } from '../../../src/server/proto.ts';
import type {
  CreateVolumeRequest,
  CreateVolumeRequest__Output,
  ListVolumesResponse,
} from '../../../src/wire/types.ts';
import { secretFields } from '../../../src/wire/secrets.ts';

const protoFile = fileURLToPath(new URL('../../../proto/csi/v1/csi.proto', import.meta.url));

describe('the services', () => {
  const csi = loadCsi();

  const receive = (request: CreateVolumeRequest): CreateVolumeRequest__Output => {
    const { requestSerialize, requestDeserialize } = csi.Controller.service.CreateVolume;
    return requestDeserialize(requestSerialize(request));
  };

  test('have the calls of CSI 1.13 under their wire names', () => {
    const calls = Object.entries(csi).flatMap(([, { service }]) => Object.values(service));

    expect(calls).toHaveLength(36);
    expect(csi.Node.service.NodeStageVolume.path).toBe('/csi.v1.Node/NodeStageVolume');
    expect(csi.SnapshotMetadata.service.GetMetadataDelta.responseStream).toBe(true);
  });

  test('keep a 64-bit size exact, as a decimal string', () => {
    const size = '9223372036854775807';

    expect(receive({ capacity_range: { required_bytes: size } }).capacity_range).toEqual({
      required_bytes: size,
      limit_bytes: '0',
    });
  });

  test('give enums as names, and an unknown one as its number', () => {
    const mode = (number: number) =>
      receive({
        volume_capabilities: [{ access_mode: { mode: number as 0 } }],
      }).volume_capabilities[0]?.access_mode?.mode;

    expect([mode(1), mode(99)]).toEqual(['SINGLE_NODE_WRITER', 99]);
  });

  test('name the member of a oneof, and leave out the others', () => {
    const { volume_content_source: source } = receive({
      volume_content_source: { snapshot: { snapshot_id: 'snap-1' } },
    });

    expect(source).toEqual({ type: 'snapshot', snapshot: { snapshot_id: 'snap-1' } });
  });

  test('fill in what was not sent: null, an empty list, an empty map', () => {
    expect(receive({ name: 'v' })).toEqual({
      name: 'v',
      capacity_range: null,
      volume_capabilities: [],
      parameters: {},
      secrets: {},
      volume_content_source: null,
      accessibility_requirements: null,
      mutable_parameters: {},
    });
  });

  test('carry a nested answer', () => {
    const { responseSerialize, responseDeserialize } = csi.Controller.service.ListVolumes;
    const answer: ListVolumesResponse = {
      entries: [{ volume: { volume_id: 'v1' }, status: { published_node_ids: ['n1', 'n2'] } }],
      next_token: 't',
    };

    expect(responseDeserialize(responseSerialize(answer))).toMatchObject(answer);
  });

  test('are refused, by name, when the file does not define them', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'csi-proto-'));
    const partial = join(directory, 'csi.proto');
    await writeFile(
      partial,
      (await readFile(protoFile, 'utf8')).replace('service Node {', 'service Other {'),
    );

    expect(() => loadCsi(partial)).toThrow(/does not define the CSI service Node;/);
    await rm(directory, { recursive: true });
  });
});

describe('the fields that must never be logged', () => {
  test('are the 22 that csi.proto marks as secret', async () => {
    const marks = (await readFile(protoFile, 'utf8')).match(/\(csi_secret\) = true/g);

    expect(secretFields.size).toBe(22);
    expect(marks).toHaveLength(22);
    expect(secretFields).toContain('csi.v1.NodeStageVolumeRequest.secrets');
    expect(secretFields).toContain('csi.v1.GetMetadataDeltaRequest.secrets');
  });

  test('exist in the messages that are served', () => {
    const csi = loadCsi();
    const calls = Object.values(csi).flatMap(({ service }) => Object.values(service));
    const requests = calls.map((call) => (call as unknown as Received).requestType.type);
    const fields = requests.flatMap(({ name, field }) =>
      field.map((one) => `csi.v1.${name}.${one.name}`),
    );

    expect([...secretFields].filter((field) => !fields.includes(field))).toEqual([]);
  });
});

/** What proto-loader adds to a call, and grpc-js does not know of. */
interface Received {
  readonly requestType: {
    readonly type: { readonly name: string; readonly field: readonly { readonly name: string }[] };
  };
}
