import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildComparison, type Report } from './proto/compare.ts';

const ours = fileURLToPath(new URL('../../proto/csi/v1/csi.proto', import.meta.url));

// The first build on a machine downloads and compiles gRPC for Go.
const BUILD_TIMEOUT_MS = 600_000;

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'csi-proto-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe('csi.proto beside the published CSI module', () => {
  let compare: (protoFile: string) => Promise<Report>;

  beforeAll(async () => {
    compare = await buildComparison(directory);
  }, BUILD_TIMEOUT_MS);

  /** Compares our file after some edits; an edit that finds nothing to replace is a mistake in the test. */
  const compareEdited = async (...edits: readonly (readonly [RegExp, string])[]) => {
    let text = await readFile(ours, 'utf8');
    for (const [from, to] of edits) {
      expect(text).toMatch(from);
      text = text.replace(from, to);
    }
    const edited = join(await mkdtemp(join(directory, 'edited-')), 'csi.proto');
    await writeFile(edited, text);
    return (await compare(edited)).differences;
  };

  test('it is the same in every name, number, type, label, oneof and option', async () => {
    expect((await compare(ours)).differences).toEqual([]);
  });

  // Guards against a comparison that has quietly become empty.
  test('all of CSI 1.13 is compared', async () => {
    expect((await compare(ours)).compared).toEqual({
      import: 3,
      extension: 7,
      service: 5,
      method: 36,
      message: 147,
      field: 302,
      oneof: 6,
      enum: 10,
      value: 57,
      'reserved range': 5,
      option: 58,
    });
  });

  test('a changed field number and a dropped option are each named', async () => {
    const differences = await compareEdited(
      [/int64 limit_bytes = 2;/, 'int64 limit_bytes = 3;'],
      [/(message DeleteVolumeRequest {[^}]*) \[\(csi_secret\) = true\]/, '$1'],
    );

    expect(differences).toEqual([
      { at: 'message CapacityRange, field limit_bytes, number', published: '2', ours: '3' },
      {
        at: 'message DeleteVolumeRequest, field secrets, options, (csi.v1.csi_secret)',
        published: 'true',
        ours: null,
      },
    ]);
  });

  test.each([
    {
      what: 'a field type',
      edit: [/int64 capacity_bytes = 1/, 'uint64 capacity_bytes = 1'],
      at: 'message Volume, field capacity_bytes, type',
    },
    {
      what: 'a label',
      edit: [/repeated string mount_flags/, 'string mount_flags'],
      at: 'message VolumeCapability, message MountVolume, field mount_flags, label',
    },
    {
      what: 'a field taken out of its oneof',
      edit: [
        /(oneof access_type {\s+BlockVolume block = 1;)(\s+MountVolume mount = 2;)\s+}/,
        '$1}$2',
      ],
      at: 'message VolumeCapability, field mount, oneof',
    },
    {
      what: 'an enum value',
      edit: [/GET_VOLUME = 12/, 'GET_VOLUME = 11'],
      also: [/reserved 11;/, ''],
      at: 'message ControllerServiceCapability, message RPC, enum Type, value GET_VOLUME, number',
    },
    {
      what: 'a reserved number',
      edit: [/(message NodeGetVolumeStatsResponse {\s+)reserved 2;/, '$1'],
      at: 'message NodeGetVolumeStatsResponse, reserved range 2-3, start',
    },
    {
      what: 'the mark of an alpha method',
      edit: [/(rpc GetSnapshot\([^{]*){[^}]*}/, '$1;'],
      at: 'service Controller, method GetSnapshot, options, (csi.v1.alpha_method)',
    },
    {
      what: 'a stream',
      edit: [/returns \(stream GetMetadataDelta/, 'returns (GetMetadataDelta'],
      at: 'service SnapshotMetadata, method GetMetadataDelta, server_streaming',
    },
    {
      what: 'the number of an extension',
      edit: [/csi_secret = 1059/, 'csi_secret = 1061'],
      at: 'extension csi_secret, number',
    },
    {
      what: 'something that is not in CSI',
      edit: [/message ProbeRequest {}/, 'message ProbeRequest { bool deep = 1; }'],
      at: 'message ProbeRequest, field deep, number',
    },
  ] as const)('a difference is seen in $what', async ({ edit, at, ...more }) => {
    const edits = 'also' in more ? [edit, more.also] : [edit];
    const differences = await compareEdited(...edits);

    expect(differences.map((difference) => difference.at)).toContain(at);
  });
});

test('without Go the comparison fails with one sentence that says what to install', async () => {
  const withoutGo = { ...process.env, PATH: directory };

  await expect(buildComparison(directory, withoutGo)).rejects.toThrow(
    /^the Go compiler is not on the PATH; install Go 1\.25 or newer[^\n]*$/,
  );
});
