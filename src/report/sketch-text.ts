/**
 * The sketch of a model as lines of text: 3 × ( Conv 16x16x3x3, Relu ). Words and layout only.
 */
import type { SketchItem } from '../measure/sketch.js';
import { printable, wrap } from './text.js';

/** Lines that are shown; a sketch beyond is cut, and says so. */
const mostLines = 40;

/** One line per stretch; what is inside of a repeated block is indented where it does not fit. */
export function sketchLines(
  items: readonly SketchItem[],
  width: number,
  { unicode = true }: { readonly unicode?: boolean | undefined } = {},
): string[] {
  const lines = linesOf(items, width, unicode ? '×' : 'x');
  const rest = lines.length - mostLines;
  return rest > 0 ? [...lines.slice(0, mostLines), `and ${rest} more lines`] : lines;
}

function linesOf(items: readonly SketchItem[], width: number, sign: string): string[] {
  const lines: string[] = [];
  let singles: string[] = [];
  const flush = () => {
    if (singles.length > 0) lines.push(...wrap(singles.join(', '), width));
    singles = [];
  };
  for (const item of items) {
    if ('op' in item) {
      singles.push(wordOf(item));
      continue;
    }
    flush();
    const inline = `${item.times} ${sign} ( ${inlineOf(item.items, sign)} )`;
    if (inline.length <= width) {
      lines.push(inline);
      continue;
    }
    const inner = linesOf(item.items, width - 4, sign);
    lines.push(`${item.times} ${sign} (`, ...inner.map((line) => `    ${line}`), ')');
  }
  flush();
  return lines;
}

function inlineOf(items: readonly SketchItem[], sign: string): string {
  return items
    .map((item) =>
      'op' in item ? wordOf(item) : `${item.times} ${sign} ( ${inlineOf(item.items, sign)} )`,
    )
    .join(', ');
}

/** 'Conv 16x3x3x3'; '..' behind dims that differ from block to block. */
function wordOf({ op, weight, varies }: Extract<SketchItem, { readonly op: string }>): string {
  if (!weight) return printable(op);
  return `${printable(op)} ${weight.join('x')}${varies ? '..' : ''}`;
}
