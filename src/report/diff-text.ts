/**
 * The difference of two models as text: what breaks callers first, then nodes, weights, bytes and
 * outputs. Words and layout only.
 */
import { snrOf } from '../measure/compare-outputs.js';
import type { ModelDiff, NodeRef, OperatorChange } from '../measure/diff.js';
import type { WeightChange } from '../measure/diff-weights.js';
import { sparkline } from './bars.js';
import {
  formatBytes,
  formatCount,
  formatDb,
  formatInteger,
  formatMs,
  formatSigned,
} from './format.js';
import { plainStyle, type Style } from './style.js';
import { type Cell, type Column, table } from './table.js';
import { printable, wrap } from './text.js';

export interface DiffTextOptions {
  readonly width?: number | undefined;
  readonly style?: Style | undefined;
  /** Rows of each list. Default 20. */
  readonly rows?: number | undefined;
}

interface Settings {
  readonly width: number;
  readonly style: Style;
  readonly rows: number;
}

const right = (header: string): Column => ({ header, align: 'right' });

/** @example console.log(diffText(await diffModels(a, b), ['a.onnx', 'b.onnx'])); */
export function diffText(
  diff: ModelDiff,
  names: readonly [a: string, b: string],
  options: DiffTextOptions = {},
): string {
  const { width = Number.POSITIVE_INFINITY, style = plainStyle, rows = 20 } = options;
  const settings = { width, style, rows };
  const sections = [
    title(diff, names, settings),
    ports(diff, settings),
    head(diff, settings),
    nodes(diff, settings),
    weights(diff, settings),
    operators(diff, settings),
    layers(diff, settings),
    latency(diff, settings),
    outputs(diff, settings),
    diff.notes.flatMap((note) => wrap(printable(note), width)).join('\n'),
  ];
  return sections.filter(Boolean).join('\n\n');
}

function title(diff: ModelDiff, [a, b]: readonly [string, string], { style }: Settings): string {
  const names = `${printable(a)} and ${printable(b)}`;
  if (diff.equal) return style.paint('good', `${names} are equal`);
  const breaking = diff.interface.filter((change) => change.breaking).length;
  const callers =
    breaking > 0
      ? style.paint('bad', `${counted(breaking, 'change')} to the interface that can break callers`)
      : diff.interface.length > 0
        ? 'the interface changed in ways that callers can live with'
        : 'the same interface';
  return `${style.paint('strong', names)} differ; ${callers}`;
}

const counted = (count: number, word: string) =>
  `${formatInteger(count)} ${word}${count === 1 ? '' : 's'}`;

function ports({ interface: changes }: ModelDiff, settings: Settings): string {
  if (changes.length === 0) return '';
  const rows = changes.map(({ port, name, change, a, b, breaking }): Cell[] => [
    breaking ? { text: 'breaks callers', tone: 'bad' } : 'compatible',
    `${port} ${change === 'type' || change === 'position' ? `${change} changed` : change}`,
    name,
    a ?? '',
    b ?? '',
  ]);
  const columns = ['interface', 'change', 'name', 'before', 'after'];
  return table(
    columns.map((header) => ({ header })),
    rows,
    settings,
  );
}

function head({ head: changes }: ModelDiff, settings: Settings): string {
  if (changes.length === 0) return '';
  const columns = [{ header: 'file', flexible: false }, { header: 'before' }, { header: 'after' }];
  const short = (text: string | null) =>
    text === null ? '' : text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return table(
    columns,
    changes.map(({ what, a, b }) => [what, short(a), short(b)]),
    settings,
  );
}

function nodes({ nodes: diff }: ModelDiff, settings: Settings): string {
  const { added, removed, changed, unchanged } = diff;
  const summary = `nodes: ${formatInteger(unchanged)} unchanged, ${formatInteger(changed.length)} changed, ${formatInteger(removed.length)} removed, ${formatInteger(added.length)} added`;
  const rows: Cell[][] = [
    ...limited(removed, settings).map((ref) => [
      { text: '-', tone: 'bad' as const },
      ...refCells(ref),
    ]),
    ...limited(added, settings).map((ref) => [
      { text: '+', tone: 'good' as const },
      ...refCells(ref),
    ]),
    ...limited(changed, settings).map((change) => [
      { text: '~', tone: 'warn' as const },
      change.op,
      change.node,
      [...(change.now === change.node ? [] : [`now ${change.now}`]), ...change.changes].join('; '),
    ]),
  ];
  const lines = [settings.style.paint('strong', summary)];
  if (rows.length > 0) {
    const columns = [
      { header: '' },
      { header: 'operator' },
      { header: 'node' },
      { header: 'what' },
    ];
    lines.push(table(columns, rows, { ...settings, notes: restNotes(diff, settings) }));
  }
  return lines.join('\n');
}

function refCells({ op, node, inside }: NodeRef): string[] {
  return [op, node, inside ? `inside ${inside}` : ''];
}

function limited<Item>(items: readonly Item[], { rows }: Settings): readonly Item[] {
  return items.slice(0, rows);
}

/** 'not shown: added 12, changed 3 (--json has all)'. */
function restNotes(lists: object, { rows }: Settings): string[] {
  const parts = Object.entries<unknown>(lists as Record<string, unknown>)
    .filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]))
    .filter(([, list]) => list.length > rows)
    .map(([name, list]) => `${name} ${formatInteger(list.length - rows)}`);
  return parts.length > 0 ? [`not shown: ${parts.join(', ')} (--json has all)`] : [];
}

function weights({ weights: diff }: ModelDiff, settings: Settings): string {
  const { unchanged, renamed, changed, removed, added } = diff;
  const parts = [
    `${formatInteger(unchanged)} unchanged`,
    ...(renamed.length > 0 ? [`${formatInteger(renamed.length)} renamed`] : []),
    `${formatInteger(changed.length)} changed`,
    `${formatInteger(removed.length)} removed`,
    `${formatInteger(added.length)} added`,
  ];
  const lines = [settings.style.paint('strong', `constants: ${parts.join(', ')}`)];
  if (changed.length > 0) {
    lines.push(
      table(
        [
          { header: 'constant' },
          { header: 'before' },
          { header: 'after' },
          right('SNR'),
          right('max error'),
          right('of largest'),
          right('zeros'),
        ],
        limited(changed, settings).map(weightCells),
        { ...settings, notes: restNotes({ changed }, settings) },
      ),
    );
  }
  const rows = [
    ...limited(removed, settings).map((ref) => ['-', ref.name, ref.type, formatBytes(ref.bytes)]),
    ...limited(added, settings).map((ref) => ['+', ref.name, ref.type, formatBytes(ref.bytes)]),
  ];
  if (rows.length > 0) {
    lines.push(
      table([{ header: '' }, { header: 'constant' }, { header: 'type' }, right('bytes')], rows, {
        ...settings,
        notes: restNotes({ removed, added }, settings),
      }),
    );
  }
  return lines.join('\n');
}

function weightCells({ a, b, error }: WeightChange): string[] {
  const types = [a.type, a.name === b.name ? b.type : `${b.type} ${b.name}`];
  if (!error) return [a.name, ...types, 'not compared'];
  const { snrDb, maxAbsError, maxRelativeError, different, sparsityA, sparsityB } = error;
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  return [
    a.name,
    ...types,
    snrDb === null ? (different === 0 ? 'equal' : '') : formatDb(snrDb),
    maxAbsError.toExponential(2),
    maxRelativeError === null ? '' : percent(maxRelativeError),
    sparsityA === sparsityB ? percent(sparsityB) : `${percent(sparsityA)} to ${percent(sparsityB)}`,
  ];
}

function operators(
  { operators: rows, tensorBytes, parameters, fileBytes }: ModelDiff,
  settings: Settings,
): string {
  const isChanged = (row: OperatorChange) => row.nodesA !== row.nodesB || row.bytesA !== row.bytesB;
  const changed = rows.filter(isChanged);
  if (changed.length === 0) return '';
  const sum = (key: 'nodesA' | 'nodesB') => rows.reduce((total, row) => total + row[key], 0);
  const cells = (op: string, n: readonly [number, number], b: readonly [number, number]) => [
    op,
    formatInteger(n[0]),
    formatInteger(n[1]),
    formatBytes(b[0]),
    formatBytes(b[1]),
    b[0] === b[1] ? '' : formatSigned(b[1] - b[0], formatBytes),
  ];
  const list = limited(changed, settings).map((row) =>
    cells(row.op, [row.nodesA, row.nodesB], [row.bytesA, row.bytesB]),
  );
  const total = cells('all', [sum('nodesA'), sum('nodesB')], [tensorBytes.a, tensorBytes.b]);
  const notes = restNotes({ operators: changed }, settings);
  if (fileBytes.a !== fileBytes.b) {
    notes.push(`file: ${formatBytes(fileBytes.a)} and ${formatBytes(fileBytes.b)}`);
  }
  if (parameters.a !== parameters.b) {
    notes.push(`parameters: ${formatCount(parameters.a)} and ${formatCount(parameters.b)}`);
  }
  return table(
    [
      { header: 'operator' },
      right('nodes'),
      right('after'),
      right('constants'),
      right('after'),
      right('change'),
    ],
    [...list, total],
    { ...settings, notes },
  );
}

/** Around the places where the numbers part: the first that differs, and the largest falls. */
function layers({ layers: diff, outputs: made }: ModelDiff, settings: Settings): string {
  if (!diff || diff.rows.length === 0) return '';
  const { rows, firstDifferent, samples } = diff;
  const snrs = rows.map(({ measure }) => snrOf(measure.agreement!));
  const fall = (at: number) => {
    const before = snrs.slice(0, at).findLast(Number.isFinite);
    return before === undefined || !Number.isFinite(snrs[at]!) ? 0 : before - snrs[at]!;
  };
  const worst = [...rows.keys()].sort((x, y) => fall(y) - fall(x)).slice(0, settings.rows);
  const first = rows.findIndex(({ value }) => value === firstDifferent);
  const shown = [...new Set([...(first < 0 ? [] : [first]), ...worst])]
    .slice(0, settings.rows)
    .sort((x, y) => x - y);
  const finite = snrs.map((snr) => (Number.isFinite(snr) ? snr : Number.NaN));
  const picture = sparkline(shrink(finite, 40), { min: 0, unicode: settings.style.unicode });
  const what = made?.inputs === 'given' ? 'samples' : 'random inputs';
  const title =
    firstDifferent === null
      ? `layers: all ${formatInteger(rows.length)} values are equal on ${samples} ${what}`
      : `layers: the models part at ${printable(firstDifferent)}`;
  const cells = shown.map((at) => {
    const { value, op, measure } = rows[at]!;
    const { exact, maxAbsError } = measure.agreement!;
    return [
      value,
      op,
      exact ? 'equal' : formatDb(snrs[at]!),
      fall(at) > 0 ? formatDb(fall(at)) : '',
      maxAbsError === null ? '' : maxAbsError.toExponential(2),
    ];
  });
  return [
    settings.style.paint('strong', title),
    table(
      [
        { header: 'value' },
        { header: 'operator' },
        right('SNR'),
        right('falls by'),
        right('max error'),
      ],
      cells,
      {
        ...settings,
        notes: [
          `from the first to the last: ${picture}`,
          ...(rows.length > shown.length
            ? [
                `the ${shown.length} largest falls of ${formatInteger(rows.length)} values, on ${samples} ${what} (--json has all)`,
              ]
            : []),
        ],
      },
    ),
  ].join('\n');
}

/** The least of neighbours, so that a fall stays visible. */
function shrink(values: readonly number[], most: number): number[] {
  if (values.length <= most) return [...values];
  return Array.from({ length: most }, (_, at) => {
    const part = values.slice(
      Math.floor((at * values.length) / most),
      Math.floor(((at + 1) * values.length) / most),
    );
    return part.reduce((a, b) => (Number.isNaN(a) || b < a ? b : a), Number.NaN);
  });
}

function latency({ latency: diff }: ModelDiff, settings: Settings): string {
  if (!diff) return '';
  const { a, b } = diff;
  const ms = (side: typeof a, op: string) =>
    side.operators.find((row) => row.op === op)?.ms ?? Number.NaN;
  const shown = (value: number) => (Number.isNaN(value) ? '' : formatMs(value));
  const ops = [...new Set([...a.operators, ...b.operators].map(({ op }) => op))];
  const most = (op: string) => Math.max(ms(a, op) || 0, ms(b, op) || 0);
  ops.sort((x, y) => most(y) - most(x));
  const rows = limited(ops, settings).map((op) => [op, shown(ms(a, op)), shown(ms(b, op))]);
  return table(
    [{ header: 'kernel' }, right('time'), right('after')],
    [...rows, ['all', formatMs(a.totalMs), formatMs(b.totalMs)]],
    {
      ...settings,
      notes: [
        'Kernels as the runtime has fused them, one thread; the latency has the time between them too.',
        ...restNotes({ kernels: ops }, settings),
      ],
    },
  );
}

function outputs({ outputs: diff }: ModelDiff, settings: Settings): string {
  if (!diff) return '';
  const rows = diff.outputs.map(({ output, dataType, nan, infinite, agreement }) => {
    if (!agreement) return [output, dataType];
    const { equal, exact, cosine, maxAbsError } = agreement;
    const share = equal ? `${(100 * equal.share).toFixed(2)} % equal` : '';
    return [
      output,
      dataType,
      equal ? share : exact ? 'equal' : formatDb(snrOf(agreement)),
      maxAbsError === null ? '' : maxAbsError.toExponential(2),
      cosine === null ? '' : cosine.toFixed(6),
      nan + infinite > 0 ? `${nan} NaN, ${infinite} infinite` : '',
    ];
  });
  const what = `${diff.samples} ${diff.inputs === 'random' ? 'random inputs' : 'samples'}`;
  const notes = [
    ...(diff.inputs === 'random'
      ? [`Outputs on ${what}: --data PATH compares on real ones, which can look very different.`]
      : [`Outputs on ${what}.`]),
    ...diff.notes,
  ];
  return table(
    [
      { header: 'output' },
      { header: 'type' },
      right('SNR'),
      right('max error'),
      right('cosine'),
      { header: 'not finite' },
    ],
    rows,
    { ...settings, notes },
  );
}
