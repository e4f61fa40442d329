import { expect, test } from 'vitest';
import { adopt } from '../../../../src/cli/adopt.ts';
import { doctor } from '../../../../src/cli/doctor.ts';
import { explain } from '../../../../src/cli/explain.ts';
import { exportCommand } from '../../../../src/cli/export.ts';
import { historyCommand } from '../../../../src/cli/history.ts';
import { image } from '../../../../src/cli/image.ts';
import { migrate } from '../../../../src/cli/migrate.ts';
import { serve } from '../../../../src/cli/serve.ts';
import { simulate } from '../../../../src/cli/simulate.ts';
import { thaw } from '../../../../src/cli/thaw.ts';
import { tree } from '../../../../src/cli/tree.ts';
import { volumesLeft } from '../../../../src/cli/volumes-left.ts';
import { counted } from '../../../../src/model/bytes.ts';

const all = {
  serve,
  image,
  export: exportCommand,
  adopt,
  migrate,
  tree,
  doctor,
  explain,
  history: historyCommand,
  simulate,
  thaw,
  volumesLeft,
};

test.each(Object.entries(all))('the columns of %s --help stay apart', (_, { help }) => {
  const lines = help.split('\n').filter((line) => line.startsWith('  --'));
  for (const line of lines) expect(line).toMatch(/^ {2}--[a-z0-9-]+(?: [A-Z]+)? {2,}\S/);
});

test('serve has flags to look at', () => {
  expect(serve.help.match(/^ {2}--/gm)?.length).toBeGreaterThan(30);
});

test('one is not many', () => {
  expect(counted(0, 'volume')).toBe('0 volumes');
  expect(counted(1, 'volume')).toBe('1 volume');
  expect(counted(4997, 'child', 'children')).toBe('4,997 children');
});
