/**
 * What a section of a page is: a heading, one sentence that says how to read it, and a function
 * from its part of the report's data to markup. A section whose part is missing is left out.
 */
import type { Report } from '../data/report.js';
import type { Located } from './located.js';
import type { Html } from './markup.js';

export interface Section {
  /** Of the heading, for links. */
  readonly id: string;
  readonly title: string;
  /** Undefined where the report has nothing for it. */
  render(report: Located<Report>): Html | undefined;
}

/**
 * @example
 * export const training = defineSection({
 *   id: 'training',
 *   title: 'Training',
 *   part: (report) => report.maybe('training'),
 *   render: (training) => html`...`,
 * });
 */
export function defineSection<Part>(definition: {
  readonly id: string;
  readonly title: string;
  readonly part: (report: Located<Report>) => Located<Part> | undefined;
  readonly render: (part: Located<Part>, report: Located<Report>) => Html | undefined;
}): Section {
  const { id, title, part, render } = definition;
  return Object.freeze({
    id,
    title,
    render(report: Located<Report>) {
      const found = part(report);
      return found && render(found, report);
    },
  });
}
