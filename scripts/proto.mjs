// Makes src/wire from proto/: runs after every install and as `npm run proto`.
// Needs only what the driver needs at run time, so it also works without devDependencies.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const protoFile = 'csi/v1/csi.proto';
const registrationFile = 'pluginregistration/v1/api.proto';
const wire = join(root, 'src', 'wire');
const require = createRequire(import.meta.url);
const loader = require.resolve('@grpc/proto-loader/package.json');

function generateTypes(outDir) {
  const generator = join(dirname(loader), 'build', 'bin', 'proto-loader-gen-types.js');
  // The same choices as src/server/proto.ts makes when it loads the file.
  const options = [
    ...['--keepCase', '--longs=String', '--enums=String', '--defaults', '--oneofs'],
    ...['--includeComments', '--importFileExtension=.ts', '--grpcLib=@grpc/grpc-js'],
    ...['--includeDirs=proto', `--outDir=${outDir}`],
  ];
  // It writes the paths it is given into the output: run it from the root, with relative ones.
  execFileSync(process.execPath, [generator, ...options, '--', protoFile, registrationFile], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** One file that names every type of an interface, so that nobody has to know 90 of them. */
function gatherTypes(outDir, folder, service, name) {
  const files = readdirSync(join(outDir, folder)).sort();
  if (!files.includes(`${service}.ts`)) throw new Error(`${folder} has no ${service}`);
  const lines = files.map((file) => `export type * from './${folder}/${file}';\n`);
  writeFileSync(join(outDir, name), lines.join(''));
}

/** proto-loader forgets the options of fields at run time; the parser under it does not. */
function listSecrets(outDir) {
  const { parse } = createRequire(loader)('protobufjs');
  const source = readFileSync(join(root, 'proto', protoFile), 'utf8');
  const { root: names, package: packageName } = parse(source, { keepCase: true });
  const lines = secretFields(names.lookup(packageName)).map((name) => `  '${name}',\n`);
  const head = '/** Fields that must never be logged: message and field, by full name. */\n';
  const text = `${head}export const secretFields: ReadonlySet<string> = new Set([\n${lines.join('')}]);\n`;
  writeFileSync(join(outDir, 'secrets.ts'), text);
}

function secretFields(node) {
  const own = (node.fieldsArray ?? []).filter((field) => field.options?.['(csi_secret)'] === true);
  const nested = (node.nestedArray ?? []).flatMap(secretFields);
  return [...own.map((field) => field.fullName.replace(/^\./, '')), ...nested];
}

// Made elsewhere and moved into place whole: a failure leaves what was there before.
const fresh = join(root, '.cache', `wire-${process.pid}`);
mkdirSync(fresh, { recursive: true });
mkdirSync(dirname(wire), { recursive: true });
try {
  generateTypes(fresh);
  gatherTypes(fresh, 'csi/v1', 'Controller', 'types.ts');
  gatherTypes(fresh, 'pluginregistration', 'Registration', 'registration.ts');
  listSecrets(fresh);
  rmSync(wire, { recursive: true, force: true });
  renameSync(fresh, wire);
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
console.log('src/wire is made from proto/');
