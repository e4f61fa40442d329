import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTable, present } from '../../../src/gpfs/table.ts';

const rowsOf = (output: string, columns: readonly string[] = ['state']) =>
  parseTable('mmx', output, columns).map((row) => Object.fromEntries(row));

const header = 'mmx::HEADER:version:reserved:reserved:nodeName:state:remarks:';

describe('a -Y table', () => {
  test('is read by the names of its header, in any case', () => {
    const renamed = header.replace('nodeName', 'NODENAME');
    expect(rowsOf(`${renamed}\nmmx::0:1:::a1:active::\n`, ['nodename', 'State'])).toEqual([
      { version: '1', nodename: 'a1', reserved: '', state: 'active', remarks: '' },
    ]);
  });

  test('decodes values after it split them', () => {
    const [row] = rowsOf(`${header}\nmmx::0:1:::a%3Ab:%2Fgpfs%2Fx y:100%:\n`);
    expect(row).toMatchObject({ nodename: 'a:b', state: '/gpfs/x y', remarks: '100%' });
  });

  test('decodes characters of several bytes', () => {
    expect(rowsOf(`${header}\nmmx::0:1:::%C3%A9:x\n`)[0]).toMatchObject({ nodename: 'é' });
  });

  test('ignores noise before and between its lines', () => {
    const output = `*** Report for all ***\nmmx: warning\n${header}\n\nhello\nmmx::0:1:::a:b:c:\n`;
    expect(rowsOf(output)).toHaveLength(1);
  });

  test('takes rows that are shorter or longer than the header', () => {
    const rows = rowsOf(`${header}\nmmx::0:1:::a1\nmmx::0:1:::a2:down:x:y:z:\n`);
    expect(rows[0]).not.toHaveProperty('state');
    expect(rows[1]).toMatchObject({ nodename: 'a2', state: 'down', remarks: 'x' });
  });

  test('parts rows that are glued together', () => {
    const rows = rowsOf(`${header}\nmmx::0:1:::a1:active:xmmx::0:1:::a2:down::\n`);
    expect(rows.map((row) => [row['nodename'], row['state'], row['remarks']])).toEqual([
      ['a1', 'active', 'x'],
      ['a2', 'down', ''],
    ]);
  });

  test('gives the rows of the sections that have the columns asked for', () => {
    const output = [
      'mmx:summary:HEADER:version:reserved:reserved:clusterName:',
      'mmx:node:HEADER:version:reserved:reserved:state:',
      'mmx:empty:HEADER:version:reserved:reserved:other:',
      'mmx:summary:0:1:::c1:',
      'mmx:node:0:1:::active:',
    ].join('\n');
    expect(rowsOf(output).map((row) => row['state'])).toEqual(['active']);
    expect(rowsOf(output, ['clusterName']).map((row) => row['clustername'])).toEqual(['c1']);
  });

  test('may have no rows, but not no header', () => {
    expect(rowsOf(header)).toEqual([]);
    expect(() => rowsOf('mmx::0:1:::a1:active::\n')).toThrow(/a form this driver does not know/);
    expect(() => rowsOf('')).toThrow(/a form this driver does not know/);
  });

  test('without a header names the failure it tells of, though the status was 0', () => {
    expect(() => rowsOf('mmx: GPFS is down on this node.\n')).toThrow(/mmx failed: GPFS is down/);
  });

  test('a dash or nothing stands for none', () => {
    expect(['', '-', '--', undefined, 'x', '-1'].map(present)).toEqual([
      ...Array<undefined>(4).fill(undefined),
      'x',
      '-1',
    ]);
  });
});

// A printer of its own: what the documentation says of the format, not what the parser does.
const encode = (text: string): string =>
  [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9. ;,()]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');

const value = fc.string({ unit: 'grapheme', maxLength: 12 });
const section = fc.constantFrom('', 'user', 'clusterNode');

describe('whatever is printed is read back', () => {
  test('with any values, several sections, trailing colons or not, glued or not', () => {
    const table = fc.record({
      section,
      names: fc.uniqueArray(fc.constantFrom('alpha', 'beta', 'gamma', 'delta'), { minLength: 1 }),
      rows: fc.array(fc.array(value, { minLength: 4, maxLength: 4 }), { maxLength: 4 }),
      end: fc.constantFrom(':', ''),
      newline: fc.constantFrom('\n', '\r\n'),
    });
    fc.assert(
      fc.property(table, fc.boolean(), ({ section: name, names, rows, end, newline }, glued) => {
        const cells = rows.map((row) => row.slice(0, names.length));
        const lines = cells.map(
          (row) => `mmls:${name}:0:1:::${row.map(encode).join(':')}${glued ? ':' : end}`,
        );
        const head = `mmls:${name}:HEADER:version:reserved:reserved:${names.join(':')}${end}`;
        const output = `noise${newline}${head}${newline}${lines.join(glued ? '' : newline)}${newline}`;
        const read = parseTable('mmls', output, names);
        expect(read.map((row) => names.map((column) => row.get(column)))).toEqual(cells);
      }),
    );
  });

  test('never throws anything but an unreadable answer', () => {
    fc.assert(
      fc.property(fc.string(), (noise) => {
        const output = `mmls::HEADER:version:reserved:reserved:a:\n${noise}\nmmls::0:1:::x:\n`;
        const rows = parseTable('mmls', output, ['a']);
        expect(rows.at(-1)?.get('a')).toBe('x');
      }),
    );
  });
});
