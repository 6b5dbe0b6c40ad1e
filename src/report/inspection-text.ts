/**
 * An inspection as text for a terminal or a file: what the model is, what it is made of, what can
 * be done with it. Words and layout only.
 */
import type { Finding } from '../measure/check.js';
import type { Inspection, QuantizationState } from '../measure/inspect.js';
import type { QuantizedForm } from '../ops/quantized-form.js';
import { abilityText } from './ability-text.js';
import { bar } from './bars.js';
import { formatBytes, formatCount, formatInteger, formatPercent } from './format.js';
import { sketchLines } from './sketch-text.js';
import { plainStyle, type Style, type Tone } from './style.js';
import { type Cell, type Column, table } from './table.js';
import { pad, printable, wrap } from './text.js';

export interface InspectionTextOptions {
  readonly width?: number | undefined;
  readonly style?: Style | undefined;
}

/** Rows of the table of operators; --json has all of them. */
const mostOperators = 12;
const mostFindings = 40;
const mostNotes = 6;
const labelWidth = 12;
const barWidth = 16;

const right = (header: string): Column => ({ header, align: 'right' });

const formWords: Readonly<Record<QuantizedForm, string>> = Object.freeze({
  qdq: 'static int8 as QDQ',
  qoperator: 'static int8 as QOperator',
  dynamic: 'dynamic int8',
  'n-bits': 'packed weights of few bits',
  'stored-integer': 'weights stored as integers',
  'stored-half': 'weights stored as 16-bit floats',
});

/** @example console.log(inspectionText(await inspectModel(model, { engine }))); */
export function inspectionText(
  inspection: Inspection,
  options: InspectionTextOptions = {},
): string {
  const { style = plainStyle, width } = options;
  const settings = { style, ...(width !== undefined && { width }) };
  const sections = [
    head(inspection, settings),
    sketch(inspection, settings),
    operators(inspection, settings),
    bytes(inspection, settings),
    inspection.nodeList && nodes(inspection.nodeList, settings),
    inspection.tensorList && tensors(inspection.tensorList, settings),
    inspection.check && findings(inspection.check, settings),
    inspection.schemes && abilityText(inspection, inspection.schemes, settings),
    notes(inspection, settings),
    next(inspection, settings),
  ];
  return sections.filter(Boolean).join('\n\n');
}

interface Settings {
  readonly style: Style;
  readonly width?: number;
}

/** 'label       text', further lines below the text. */
function line(label: string, text: string, { style, width }: Settings): string {
  const room = Math.max(20, (width ?? Number.POSITIVE_INFINITY) - labelWidth);
  const lines = wrap(printable(text), room);
  return lines
    .map((each, at) =>
      at === 0
        ? style.paint('strong', pad(label, labelWidth)) + each
        : ' '.repeat(labelWidth) + each,
    )
    .join('\n');
}

function head(inspection: Inspection, settings: Settings): string {
  const { file, fileBytes, irVersion, opsets, producer, description } = inspection;
  const { inputs, outputs, parameters, macs, functions, subgraphs, externalData } = inspection;
  const imports = Object.entries(opsets).map(([domain, version]) =>
    domain === '' ? `opset ${version}` : `${domain} ${version}`,
  );
  const lines: [string, string][] = [];
  const size = fileBytes === null ? '' : `, ${formatBytes(fileBytes)}`;
  if (file !== null) lines.push(['file', `${file}${size}`]);
  const parts = [`IR ${irVersion}`, ...imports, ...(producer ? [`by ${producer}`] : [])];
  lines.push(['format', parts.join(', ')]);
  if (description) lines.push(['about', short(description)]);
  for (const [label, entries] of [
    ['metadata', inspection.metadata],
    ['provenance', inspection.provenance],
  ] as const) {
    Object.entries(entries).forEach(([key, value], at) => {
      lines.push([at === 0 ? label : '', `${key} = ${short(value)}`]);
    });
  }
  for (const [label, ports] of [
    ['inputs', inputs],
    ['outputs', outputs],
  ] as const) {
    ports.forEach(({ name, type, optional }, at) => {
      lines.push([at === 0 ? label : '', `${name}: ${type}${optional ? ' (has a default)' : ''}`]);
    });
  }
  const work = macs ? `, ${macsText(macs)}${dimsNote(inspection)}` : '';
  lines.push(['size', `${formatCount(parameters)} parameters${work}`]);
  lines.push(['', `${formatInteger(inspection.nodes)} nodes${nested(functions, subgraphs)}`]);
  externalData.forEach(({ location, tensors: count, bytes: size }, at) => {
    const text = `${location}: ${formatInteger(count)} tensors, ${formatBytes(size)}`;
    lines.push([at === 0 ? 'external' : '', text]);
  });
  lines.push(['quantized', quantizationText(inspection.quantization)]);
  return lines.map(([label, text]) => line(label, text, settings)).join('\n');
}

const short = (text: string) => {
  const first = text.replace(/\s+/g, ' ').trim();
  return first.length > 200 ? `${first.slice(0, 199)}...` : first;
};

/** The sum is only part of the work where nodes are unknown. */
function macsText({ macs, unknown }: NonNullable<Inspection['macs']>): string {
  if (unknown.length === 0) return `${formatCount(macs)} MACs`;
  return macs === 0 ? 'MACs unknown' : `at least ${formatCount(macs)} MACs`;
}

/** Which dims the MACs are for, where the model leaves some open. */
function dimsNote({ macs, inputs }: Inspection): string {
  if (!macs || !inputs.some(({ type }) => /[[,](\?|[A-Za-z_"])/.test(type))) return '';
  const dims = Object.entries(macs.inputs).map(([name, sizes]) => `${name} [${sizes.join(',')}]`);
  return ` for ${dims.join(', ')}`;
}

function nested(functions: Inspection['functions'], subgraphs: Inspection['subgraphs']): string {
  const sum = (list: readonly { nodes: number }[]) => list.reduce((n, { nodes: k }) => n + k, 0);
  const parts: string[] = [];
  if (subgraphs.length > 0) {
    parts.push(`${subgraphs.length} subgraphs with ${formatInteger(sum(subgraphs))} of them`);
  }
  if (functions.length > 0) parts.push(`${functions.length} functions`);
  return parts.length > 0 ? `, ${parts.join(', ')}` : '';
}

/** 'static int8 as QDQ (210 nodes), weights stored as integers (53 nodes)', or 'no'. */
export function quantizationText({ forms, nodes: counts }: QuantizationState): string {
  if (forms.length === 0) return 'no';
  return forms
    .map((form) => `${formWords[form]} (${formatInteger(counts[form]!)} nodes)`)
    .join(', ');
}

function sketch({ sketch: items }: Inspection, { style, width }: Settings): string {
  if (items.length === 0) return '';
  const lines = sketchLines(items, (width ?? 100) - 2, { unicode: style.unicode });
  return [style.paint('strong', 'sketch'), ...lines.map((each) => `  ${each}`)].join('\n');
}

function operators({ operators: rows, macs }: Inspection, settings: Settings): string {
  const shown = rows.slice(0, mostOperators);
  const rest = rows.slice(mostOperators);
  const total = macs?.macs ?? 0;
  const cells = shown.map((row) => [
    row.op,
    formatInteger(row.nodes),
    row.parameters > 0 ? formatCount(row.parameters) : '',
    row.weightBytes > 0 ? formatBytes(row.weightBytes) : '',
    row.macs ? formatCount(row.macs) : row.macs === null && macs ? 'unknown' : '',
    row.macs && total > 0 ? formatPercent(row.macs / total, 1) : '',
  ]);
  const others = `and ${rest.length} more operators: ${rest.map(({ op, nodes: n }) => `${n} ${op}`).join(', ')}`;
  return table(
    [
      { header: 'operator' },
      right('nodes'),
      right('parameters'),
      right('constants'),
      ...(macs ? [right('MACs'), right('share')] : []),
    ],
    cells,
    { ...settings, notes: rest.length > 0 ? [others] : [] },
  );
}

function bytes({ byRole, byDataType, tensorBytes }: Inspection, settings: Settings): string {
  const { unicode } = settings.style;
  const row = ([name, { tensors: count, bytes: size }]: [
    string,
    Inspection['byRole']['weight'],
  ]) => [
    name,
    formatInteger(count),
    formatBytes(size),
    tensorBytes > 0 ? formatPercent(size / tensorBytes, 1) : '',
    tensorBytes > 0 ? bar(size / tensorBytes, barWidth, { unicode }).trimEnd() : '',
  ];
  const columns = (header: string) => [
    { header },
    right('tensors'),
    right('bytes'),
    right('share'),
    { header: '', flexible: false },
  ];
  const used = Object.entries(byRole).filter(([, { tensors: count }]) => count > 0);
  if (used.length === 0) return '';
  used.sort(([, a], [, b]) => b.bytes - a.bytes);
  const types = Object.entries(byDataType);
  return [
    table(columns('role'), used.map(row), settings),
    table(columns('type'), types.map(row), settings),
  ].join('\n\n');
}

function nodes(list: NonNullable<Inspection['nodeList']>, settings: Settings): string {
  const rows = list.map(({ node, op, inside, inputs, outputs, weightBytes, macs }) => [
    node,
    op,
    inputs.join(' '),
    outputs.join(' '),
    weightBytes > 0 ? formatBytes(weightBytes) : '',
    macs ? formatCount(macs) : '',
    inside ?? '',
  ]);
  const hasInside = list.some(({ inside }) => inside !== null);
  return table(
    [
      { header: 'node' },
      { header: 'operator' },
      { header: 'inputs' },
      { header: 'outputs' },
      right('constants'),
      right('MACs'),
      ...(hasInside ? [{ header: 'inside' }] : []),
    ],
    rows,
    settings,
  );
}

function tensors(list: NonNullable<Inspection['tensorList']>, settings: Settings): string {
  const rows = list.map(({ tensor, role, op, type, bytes: size, location }) => [
    tensor,
    role,
    op,
    type,
    formatBytes(size),
    location ?? '',
  ]);
  const isExternal = list.some(({ location }) => location !== null);
  return table(
    [
      { header: 'tensor' },
      { header: 'role' },
      { header: 'used by' },
      { header: 'type' },
      right('bytes'),
      ...(isExternal ? [{ header: 'file' }] : []),
    ],
    rows,
    settings,
  );
}

const tones: Readonly<Record<Finding['severity'], Tone>> = Object.freeze({
  error: 'bad',
  warning: 'warn',
  note: 'faint',
});

function findings(check: NonNullable<Inspection['check']>, settings: Settings): string {
  const { findings: list, tensors: count, notes: remarks } = check;
  const read = `${formatInteger(count)} tensors of floats were read`;
  if (list.length === 0) {
    const text = `check: nothing is wrong (${read})`;
    return [settings.style.paint('good', text), ...remarks].join('\n');
  }
  const rows = list
    .slice(0, mostFindings)
    .map(({ kind, severity, name, message }): Cell[] => [
      { text: severity, tone: tones[severity] },
      kind,
      name,
      message,
    ]);
  const rest = list.length - rows.length;
  return table(
    [
      { header: 'check', flexible: false },
      { header: 'kind', flexible: false },
      { header: 'name' },
      { header: 'what' },
    ],
    rows,
    {
      ...settings,
      notes: [
        ...(rest > 0 ? [`and ${formatInteger(rest)} more findings: --json has all`] : []),
        `${read}.`,
        ...remarks,
      ],
    },
  );
}

function notes({ notes: list, macs }: Inspection, { style, width }: Settings): string {
  const unknown = macs?.unknown ?? [];
  const ops = [...new Set(unknown.map(({ op, reason }) => `${op} (${reason})`))];
  const all = [
    ...list.slice(0, mostNotes),
    ...(list.length > mostNotes ? [`and ${list.length - mostNotes} more remarks`] : []),
    ...(ops.length > 0 ? [`MACs of ${unknown.length} nodes are unknown: ${ops.join(', ')}`] : []),
  ];
  return all
    .flatMap((note) => wrap(printable(note), width ?? Number.POSITIVE_INFINITY))
    .map((text) => style.paint('faint', text))
    .join('\n');
}

function next({ next: list }: Inspection, { style, width }: Settings): string {
  return [
    style.paint('strong', 'next'),
    ...list.flatMap(({ command, why }) => [
      `  ${style.paint('accent', printable(command))}`,
      ...wrap(why, (width ?? 1e9) - 6).map((text) => `      ${text}`),
    ]),
  ].join('\n');
}
