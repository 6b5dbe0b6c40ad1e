/** Why a criterion was chosen for pruning: what each keeps, as a table. */
import type { CriterionChoice } from '../explain/choose-criterion.js';
import { bar } from './bars.js';
import { formatPercent } from './format.js';
import { type TableOptions, table } from './table.js';

export function criterionChoiceText(choice: CriterionChoice, options: TableOptions): string {
  const { criterion, rows, shares, skipped, samples, labels } = choice;
  const unicode = options.style?.unicode ?? true;
  const word = labels === 'predicted' ? 'unchanged predictions' : 'accuracy';
  return table(
    [
      { header: 'criterion', flexible: false },
      ...shares.slice(1).map((share) => ({
        header: formatPercent(share, 0),
        align: 'right' as const,
      })),
      { header: 'mean', align: 'right' },
      { header: '', flexible: false },
    ],
    rows.map(({ criterion: name, accuracy, kept }) => [
      name,
      ...accuracy.slice(1).map((share) => formatPercent(share, 1)),
      formatPercent(kept, 1),
      bar(kept, 10, { unicode }),
    ]),
    {
      ...options,
      notes: [
        `${word} with that share of the units at zero, on ${samples} samples that no criterion saw; most faithful here: ${criterion}`,
        ...skipped.map(({ criterion: name, reason }) => `${name} takes no part: ${reason}`),
      ],
    },
  );
}
