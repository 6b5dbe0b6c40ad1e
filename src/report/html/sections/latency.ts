/** How fast, and which operators take the time. */
import type { Profile } from '../../data/cost.js';
import { bar, barPair } from '../charts/bar.js';
import type { Located } from '../located.js';
import { type Html, html } from '../markup.js';
import { defineSection } from '../section.js';
import { missing, show, showInterval } from '../show.js';
import { table } from '../table.js';

export const benchSection = defineSection({
  id: 'bench',
  title: 'Latency and memory',
  part: (report) => report.maybe('bench'),
  render: (bench) => {
    const slowest = Math.max(...bench.value.map(({ p90Ms }) => p90Ms));
    return html`<p class="lead">Models ran in turns, so that a drift of the machine hits all alike; the speed is the median of the ratios within rounds, with its 95 % interval.</p>${table(
      {
        caption: 'Runs',
        columns: [
          { header: 'model' },
          { header: 'threads', right: true },
          { header: 'median', right: true },
          { header: '', chart: true },
          { header: '10 to 90 %', right: true },
          { header: 'speed', right: true },
          { header: 'load', right: true },
          { header: 'peak memory', right: true },
          { header: 'rounds', right: true },
        ],
        rows: bench.items().map((row) => {
          const speed = row.maybe('speedUp');
          return [
            row.value.model,
            show(row.get('threads'), 'integer'),
            show(row.get('medianMs'), 'ms'),
            bar(row.value.medianMs / slowest),
            html`${show(row.get('p10Ms'), 'ms')} to ${show(row.get('p90Ms'), 'ms')}`,
            speed
              ? html`${show(speed.get('ratio'), 'times')}${speed.value.interval && html` <span class="interval">${showInterval(speed.get('interval'), 'times')}</span>`}`
              : 'reference',
            show(row.get('createMs'), 'ms'),
            show(row.get('peakBytes'), 'bytes'),
            show(row.get('rounds'), 'integer'),
          ];
        }),
      },
    )}`;
  },
});

export const profileSection = defineSection({
  id: 'operators',
  title: 'Where the time goes',
  part: (report) => report.maybe('profiles'),
  render: (profiles) => {
    const [first, last] = [profiles.items()[0]!, profiles.items().at(-1)!];
    const both = profiles.value.length > 1;
    return html`<p class="lead">Time in kernels by operator, from the runtime's own profiles of ${show(first.get('runs'), 'integer')} runs, the least of four. Time between kernels, and what the profiler costs, make it differ from the latency above. Names are those after the runtime's fusions.</p>${operators(first, both ? last : undefined)}${profiles
      .items()
      .map((profile) => slowest(profile))}`;
  },
});

function operators(first: Located<Profile>, last: Located<Profile> | undefined): Html {
  const sides = last ? [first, last] : [first];
  const names = [...new Set(sides.flatMap(({ value }) => value.operators.map(({ op }) => op)))];
  const find = (side: Located<Profile> | undefined, name: string) =>
    side
      ?.get('operators')
      .items()
      .find(({ value }) => value.op === name);
  const ms = (side: Located<Profile> | undefined, name: string) =>
    side ? (find(side, name)?.value.ms ?? 0) : null;
  const most = Math.max(...names.flatMap((name) => sides.map((side) => ms(side, name)!)));
  names.sort(
    (a, b) => Math.max(ms(last, b) ?? 0, ms(first, b)!) - Math.max(ms(last, a) ?? 0, ms(first, a)!),
  );
  const cells = (side: Located<Profile> | undefined, name: string) => {
    if (!side) return [];
    const found = find(side, name);
    return [
      found ? show(found.get('ms'), 'ms') : missing,
      found ? show(found.get('calls'), 'integer') : '',
    ];
  };
  const header = (name: string) => [
    { header: name, right: true },
    { header: 'nodes', right: true },
  ];
  return table({
    caption: 'Time by operator, in one run',
    columns: [
      { header: 'operator' },
      { header: '', chart: true },
      ...header(first.value.model),
      ...(last ? header(last.value.model) : []),
    ],
    rows: [
      ...names.map((name) => [
        name,
        last ? barPair(ms(first, name), ms(last, name), most) : bar(ms(first, name)! / most),
        ...cells(first, name),
        ...cells(last, name),
      ]),
      [
        'all kernels',
        '',
        show(first.get('totalMs'), 'ms'),
        '',
        ...(last ? [show(last.get('totalMs'), 'ms'), ''] : []),
      ],
    ],
    visible: 16,
  });
}

function slowest(profile: Located<Profile>): Html {
  const { model, nodes } = profile.value;
  const most = nodes[0]?.ms ?? 0;
  return html`<details><summary>the slowest nodes of ${model}</summary>${table({
    caption: `The slowest nodes of ${model}`,
    columns: [
      { header: 'node', name: true },
      { header: 'operator' },
      { header: 'time', right: true },
      { header: '', chart: true },
    ],
    rows: profile
      .get('nodes')
      .items()
      .map((row) => [
        row.value.node,
        row.value.op,
        show(row.get('ms'), 'ms'),
        bar(row.value.ms / most),
      ]),
  })}</details>`;
}
