import { describe, expect, it } from 'vitest';
import { parseReport, printReport, type Report, type ReportPart } from '../data/report.js';
import { fullReport, hostile } from '../test-report.js';
import { renderReport } from './page.js';
import { sections } from './sections.js';
import { type Format, formats, withoutUnit } from './show.js';

/** Every `data` element of a page: its attributes and its text. */
function figuresOf(page: string) {
  const pattern =
    /<data value="([^"]*)" data-at="([^"]*)" data-format="([^"]*)"( data-bare)?>([^<]*)<\/data>/g;
  return [...page.matchAll(pattern)].map(([, value, at, format, bare, text]) => ({
    value: Number(value),
    at: at!,
    format: format as Format,
    bare: bare !== undefined,
    text: text!,
  }));
}

function lookUp(report: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'))
    .reduce((at, key) => (at as Record<string, unknown>)[key], report);
}

describe('a page', () => {
  const report = fullReport();
  const page = renderReport(report);

  it('shows numbers that are those of the data, at their place', () => {
    const figures = figuresOf(page);
    expect(figures.length).toBe(page.split('<data ').length - 1);
    expect(figures.length).toBeGreaterThan(300);
    for (const { value, at, format, bare, text } of figures) {
      const expected = formats[format](value);
      expect([at, lookUp(report, at)]).toEqual([at, value]);
      expect([at, text]).toEqual([at, bare ? withoutUnit(expected) : expected]);
    }
  });

  it('holds its data as they were given', () => {
    const embedded = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(
      page,
    )![1]!;
    expect(parseReport(embedded)).toEqual(report);
  });

  it('shows names that hold markup as text', () => {
    const withoutScripts = page.replace(/<script[\s>].*?<\/script>/gs, '');
    expect(page.match(/<script/g)).toHaveLength(2);
    expect(withoutScripts).not.toMatch(/<img src=x/);
    expect(withoutScripts).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
    // Marks that turn the direction of text around are made visible.
    expect(withoutScripts).not.toContain('\u202e');
    expect(withoutScripts).toContain('\\u202egnp');
  });

  it('marks the token that excites a unit, and where in a picture and a signal', () => {
    expect(page).toContain('<mark>&lt;script&gt;');
    expect(page).toMatch(/<use href="#sample-\d+"><\/use><circle class="ring under"/);
    for (const [, at] of page.matchAll(/<use href="#sample-(\d+)">/g))
      expect(page.split(`id="sample-${at}"`)).toHaveLength(2);
  });

  it('asks nothing of the network', () => {
    expect(page.replace(/<script type="application\/json".*?<\/script>/s, '')).not.toMatch(
      /(?:src|href)="(?!#|data:image\/png;base64,)/,
    );
  });

  it('names every section once, and links it', () => {
    for (const { id, title } of sections) {
      expect(page.split(`id="${id}"`)).toHaveLength(2);
      expect(page).toContain(`<a href="#${id}">${title.replace(/'/g, '&#39;')}</a>`);
    }
  });

  const parts = Object.keys(report).filter(
    (key) =>
      !['schema', 'kind', 'title', 'provenance', 'models', 'summary', 'skipped'].includes(key),
  ) as ReportPart[];

  it.each(parts)('does without %s', (part) => {
    const without: Report = { ...report, [part]: null };
    expect(parseReport(printReport(without))).toEqual(without);
    const smaller = renderReport(without);
    expect(smaller.length).toBeLessThan(page.length);
    expect(figuresOf(smaller).some(({ at }) => at.startsWith(`/${part}/`))).toBe(false);
  });

  it('stays small', () => {
    expect(page.length).toBeLessThan(200_000);
  });
});

describe('report data', () => {
  it.each([
    ['{', /no JSON/],
    [JSON.stringify({ ...fullReport(), schema: 2 }), /"schema" is missing or wrong/],
    [JSON.stringify({ ...fullReport(), models: [{ name: hostile }] }), /"models.0.file"/],
  ])('that are no report are refused: %#', (text, message) => {
    expect(() => parseReport(text)).toThrow(message);
  });

  it('that JSON cannot hold are refused', () => {
    const report = fullReport();
    report.skipped.groups[0]!.count = Number.NaN;
    expect(() => printReport(report)).toThrow('"count" is NaN');
  });
});
