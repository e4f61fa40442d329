import { describe, expect, test } from 'vitest';
import { runStages, type Stage } from '../../runner/stage.ts';
import { judgeVitest } from '../../runner/vitest.ts';
import { judge } from '../../sanity/report.ts';
import { allowedSkips, pending } from '../../sanity/skips.ts';

const file = (status: string, ...tests: readonly string[]) => ({
  name: '/repo/test/unit/a.test.ts',
  status,
  assertionResults: tests.map((each, n) => ({ fullName: `test ${n}`, status: each })),
});

describe('the verdict on vitest', () => {
  const verdict = (files: readonly ReturnType<typeof file>[], ok = true) =>
    judgeVitest({ success: ok, testResults: [...files] }, ok, '');

  test('counts tests', () => {
    expect(verdict([file('passed', 'passed', 'passed')])).toMatchObject({ passed: 2, failed: 0 });
    expect(verdict([file('failed', 'passed', 'failed')], false)).toMatchObject({
      passed: 1,
      failed: 1,
    });
  });

  test.each(['skipped', 'pending', 'todo', 'disabled'])('%s is a failure', (status) => {
    const found = verdict([file('passed', 'passed', status)]);
    expect(found).toMatchObject({ passed: 1, failed: 1 });
    expect(found.output).toContain('test 1');
  });

  test('no tests, a file that does not load and an error outside of tests are failures', () => {
    expect(verdict([])).toMatchObject({ passed: 0, failed: 1 });
    expect(verdict([file('failed'), file('passed', 'passed')], false)).toMatchObject({ failed: 1 });
    expect(verdict([file('passed', 'passed')], false)).toMatchObject({ passed: 1, failed: 1 });
  });
});

describe('the verdict on csi-sanity', () => {
  const spec = (name: string, State: string) => {
    const words = name.split(' > ');
    return {
      ContainerHierarchyTexts: words.slice(0, -1),
      LeafNodeType: 'It',
      LeafNodeText: words.at(-1) ?? '',
      State,
    };
  };
  const good = [
    spec('Node Service > should work', 'passed'),
    ...allowedSkips.map((name) => spec(name, 'skipped')),
    ...pending.map((name) => spec(name, 'pending')),
  ];
  const verdict = (...specs: readonly object[]) => judge([{ SpecReports: specs }]);

  test('the skips that are agreed on are no failure and no pass', () => {
    expect(verdict(...good)).toEqual({ passed: 1, skipped: 7, pending: 1, problems: [] });
  });

  test.each(['skipped', 'pending', 'failed', 'panicked', 'timedout', 'interrupted', 'aborted'])(
    'another spec that is %s is a failure',
    (state) => {
      const { problems } = verdict(...good, spec('Node Service > be idempotent', state));
      expect(problems).toEqual([`${state}: Node Service > be idempotent`]);
    },
  );

  test('a skip that is gone from the report, no pass at all and a broken suite are failures', () => {
    expect(verdict(...good.slice(0, -1)).problems).toHaveLength(1);
    expect(verdict(...good.slice(1)).problems).toEqual(['no spec passed']);
    const around = { LeafNodeType: 'AfterSuite', LeafNodeText: '' };
    expect(verdict(...good, { ...around, State: 'passed' }).problems).toEqual([]);
    expect(verdict(...good, { ...around, State: 'failed' }).problems).toEqual([
      'failed: AfterSuite',
    ]);
  });
});

describe('stages', () => {
  const stage = (name: string, failed: number, ...after: readonly string[]): Stage => ({
    name,
    after,
    run: () => Promise.resolve({ passed: 2, failed, output: `words of ${name}` }),
  });
  const { signal } = new AbortController();

  test('all run and are counted; what stands on a failed one fails with it', async () => {
    const broken: Stage = { name: 'broken', run: () => Promise.reject(new Error('no disk')) };
    const stages = [stage('one', 0), stage('two', 1), broken, stage('three', 0, 'two')];
    let shown = '';
    const total = await runStages(stages, { atOnce: 2, signal, show: (text) => (shown += text) });
    expect(total).toMatchObject({ passed: 4, failed: 3 });
    expect(shown).not.toContain('words of one');
    expect(shown).toContain('words of two');
    expect(shown).toContain('no disk');
    expect(shown).toContain('not run, because two failed');
  });

  /** Stages that end when a test ends them, and the names of those that run. */
  const held = () => {
    const ends = new Map<string, () => void>();
    const named = (name: string, more: Partial<Stage> = {}): Stage => ({
      name,
      ...more,
      run: () =>
        new Promise((resolve) => {
          ends.set(name, () => {
            ends.delete(name);
            resolve({ passed: 1, failed: 0, output: '' });
          });
        }),
    });
    const end = async (name: string): Promise<void> => {
      ends.get(name)?.();
      // By then the next of them have begun.
      await new Promise(setImmediate);
    };
    return { named, end, running: () => [...ends.keys()] };
  };

  test('run side by side, in their order, and not before what they stand on', async () => {
    const { named, end, running } = held();
    const leaks = named('leaks', { isLast: true });
    const stages = [leaks, named('a'), named('b', { after: ['a'] }), named('c'), named('d')];
    const total = runStages(stages, { atOnce: 2, signal, show: () => undefined });
    expect(running()).toEqual(['a', 'c']);
    await end('c');
    expect(running()).toEqual(['a', 'd']);
    await end('d');
    expect(running()).toEqual(['a']);
    await end('a');
    expect(running()).toEqual(['b']);
    await end('b');
    expect(running()).toEqual(['leaks']);
    await end('leaks');
    expect(await total).toMatchObject({ passed: 5, failed: 0 });
  });

  test('one that never began has failed', async () => {
    const { named, end } = held();
    const stopping = new AbortController();
    const options = { atOnce: 1, signal: stopping.signal, show: () => undefined };
    const total = runStages([named('a'), named('b')], options);
    stopping.abort();
    await end('a');
    expect(await total).toMatchObject({ passed: 1, failed: 1 });
  });
});
