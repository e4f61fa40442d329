import { expect, test } from 'vitest';
import { createMetrics } from '../../../src/observe/metrics.ts';

test('counters, histograms and gauges are rendered as Prometheus reads them', () => {
  const metrics = createMetrics();
  const runs = metrics.counter('runs_total', 'Runs.');
  const seconds = metrics.histogram('run_seconds', 'Time.', [0.1, 1]);
  let open = 1;
  metrics.gauge('open', 'Open now.', () => open);
  runs();
  runs({}, 2);
  runs({ name: 'a"b\\c\nd' });
  seconds(0.1);
  seconds(0.5);
  seconds(7, { name: 'x' });
  open = 5;
  expect(metrics.render()).toBe(
    `${[
      '# HELP runs_total Runs.',
      '# TYPE runs_total counter',
      'runs_total 3',
      'runs_total{name="a\\"b\\\\c\\nd"} 1',
      '# HELP run_seconds Time.',
      '# TYPE run_seconds histogram',
      'run_seconds_bucket{le="0.1"} 1',
      'run_seconds_bucket{le="1"} 2',
      'run_seconds_bucket{le="+Inf"} 2',
      'run_seconds_sum 0.6',
      'run_seconds_count 2',
      'run_seconds_bucket{name="x",le="0.1"} 0',
      'run_seconds_bucket{name="x",le="1"} 0',
      'run_seconds_bucket{name="x",le="+Inf"} 1',
      'run_seconds_sum{name="x"} 7',
      'run_seconds_count{name="x"} 1',
      '# HELP open Open now.',
      '# TYPE open gauge',
      'open 5',
    ].join('\n')}\n`,
  );
});

test('a gauge of several series has those there are when somebody looks', () => {
  const metrics = createMetrics();
  const roots = new Map<string, number>();
  metrics.gauges('free', 'Free.', () =>
    [...roots].map(([root, value]) => ({ labels: { root }, value })),
  );
  const head = '# HELP free Free.\n# TYPE free gauge\n';
  expect(metrics.render()).toBe(head);
  roots.set('/a', 1).set('/b', 2e15);
  expect(metrics.render()).toBe(`${head}free{root="/a"} 1\nfree{root="/b"} 2000000000000000\n`);
});

test('a name is used once', () => {
  const metrics = createMetrics();
  metrics.counter('a', 'A.');
  expect(() => metrics.histogram('a', 'A.')).toThrow('exists already');
});
