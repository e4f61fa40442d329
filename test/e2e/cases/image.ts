import { deepEqual, equal, ok } from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Case } from '../case.ts';
import { kubectl } from '../kube.ts';
import { running, sidecarPrograms } from '../running.ts';
import { checkout } from '../setup/places.ts';
import { sh } from '../setup/shell.ts';

/** What the chart's pods run, as the kernel shows it. */
export const imageCases: readonly Case[] = [
  {
    id: 'image',
    says: 'the driver runs from an image without a shell or setuid programs, with a bill of what is in it',
    run: async () => {
      const driver = (await running()).find(({ what }) => what === 'driver');
      ok(driver !== undefined, 'there is a driver');
      const root = join('/proc', driver.pid, 'root');
      for (const shell of ['bin/sh', 'bin/bash', 'usr/bin/sh', 'usr/bin/dash', 'usr/bin/apt-get'])
        equal(await readFile(join(root, shell)).catch(() => undefined), undefined, shell);
      const find = ['find', join(root, '/'), '-xdev', '-type', 'f', '-perm', '/6000'] as const;
      equal(await sh(find), '', 'setuid and setgid programs');
      const bill = await readFile(join(root, 'opt/gpfs-csi/sbom.cdx.json'), 'utf8');
      const names = bom.parse(JSON.parse(bill)).components.map(({ name }) => name);
      const wanted = ['node', 'util-linux', 'e2fsprogs', 'xfsprogs', 'btrfs-progs', 'qemu-utils'];
      for (const each of [...wanted, '@grpc/grpc-js', 'zod']) ok(names.includes(each), each);
    },
  },
  {
    id: 'privileges',
    says: 'each sidecar runs as an ordinary user without any capability, and under a seccomp filter',
    run: async () => {
      const all = await running();
      for (const sidecar of sidecarPrograms) {
        const found = all.filter(({ what }) => what === sidecar);
        equal(found.length, 2, `two replicas of ${sidecar}`);
        for (const { status } of found)
          deepEqual(
            Object.fromEntries(
              ['Uid', 'Gid', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp'].map((key) => [
                key,
                new RegExp(`^${key}:\\s+(\\w+)`, 'm').exec(status)?.[1],
              ]),
            ),
            {
              Uid: '65532',
              Gid: '65532',
              CapEff: '0000000000000000',
              CapBnd: '0000000000000000',
              NoNewPrivs: '1',
              Seccomp: '2',
            },
          );
      }
    },
  },
  {
    id: 'manifests',
    says: 'the API server takes the plain manifests of deploy/',
    run: async () => {
      const taken = await kubectl(['apply', '--dry-run=server', '-k', join(checkout, 'deploy')]);
      for (const kind of ['daemonset.apps', 'deployment.apps', 'csidriver.storage.k8s.io'])
        ok(taken.includes(`${kind}/`), `${kind} in ${taken}`);
    },
  },
];

const bom = z.object({ components: z.array(z.object({ name: z.string() })) });
