/**
 * Pages in a real browser: nothing fails, nothing is fetched, numbers are those of the data, axe
 * finds no serious fault in light and dark, and nothing is wider than a phone. Screenshots go to a
 * temporary folder, whose name is printed with PARE_SCREENSHOTS=1.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderReport } from '../../src/report/html/page.js';
import { fullReport } from '../../src/report/test-report.js';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const hasChromium = existsSync(executablePath);
if (!hasChromium) {
  console.warn(`skipped: no Chromium at ${executablePath} (apt-get install chromium, or CHROMIUM)`);
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const phone = { width: 390, height: 844 };
const desktop = { width: 1280, height: 900 };

describe.skipIf(!hasChromium)('a report in Chromium', () => {
  let folder: string;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pare-report-'));
    const file = join(folder, 'report.html');
    writeFileSync(file, renderReport(fullReport()));
    url = pathToFileURL(file).href;
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });

  afterAll(async () => {
    await browser?.close();
    if (process.env.PARE_SCREENSHOTS) console.warn(`screenshots: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  });

  /** Opens the page, and tells what went wrong and what was asked for while it was used. */
  async function using<T>(
    settings: { viewport: { width: number; height: number }; colorScheme: 'light' | 'dark' },
    use: (page: Page) => Promise<T>,
  ): Promise<{ result: T; faults: string[] }> {
    const context = await browser.newContext({ ...settings, reducedMotion: 'reduce' });
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('console', (message) => faults.push(message.text()));
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      if (request.url() !== url && !request.url().startsWith('data:')) faults.push(request.url());
    });
    try {
      await page.goto(url);
      return { result: await use(page), faults };
    } finally {
      await context.close();
    }
  }

  it.each([
    ['phone', phone, 'light'],
    ['desktop', desktop, 'dark'],
  ] as const)('has no fault on a %s, %o, %s', async (name, viewport, colorScheme) => {
    const { result, faults } = await using({ viewport, colorScheme }, async (page) => {
      await page.evaluate(() => {
        for (const each of document.querySelectorAll('details')) each.open = true;
      });
      await page.screenshot({
        path: join(folder, `${name}-${colorScheme}.png`),
        fullPage: true,
      });
      await page.evaluate(axe);
      return page.evaluate(async () => {
        const tool = (globalThis as unknown as { axe: AxeTool }).axe;
        const { violations } = await tool.run();
        const serious = violations.filter(({ impact }) => /serious|critical/.test(impact));
        return {
          width: document.documentElement.scrollWidth,
          violations: serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
        };
      });
    });
    expect(faults).toEqual([]);
    expect(result).toEqual({ width: viewport.width, violations: [] });
  });

  it('shows the numbers of its own data', async () => {
    const { result, faults } = await using({ viewport: desktop, colorScheme: 'light' }, (page) =>
      page.evaluate(() => {
        const report = JSON.parse(document.getElementById('report')!.textContent!);
        const lookUp = (pointer: string) =>
          pointer
            .split('/')
            .slice(1)
            .reduce((at, key) => at[key.replace(/~1/g, '/').replace(/~0/g, '~')], report);
        const figures = [...document.querySelectorAll<HTMLDataElement>('data[data-at]')];
        const wrong = figures.filter(({ value, dataset }) => Number(value) !== lookUp(dataset.at!));
        return { count: figures.length, wrong: wrong.map(({ dataset }) => dataset.at) };
      }),
    );
    expect(result.wrong).toEqual([]);
    expect(result.count).toBeGreaterThan(300);
    expect(faults).toEqual([]);
  });

  it('sorts a table by the numbers and not by their texts', async () => {
    const { result } = await using({ viewport: desktop, colorScheme: 'light' }, async (page) => {
      const section = page.locator('section[aria-labelledby=candidates]');
      const names = () => section.locator('tbody th').allTextContents();
      const header = section.locator('thead th', { hasText: 'size' });
      await header.getByRole('button').click();
      const largest = (await names())[0];
      await header.getByRole('button').click();
      return {
        largest,
        smallest: (await names())[0],
        sort: await header.getAttribute('aria-sort'),
      };
    });
    expect(result).toEqual({ largest: 'original', smallest: '✓ static', sort: 'ascending' });
  });

  it('can be used with the keyboard alone', async () => {
    const { result } = await using({ viewport: desktop, colorScheme: 'light' }, async (page) => {
      await page.keyboard.press('Tab');
      const first = await page.evaluate(() => document.activeElement?.textContent);
      const more = page.locator('section[aria-labelledby=layers] button.more');
      await more.focus();
      await page.keyboard.press('Enter');
      const rows = await page.locator('section[aria-labelledby=layers] tbody tr:visible').count();
      return { first, rows, expanded: await more.getAttribute('aria-expanded') };
    });
    expect(result).toEqual({ first: 'to the content', rows: 15, expanded: 'true' });
  });

  it('is whole on paper and without script', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false, viewport: desktop });
    const page = await context.newPage();
    await page.goto(url);
    const rows = await page.locator('section[aria-labelledby=layers] tbody tr:visible').count();
    await page.emulateMedia({ media: 'print' });
    const hasLinks = await page.locator('nav').isVisible();
    const pdf = await page.pdf();
    await context.close();
    expect([rows, hasLinks]).toEqual([15, false]);
    expect(pdf.length).toBeGreaterThan(10_000);
  });
});

interface AxeTool {
  run(): Promise<{
    violations: readonly {
      readonly id: string;
      readonly impact: string;
      readonly nodes: readonly { readonly html: string }[];
    }[];
  }>;
}
