/**
 * Which classes a statistic is taken over, so that cutting them changes more than their own part:
 * means and normalizations always (a rescale can make up for a root mean square), sums where what
 * is cut was not zero to begin with.
 */
import type { Value } from '../graph/value.js';
import { couplingOf } from '../ops/coupling.js';
import type { NormCoupling } from './family.js';
import type { Labels } from './labels.js';
import type { Propagation } from './propagate.js';

/** By class (its root): the nodes that take a statistic over it. */
export function findStatistics(found: Propagation): Map<number, NormCoupling[]> {
  const byRoot = new Map<number, NormCoupling[]>();
  const zeros = new ZeroTracker(found);
  const add = (root: number, norm: NormCoupling) => {
    const list = byRoot.get(root);
    if (list) list.push(norm);
    else byRoot.set(root, [norm]);
  };
  for (const { node, input, axis, exact } of found.statistics) {
    const labels = found.labels.get(node.input(input))?.[axis];
    if (!labels) continue;
    const roots = freeRoots(labels, found);
    const isExact = exact && [...roots].every((root) => zeros.isZero(node.input(input), root));
    const norm = { node, input, axis, exact: isExact };
    for (const root of roots) add(root, norm);
  }
  for (const { node, labels, inputs, need } of found.sums) {
    const values = inputs.map((input) => node.input(input));
    // The axis of a constant is cut with it.
    if (need === 'any' && values.some(({ constant }) => constant)) continue;
    let norm: NormCoupling | undefined;
    for (const root of freeRoots(labels, found)) {
      const isZero = (value: Value) => zeros.isZero(value, root);
      if (need === 'any' ? values.some(isZero) : values.every(isZero)) continue;
      norm ??= { node, input: inputs[0]!, axis: axisIn(found, values[0]!, labels), exact: false };
      add(root, norm);
    }
  }
  return byRoot;
}

function freeRoots(labels: Labels, found: Propagation): Set<number> {
  const roots = new Set<number>();
  for (const label of labels) {
    const root = found.sets.find(label);
    if (!found.sets.isFixed(root)) roots.add(root);
  }
  return roots;
}

function axisIn(found: Propagation, value: Value, labels: Labels): number {
  const root = found.sets.find(labels[0]!);
  const axes = found.labels.get(value) ?? [];
  return axes.findIndex((own) => own.some((label) => found.sets.find(label) === root));
}

/** Whether a value is zero at the indices of a class when the constants of the class are. */
class ZeroTracker {
  readonly #found: Propagation;
  readonly #roots = new Map<Value, Set<number>>();
  readonly #known = new Map<Value, Map<number, boolean>>();

  constructor(found: Propagation) {
    this.#found = found;
  }

  isZero(value: Value, root: number): boolean {
    const known = this.#known.get(value) ?? new Map<number, boolean>();
    this.#known.set(value, known);
    const before = known.get(root);
    if (before !== undefined) return before;
    const result = this.#decide(value, root);
    known.set(root, result);
    return result;
  }

  #decide(value: Value, root: number): boolean {
    if (!this.#carries(value, root)) return false;
    if (value.constant) return true;
    const { producer } = value;
    const zeros = producer && couplingOf(producer.op)?.zeros;
    if (!producer || !zeros) return false;
    const at = (input: number) => {
      const own = producer.inputs[input];
      return own !== undefined && this.isZero(own, root);
    };
    const present = (inputs: Iterable<number>) =>
      [...inputs].filter((input) => producer.inputs[input] !== undefined);
    if (zeros === 'all') return present(producer.inputs.keys()).every(at);
    return present(zeros.all ?? []).every(at) && (zeros.any === undefined || zeros.any.some(at));
  }

  #carries(value: Value, root: number): boolean {
    let roots = this.#roots.get(value);
    if (!roots) {
      roots = new Set();
      for (const labels of this.#found.labels.get(value) ?? []) {
        for (const label of labels) roots.add(this.#found.sets.find(label));
      }
      this.#roots.set(value, roots);
    }
    return roots.has(root);
  }
}
