import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/cli/command/config.ts';
import { fsTypes } from '../../src/model/capability.ts';
import { classParameters } from '../../src/model/class/parameters.ts';
import { logFormats, logLevels } from '../../src/observe/logger.ts';
import { goTool, goToolLimitMs, helmTool } from '../support/tools/go-tool.ts';
import { kept, more } from './cases.ts';
import { chart, manifests } from './helm.ts';
import { documentedValues } from './readme.ts';

interface Schema {
  readonly type?: string;
  readonly $ref?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const valuesText = readFileSync(join(chart, 'values.yaml'), 'utf8');
const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Schema;
const documented = documentedValues(valuesText);

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const resolve = (each: Schema): Schema =>
  each.$ref === undefined ? each : (schema.$defs?.[each.$ref.split('/').at(-1) ?? ''] ?? {});

/** Paths of the values that a schema allows, as far as values.yaml writes them out. */
function allowed(each: Schema, value: unknown, path: readonly string[]): readonly string[] {
  const { properties } = resolve(each);
  const isValue = documented.some((one) => one.path === path.join('.'));
  if (properties === undefined || isValue) return [path.join('.')];
  return Object.entries(properties).flatMap(([key, inner]) =>
    allowed(inner, (value as Record<string, unknown> | undefined)?.[key], [...path, key]),
  );
}

describe('values', () => {
  test('each that the schema allows is written out with a comment, and no other', () => {
    const paths = documented.map(({ path }) => path);
    expect(paths.length).toBeGreaterThan(100);
    expect([...paths].sort()).toEqual([...allowed(schema, parse(valuesText), [])].sort());
  });

  test('each has a row of its own: none is an object but those of Kubernetes', () => {
    const objects = documented.flatMap(({ path, preset }) =>
      isObject(preset) && Object.keys(preset).length > 0 ? [path] : [],
    );
    expect(objects.filter((path) => !path.endsWith('.resources'))).toEqual([]);
  });

  test('each has a default and a comment that is a sentence', () => {
    for (const { path, preset, meaning, section } of documented) {
      expect(preset, path).not.toBeUndefined();
      expect(section, path).not.toBe('');
      expect(meaning, path).toMatch(/^[A-Z].*\.$/);
    }
  });

  test('the schema leaves nothing open but what belongs to somebody else', () => {
    const open: string[] = [];
    const visit = (each: Schema, path: string): void => {
      if (each.type === 'object' && each.additionalProperties === undefined) open.push(path);
      for (const [key, inner] of Object.entries({ ...each.properties, ...each.$defs }))
        visit(inner, `${path}/${key}`);
      if (each.items) visit(each.items, `${path}/items`);
    };
    visit(schema, '');
    expect(open).toEqual(['/global', '/kubernetes']);
  });
});

describe('the chart and the driver agree', () => {
  beforeAll(() => goTool(helmTool), goToolLimitMs);

  interface Variable {
    readonly name: string;
    readonly value?: string;
  }
  interface Workload {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly name: string;
          readonly env: readonly Variable[];
        }[];
      };
    };
  }

  test.each(Object.entries({ ...kept, ...more }))('on the environment: %s', async (_, each) => {
    const objects = await manifests(each.values, each.options);
    const containers = objects
      .filter(({ kind }) => kind === 'DaemonSet')
      .flatMap(({ spec }) => (spec as Workload).template.spec.containers);
    const { env = [] } = containers.find(({ name }) => name === 'driver') ?? {};
    const variables = Object.fromEntries(env.map(({ name, value }) => [name, value ?? 'node-1']));
    const config = readConfig([], { ...variables, KUBERNETES_SERVICE_HOST: '10.0.0.1' }, 'pod');
    expect(config.nodeId).toBe('node-1');
    expect(config.controller?.gid).toBe(65532);
    expect(config.roots.length).toBeGreaterThan(0);
  });

  const enumOf = (...path: readonly string[]): readonly unknown[] =>
    path.reduce((each, key) => resolve(each).properties?.[key] ?? {}, schema).enum ?? [];

  test('on log levels and file systems', () => {
    expect(enumOf('logLevel')).toEqual(logLevels);
    expect(enumOf('logFormat')).toEqual(logFormats);
    expect(schema.$defs?.['storageClass']?.properties?.['fsType']?.enum).toEqual(fsTypes);
  });

  test('on class parameters', () => {
    const { properties = {} } = resolve(
      schema.$defs?.['storageClass']?.properties?.['parameters'] ?? {},
    );
    const keys = Object.keys(properties).join(', ');
    expect(() => classParameters(new Map([['x', '']]))).toThrow(new RegExp(`known are ${keys}$`));
    for (const [key, said] of Object.entries(properties)) expect(said, key).not.toEqual({});
  });
});
