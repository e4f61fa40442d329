# The driver and what it runs on a node, and nothing else: no shell, no package manager, no npm.
# Nothing here names an architecture; linux/amd64, arm64 and ppc64le differ only in BASE.
# docs/adr/0007-image.md says why it looks like this.

# Debian 12 with Node 24, npm and apt, as NAME@sha256:DIGEST. There is no default: a tag may mean another
# image tomorrow.
ARG BASE

FROM ${BASE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY scripts/proto.mjs scripts/build.mjs scripts/page.mjs scripts/
COPY proto proto
# No package's own script runs here; ours makes the types that the sources stand on.
RUN npm ci --ignore-scripts --no-audit --no-fund && node scripts/proto.mjs
COPY LICENSE tsconfig.json ./
COPY src src
RUN node scripts/build.mjs

FROM ${BASE} AS rootfs
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        btrfs-progs coreutils e2fsprogs mount qemu-utils util-linux xfsprogs
WORKDIR /src
COPY scripts/image scripts/image
RUN node scripts/image/rootfs.mjs /rootfs
COPY package.json package-lock.json ./
RUN node scripts/image/sbom.mjs /rootfs /rootfs/opt/gpfs-csi/sbom.cdx.json

FROM scratch
COPY --from=rootfs /rootfs /
COPY --from=build /src/dist/gpfs-csi.js /src/dist/simulator-shim.cjs /src/dist/report-page.json /src/package.json /src/LICENSE /opt/gpfs-csi/
COPY --from=build /src/dist/proto /opt/gpfs-csi/proto

ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="gpfs-csi" \
      org.opencontainers.image.description="Kubernetes volumes whose snapshots and clones are GPFS file clones" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# glibc's arenas grow with threads, and 16 of them wait for files.
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin LC_ALL=C UV_THREADPOOL_SIZE=16 MALLOC_ARENA_MAX=2
# NODE_OPTIONS could load other code, so Node never sees it. No core file, which would hold secrets, and no inspector
# on SIGUSR1: env and prlimit only set this up, and node takes their place.
# The flags keep the idle server small: a young generation of 1 MiB, an old one bounded below the limit
# of the pod, no optimizing compilers, and a collection when it has started.
ENTRYPOINT ["/usr/bin/env", "-u", "NODE_OPTIONS", "/usr/bin/prlimit", "--core=0:0", "/usr/local/bin/node", "--disable-sigusr1", "--max-semi-space-size=1", "--max-old-space-size=96", "--no-opt", "--no-maglev", "--expose-gc", "/opt/gpfs-csi/gpfs-csi.js"]
CMD ["serve"]
