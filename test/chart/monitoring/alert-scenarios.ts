/** One series as it is over time, a value a minute. */
interface Course {
  readonly metric: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly values: string;
}

/** What is measured, and when one alert is silent, fires, and is silent again; times in minutes. */
export interface Scenario {
  readonly alert: string;
  readonly series: readonly Course[];
  readonly silent: number;
  readonly fires: number;
  readonly cleared: number;
  /** Labels of the alert that people and its texts need. */
  readonly of?: Readonly<Record<string, string>>;
}

/** A value that stays for so many minutes. */
export const held = (value: number, minutes: number): string => `${value}+0x${minutes - 1}`;
/** A value that grows each minute. */
const climbing = (from: number, by: number, minutes: number): string =>
  `${from}+${by}x${minutes - 1}`;
/** No value for so many minutes. */
const absent = (minutes: number): string => `_x${minutes}`;

const root = '/gpfs/fs1/csi';
const ofRoot = { root };
const ofNode = { node: 'n1' };
const rpc = 'gpfs_csi_rpc_duration_seconds_count';

/** Ten minutes as it should be, a while as it should not, then as before. */
const episode = (good: number, bad: number, minutes: number): string =>
  [held(good, 10), held(bad, minutes), held(good, 60)].join(' ');

/** A counter that stands for ten minutes, grows once, and stands. */
const once = [held(0, 10), held(1, 120)].join(' ');

/** A gauge of a root that is bad for two hours, where the alert waits for `wait` minutes. */
const gauge = (
  alert: string,
  course: Pick<Course, 'metric' | 'labels'> & { readonly good: number; readonly bad: number },
  wait: number,
): Scenario => ({
  alert,
  series: [
    {
      metric: course.metric,
      labels: { ...ofRoot, ...course.labels },
      values: episode(course.good, course.bad, 120),
    },
  ],
  silent: 9,
  fires: 15 + wait,
  cleared: 140,
  of: ofRoot,
});

/** Each alert of the chart, fired and cleared. */
export const scenarios: readonly Scenario[] = [
  {
    alert: 'GpfsCsiDriverAway',
    series: [{ metric: 'up', labels: ofNode, values: episode(1, 0, 20) }],
    silent: 9,
    fires: 25,
    cleared: 40,
    of: ofNode,
  },
  {
    alert: 'GpfsCsiNoController',
    series: [
      { metric: 'up', labels: { job: 'gpfs-csi/gpfs-csi-controller' }, values: episode(1, 0, 20) },
    ],
    silent: 9,
    fires: 25,
    cleared: 40,
  },
  {
    alert: 'GpfsCsiRootAway',
    series: [
      { metric: 'gpfs_csi_root_usable', labels: { ...ofNode, root }, values: episode(1, 0, 20) },
    ],
    silent: 9,
    fires: 25,
    cleared: 40,
    of: { ...ofNode, root },
  },
  {
    alert: 'GpfsCsiUnavailable',
    series: [
      {
        metric: rpc,
        labels: { ...ofNode, code: 'UNAVAILABLE', rpc: 'CreateVolume' },
        values: [held(0, 10), climbing(0, 1, 40), held(40, 60)].join(' '),
      },
    ],
    silent: 9,
    fires: 40,
    cleared: 70,
    of: ofNode,
  },
  {
    alert: 'GpfsCsiClaimsWait',
    series: [
      {
        metric: rpc,
        labels: { ...ofNode, code: 'NOT_FOUND', rpc: 'CreateVolume' },
        values: [held(0, 10), climbing(0, 1, 60), held(60, 60)].join(' '),
      },
    ],
    silent: 9,
    fires: 60,
    cleared: 100,
    of: { code: 'NOT_FOUND' },
  },
  {
    alert: 'GpfsCsiNoSpace',
    series: [
      {
        metric: rpc,
        labels: { ...ofNode, code: 'RESOURCE_EXHAUSTED', rpc: 'CreateSnapshot' },
        values: once,
      },
    ],
    silent: 9,
    fires: 15,
    cleared: 40,
    of: ofNode,
  },
  {
    alert: 'GpfsCsiDefect',
    series: [
      {
        metric: rpc,
        labels: { ...ofNode, code: 'INTERNAL', rpc: 'NodeStageVolume' },
        values: once,
      },
    ],
    silent: 9,
    fires: 15,
    cleared: 40,
    of: { ...ofNode, rpc: 'NodeStageVolume' },
  },
  {
    alert: 'GpfsCsiCommandsSlow',
    series: ['2.5', '10', '+Inf'].map((le) => ({
      metric: 'gpfs_csi_command_seconds_bucket',
      labels: { ...ofNode, command: 'mmclone', le },
      values: [held(0, 10), climbing(0, le === '2.5' ? 0 : 1, 60), held(60, 60)].join(' '),
    })),
    silent: 9,
    fires: 60,
    cleared: 100,
    of: ofNode,
  },
  {
    alert: 'GpfsCsiNodeCutOff',
    series: [{ metric: 'gpfs_csi_cut_offs_total', labels: { ...ofNode, root }, values: once }],
    silent: 9,
    fires: 15,
    cleared: 90,
    of: ofRoot,
  },
  {
    alert: 'GpfsCsiAttachLimit',
    series: [
      {
        metric: 'gpfs_csi_attached_volumes',
        labels: { ...ofNode, root },
        values: episode(100, 240, 60),
      },
      { metric: 'gpfs_csi_attached_volumes_limit', labels: ofNode, values: held(256, 200) },
    ],
    silent: 9,
    fires: 60,
    cleared: 80,
    of: ofNode,
  },
  {
    alert: 'GpfsCsiVersionsDiffer',
    series: [
      {
        metric: 'gpfs_csi_build_info',
        labels: { ...ofNode, version: '1' },
        values: held(1, 400),
      },
      {
        metric: 'gpfs_csi_build_info',
        labels: { node: 'n2', version: '2' },
        values: [absent(10), held(1, 200), absent(100)].join(' '),
      },
    ],
    silent: 9,
    fires: 150,
    cleared: 230,
  },
  {
    alert: 'GpfsCsiSpaceLow',
    series: [
      { metric: 'gpfs_csi_fs_free_bytes', labels: ofRoot, values: episode(50, 5, 60) },
      { metric: 'gpfs_csi_fs_size_bytes', labels: ofRoot, values: held(100, 200) },
    ],
    silent: 9,
    fires: 60,
    cleared: 80,
    of: ofRoot,
  },
  gauge('GpfsCsiOvercommitted', { metric: 'gpfs_csi_overcommit_ratio', good: 4.9, bad: 5.1 }, 60),
  {
    alert: 'GpfsCsiVolumeTooLarge',
    series: [
      { metric: 'gpfs_csi_volume_largest_bytes', labels: ofRoot, values: episode(100, 101, 60) },
      { metric: 'gpfs_csi_fs_size_bytes', labels: ofRoot, values: held(100, 200) },
    ],
    silent: 9,
    fires: 60,
    cleared: 80,
    of: ofRoot,
  },
  gauge('GpfsCsiClonesDeep', { metric: 'gpfs_csi_clone_depth', good: 250, bad: 251 }, 60),
  {
    alert: 'GpfsCsiQueueStuck',
    series: [
      {
        metric: 'gpfs_csi_flatten_queue_oldest_seconds',
        labels: ofRoot,
        values: [climbing(0, 60, 500), held(0, 60)].join(' '),
      },
      {
        metric: 'gpfs_csi_flatten_bytes_total',
        labels: { ...ofNode, root },
        values: held(7, 600),
      },
    ],
    silent: 350,
    fires: 430,
    cleared: 520,
    of: ofRoot,
  },
  {
    alert: 'GpfsCsiCompactionFails',
    series: [
      {
        metric: 'gpfs_csi_compaction_failures_total',
        labels: { ...ofNode, root },
        values: [0, 1, 2, 3, 4, 5]
          .map((count) => held(count, 60))
          .concat(held(5, 200))
          .join(' '),
      },
    ],
    // A failure that ends after some minutes is no alert.
    silent: 200,
    fires: 260,
    cleared: 480,
    of: ofRoot,
  },
  gauge(
    'GpfsCsiFindings',
    { metric: 'gpfs_csi_findings', labels: { kind: 'missing file' }, good: 0, bad: 1 },
    15,
  ),
  {
    alert: 'GpfsCsiOperationsLeft',
    series: [
      {
        metric: 'gpfs_csi_operations_begun',
        labels: { ...ofRoot, op: 'expand', server: 'silent' },
        values: [held(1, 600), absent(60)].join(' '),
      },
    ],
    silent: 400,
    fires: 500,
    cleared: 620,
    of: { ...ofRoot, op: 'expand' },
  },
  gauge(
    'GpfsCsiQuarantinePins',
    { metric: 'gpfs_csi_quarantine_pinning_files', good: 0, bad: 2 },
    60,
  ),
];
