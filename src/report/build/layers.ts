/** What was measured layer by layer, as parts of a report. Converts, measures nothing. */

import type { ActivationGrid } from '../../measure/activation-grids.js';
import { snrOf } from '../../measure/compare-outputs.js';
import type { LayerAgreements } from '../../measure/layer-agreement.js';
import type { Bins, LayerWeight } from '../../measure/layer-weights.js';
import type { ValueGrid } from '../../measure/value-grids.js';
import type { SensitivityReport } from '../../optimize/sensitivity.js';
import type { PlanDetails } from '../../prune/plan-details.js';
import type { Histogram } from '../data/common.js';
import type {
  ActivationData,
  Grid,
  LayersData,
  LayerWeights,
  SensitivityData,
  Widths,
} from '../data/layers.js';
import { worstAgreement } from './evaluations.js';

export function layersPart(found: LayerAgreements, inputs: 'data' | 'random'): LayersData {
  const { samples, rows, firstDifferent, unpaired } = found;
  let largestFall: LayersData['largestFall'] = null;
  let before: number | undefined;
  for (const { value, measure } of rows) {
    const snr = snrOf(measure.agreement!);
    const fallDb = before === undefined ? 0 : before - snr;
    if (Number.isFinite(fallDb) && fallDb > (largestFall?.fallDb ?? 0)) {
      largestFall = { value, fallDb };
    }
    if (Number.isFinite(snr)) before = snr;
  }
  return {
    ...{ samples, inputs, firstDifferent, largestFall },
    unpaired: unpaired.length,
    rows: rows.map(({ value, node, op, measure }) => ({
      ...{ value, node, op },
      agreement: worstAgreement([measure])!,
      maxAbsError: measure.agreement!.maxAbsError,
    })),
  };
}

export function weightsPart(rows: readonly LayerWeight[]): LayerWeights[] {
  return rows.map(({ other, dims, histogram, ...row }) => ({
    ...row,
    dims: [...dims],
    dimsAfter: other && [...other.dims],
    typeAfter: other?.type ?? null,
    bytesAfter: other?.bytes ?? null,
    zerosAfter: other?.zeros ?? null,
    agreement:
      other && (other.exact || other.snrDb !== null)
        ? { snrDb: other.snrDb, exact: other.exact }
        : null,
    histogram: bins(histogram),
    histogramAfter: bins(other?.histogram),
    grid: grid(other?.grid),
  }));
}

export function activationsPart(rows: readonly ActivationGrid[]): ActivationData[] {
  return rows.map(({ node, histogram, ...row }) => ({
    ...row,
    node: node ?? '',
    histogram: bins(histogram)!,
    grid: grid(row.grid),
  }));
}

function bins(histogram: Bins | null | undefined): Histogram | null {
  return histogram ? { ...histogram, counts: [...histogram.counts] } : null;
}

function grid(found: ValueGrid | null | undefined): Grid | null {
  return found ? { ...found, stepRange: [found.stepRange[0], found.stepRange[1]] } : null;
}

export function sensitivityPart({ samples, nodes, tradeOff }: SensitivityReport): SensitivityData {
  const finite = (value: number | null) => (Number.isFinite(value) ? value : null);
  return {
    samples,
    nodes: nodes.map((row) => ({
      ...row,
      aloneSnr: finite(row.aloneSnr),
      othersSnr: finite(row.othersSnr),
    })),
    tradeOff: tradeOff.map(({ kept, sizeBytes, evaluation }) => ({
      kept,
      bytes: sizeBytes,
      snrDb: evaluation ? (worstAgreement(evaluation.outputs)?.snrDb ?? null) : null,
      dropPoints: evaluation?.drop?.points ?? null,
      flips: evaluation?.flips?.share ?? null,
    })),
  };
}

export function widthsPart({ rows, before, after, proof }: PlanDetails): Widths {
  return {
    rows: rows.map(({ family, kind, nodes, widthBefore, widthAfter, left }) => ({
      ...{ family, kind, left },
      nodes: nodes.length,
      before: widthBefore,
      after: widthAfter,
    })),
    macsBefore: before.macs,
    macsAfter: after.macs,
    parametersBefore: before.parameters,
    parametersAfter: after.parameters,
    proofError: proof?.relativeError ?? null,
  };
}
