import { join } from 'node:path';

/** Settings of containerd; what it keeps lies in the node's folder. */
export const containerdConfig = (folder: string, sandboxImage: string): string => {
  const runtime = 'plugins."io.containerd.grpc.v1.cri"';
  const unused = ['devmapper', 'btrfs', 'zfs', 'aufs'].map(
    (name) => `"io.containerd.snapshotter.v1.${name}"`,
  );
  return `version = 2
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
disabled_plugins = [${unused.join(', ')}]
[grpc]
  address = "${folder}/containerd/c.sock"
[${runtime}]
  sandbox_image = "${sandboxImage}"
  # A machine that is itself a container may not lower the score; sandboxes would fail to start.
  restrict_oom_score_adj = true
  [${runtime}.containerd]
    snapshotter = "overlayfs"
  [${runtime}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [${runtime}.containerd.runtimes.runc.options]
      SystemdCgroup = false
  [${runtime}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/net.d"
`;
};

/** The network of the node's pods. */
export const podNetwork = (folder: string, subnet: string): unknown => ({
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'pods',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        dataDir: join(folder, 'ipam'),
        ranges: [[{ subnet }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});

/** Settings of kubelet, for a machine that may be a container itself and has no systemd. */
export const kubeletConfig = (node: {
  readonly name: string;
  readonly address: string;
  readonly folder: string;
}): unknown => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: node.address,
  readOnlyPort: 0,
  // Logs and exec without certificates of their own; the address is seen only on this machine.
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  containerRuntimeEndpoint: `unix://${node.folder}/containerd/c.sock`,
  cgroupDriver: 'cgroupfs',
  // Kubelets delete control groups that they do not know: each has a tree of its own.
  cgroupRoot: `/${node.name}`,
  failCgroupV1: false,
  failSwapOn: false,
  featureGates: { KubeletInUserNamespace: true },
  oomScoreAdj: 0,
  volumePluginDir: join(node.folder, 'volumeplugins'),
  podLogsDir: join(node.folder, 'pods-log'),
  maxPods: 200,
  // The images come from nowhere else: they must never be collected, and pods never evicted.
  imageGCHighThresholdPercent: 100,
  evictionHard: {
    'memory.available': '100Mi',
    'nodefs.available': '1%',
    'imagefs.available': '1%',
  },
  // Attaching waits for the node's report of volumes in use. The default of 10 s would be most of the time.
  nodeStatusUpdateFrequency: '2s',
  syncFrequency: '10s',
  volumeStatsAggPeriod: '10s',
});
