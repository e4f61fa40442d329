// Writes what is in the image, as CycloneDX: the Debian packages of its files, Node, and the
// npm packages that the driver is bundled from.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [rootfs, output] = process.argv.slice(2);
if (output === undefined) throw new Error('usage: node sbom.mjs ROOTFS FILE');

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

function debianPackages() {
  const database = join(rootfs, 'var/lib/dpkg/status.d');
  return readdirSync(database).map((file) => {
    const text = readFileSync(join(database, file), 'utf8');
    const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
    const [name, version, arch] = ['Package', 'Version', 'Architecture'].map(field);
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}`;
    return component(name, version, purl);
  });
}

/** What an install without development packages would bring: the bundle holds nothing else. */
const npmPackages = () =>
  Object.entries(readJson('package-lock.json').packages)
    .filter(([path, { dev, optional }]) => path !== '' && !dev && !optional)
    .map(([path, { version, license }]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      return component(name, version, `pkg:npm/${name.replace('@', '%40')}@${version}`, license);
    });

const component = (name, version, purl, license) => ({
  type: 'library',
  name,
  version,
  purl,
  ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
});

const { name, version } = readJson('package.json');
const node = process.versions.node;
const bill = {
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  version: 1,
  metadata: { component: { type: 'application', name, version } },
  components: [
    component('node', node, `pkg:generic/node@${node}`),
    ...debianPackages(),
    ...npmPackages(),
  ],
};
writeFileSync(output, `${JSON.stringify(bill, null, 2)}\n`);
console.log(`${output}: ${bill.components.length} components`);
