import { Linter } from 'eslint';
import { describe, expect, test } from 'vitest';
import house from '../../../scripts/lint/rules.mjs';

const linter = new Linter();

/** What the rule reports with at most 40 lines: `LINE: COUNT`, by the line that the function begins on. */
const reported = (code: string, max = 40): readonly string[] =>
  linter
    .verify(code, {
      plugins: { house },
      rules: { 'house/lines-per-function': ['error', { max }] },
    })
    .map(({ line, message }) => `${line}: ${/has (\d+) lines/.exec(message)?.[1] ?? message}`);

const lines = (count: number, text: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => text(n)).join('\n');
const statements = (count: number): string => lines(count, (n) => `  f(${n});`);
const properties = (count: number): string => lines(count, (n) => `  p${n}: ${n},`);

describe('statements', () => {
  test.each([
    ['a declaration', (body: string) => `function a() {\n${body}\n}`],
    ['an expression', (body: string) => `const a = function () {\n${body}\n};`],
    ['an arrow function', (body: string) => `const a = () => {\n${body}\n};`],
    ['a method', (body: string) => `class A { a() {\n${body}\n} }`],
  ])('41 lines of %s are refused, 40 pass', (_, wrap) => {
    expect(reported(wrap(statements(39)))).toEqual(['1: 41']);
    expect(reported(wrap(statements(38)))).toEqual([]);
  });

  test('blank lines and comments do not count', () => {
    const noise = lines(30, () => '\n  // why\n  /* and\n  why */');
    expect(reported(`function a() {\n${statements(38)}\n${noise}\n}`)).toEqual([]);
    expect(reported(`function a() {\n${statements(39)}\n${noise}\n}`)).toEqual(['1: 41']);
  });

  test('a text of several lines counts with all of them', () => {
    const text = `\`\n${statements(39)}\n\``;
    expect(reported(`function a() {\n  return ${text};\n}`)).toEqual(['1: 43']);
  });

  test('lines of a function count in the function around it too', () => {
    const inner = `const b = () => {\n${statements(39)}\n};`;
    expect(reported(`function a() {\n${inner}\n}`)).toEqual(['1: 43', '2: 41']);
  });
});

describe('a literal counts as one line', () => {
  test.each([
    ['returned', `function a() {\n  return {\n${properties(60)}\n  };\n}`],
    ['the whole of an arrow function', `const a = () => ({\n${properties(60)}\n});`],
    ['with a literal in it', `function a() {\n  return {\n  in: {\n${properties(60)}\n},\n  };\n}`],
    ['an array', `function a() {\n  return [\n${lines(60, (n) => `  ${n},`)}\n  ];\n}`],
    ['a default of a parameter', `function a(b = {\n${properties(60)}\n}) {\n  f(b);\n}`],
  ])('%s', (_, code) => {
    expect(reported(code)).toEqual([]);
    expect(reported(code, 1)).toHaveLength(code.startsWith('const') ? 0 : 1);
  });

  test('what is beside it counts', () => {
    const code = (count: number) =>
      `function a() {\n${statements(count)}\n  return {\n${properties(60)}\n  };\n}`;
    expect(reported(code(37))).toEqual([]);
    expect(reported(code(38))).toEqual(['1: 41']);
  });

  test('code behind its end counts, on the line that it ends on', () => {
    const chain = `  f([\n    1,\n  ].map((n) =>\n    n + 1,\n  ));`;
    expect(reported(`function a() {\n${chain}\n}`, 5)).toEqual(['1: 6']);
    expect(reported(`function a() {\n${chain}\n}`, 6)).toEqual([]);
  });
});

describe('a function in a literal', () => {
  const literal = (inner: string): string =>
    `function a() {\n  return {\n${properties(60)}\n  b: () => {\n${inner}\n  },\n  };\n}`;

  test('is refused by itself, and counts in the function around it', () => {
    expect(reported(literal(statements(43)))).toEqual(['1: 48', '63: 45']);
  });

  test('passes when it is short, and leaves the rest of the literal one line', () => {
    expect(reported(literal(statements(10)))).toEqual([]);
    expect(reported(literal(statements(10)), 12)).toEqual(['1: 15']);
  });

  test('may hold a literal of its own, which counts as one line again', () => {
    expect(reported(literal(`  return {\n${properties(60)}\n  };`))).toEqual([]);
  });
});

test('the limit must be given', () => {
  const rules = { 'house/lines-per-function': 'error' } as const;
  expect(() => linter.verify('', { plugins: { house }, rules })).toThrow('lines-per-function');
});
