// Bundles the driver into dist/, or the folder that is named: gpfs-csi.js, kubectl-gpfs.js, the simulator's executables,
// the page of the report, and a copy of proto/.
import { chmodSync, cpSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundlePage } from './page.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node22',
  logLevel: 'warning',
};

// zod brings its messages in fifty languages, and none can be left out by import: about 7 MiB of an idle server.
const oneLocale = {
  name: 'one-locale',
  setup(build) {
    build.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
  },
};

async function buildProgram(entry, name) {
  const outfile = join(dist, name);
  await build({
    ...common,
    entryPoints: [entry],
    outfile,
    format: 'esm',
    // Half the text to keep in memory; names stay, so that a stack trace in a log can be read.
    minifyWhitespace: true,
    minifySyntax: true,
    plugins: [oneLocale],
    sourcemap: 'external',
    // Asked for only in a checkout, by a simulator that finds no script of its own.
    external: ['esbuild'],
    // Packages in CommonJS call require, which a module does not have.
    banner: {
      js: [
        "import { createRequire as requireOf } from 'node:module';",
        'const require = requireOf(import.meta.url);',
      ].join('\n'),
    },
  });
  chmodSync(outfile, 0o755);
}

// One plain script, because each mm command of the simulator has to start quickly.
const buildShim = () =>
  build({
    ...common,
    entryPoints: ['src/simulator/disk/shim.ts'],
    outfile: join(dist, 'simulator-shim.cjs'),
    format: 'cjs',
    minify: true,
  });

rmSync(dist, { recursive: true, force: true });
try {
  const [page] = await Promise.all([
    bundlePage(),
    buildProgram('src/cli/main.ts', 'gpfs-csi.js'),
    buildProgram('src/cli/kubectl/main.ts', 'kubectl-gpfs.js'),
    buildShim(),
  ]);
  writeFileSync(join(dist, 'report-page.json'), JSON.stringify(page));
} catch (error) {
  // esbuild has told what is wrong; anything else has not been told yet.
  if (error.errors === undefined) throw error;
  process.exit(1);
}
cpSync(join(root, 'proto'), join(dist, 'proto'), { recursive: true });
console.log(`${relative('', join(dist, 'gpfs-csi.js'))} is built`);
