/**
 * The result of `explain` as plain JSON: types only, versioned by `schema`. Columns are arrays with
 * one entry per unit of a layer, so that thousands of units stay small. Shares are in [0, 1],
 * accuracies are shares, losses are in nats; a number that does not exist is null.
 */

export interface Explanation {
  readonly schema: 1;
  readonly kind: 'explanation';
  readonly model: ExplainedModel;
  readonly data: ExplainedData;
  /** Of the unchanged model, on all samples. */
  readonly baseline: { readonly loss: number; readonly accuracy: number };
  /** In the order of the model. */
  readonly layers: readonly LayerExplanation[];
  /** What `scores` of the layers hold, in the order of the documentation. */
  readonly criteria: readonly CriterionNote[];
  readonly connections: Connections;
  readonly inputs: readonly InputAttribution[];
  readonly faithfulness: Faithfulness | null;
  /** Every sample that something above refers to, by index. */
  readonly samples: readonly SampleCard[];
  /** What was left out: a layer, a score, a part of the explanation, and why. */
  readonly skipped: readonly { readonly what: string; readonly reason: string }[];
  readonly notes: readonly string[];
  readonly seed: number;
}

export interface ExplainedModel {
  readonly name: string;
  /** What is predicted: a class per sample, or a token per position. */
  readonly task: 'classification' | 'tokens';
  /** Value whose numbers are taken as logits or log-probabilities. */
  readonly output: string;
  readonly classes: number;
  /** By class; null where the data has no names. */
  readonly classNames: readonly string[] | null;
  /** Text of the tokens that occur in this explanation, by id; null without a vocabulary. */
  readonly tokens: Readonly<Record<string, string>> | null;
}

export interface ExplainedData {
  readonly name: string;
  readonly samples: number;
  readonly fingerprint: string;
  /** 'predicted': there are no labels, the predictions of the unchanged model stand for them. */
  readonly labels: 'given' | 'predicted' | 'next-token';
}

export interface CriterionNote {
  readonly name: string;
  readonly summary: string;
  /** Unit of the score, such as 'nats'; null where it only ranks. */
  readonly unit: string | null;
  /** Scores of different layers compare as they are; others are divided by the mean of their layer. */
  readonly comparable: boolean;
  /** Samples that it looked at; 0 for one that looks at weights only. */
  readonly samples: number;
}

export interface LayerExplanation {
  /** Label of the node that makes the units; unique. */
  readonly id: string;
  readonly op: string;
  /** Name of its first weight in the model; null for a layer without one. */
  readonly weight: string | null;
  /** The value that is looked at: behind normalization and activation of that node. */
  readonly value: string;
  readonly axis: number;
  readonly kind: 'channels' | 'neurons' | 'heads';
  readonly units: number;
  /** Indices along the axis per unit: 1, or the width of a head. */
  readonly unitWidth: number;
  /** Sizes of the other axes but the batch, such as [32, 32]: where in a sample. */
  readonly positions: readonly number[];
  /** By criterion, an entry per unit: high for what matters. */
  readonly scores: Readonly<Record<string, readonly number[]>>;
  readonly statistics: UnitStatistics;
  /** Units whose output is the same number at every place of every sample. */
  readonly dead: readonly number[];
  readonly ablation: Ablation | null;
  readonly exemplars: Exemplars;
  /** Units by classes: mean output on the samples of each class. Null above 100 classes. */
  readonly classMeans: readonly (readonly number[])[] | null;
  /** Per unit the classes with the highest mean output, the highest first, three at most. */
  readonly serves: readonly (readonly number[])[];
  readonly redundancy: Redundancy | null;
}

/** Over all samples and places; one entry per unit. */
export interface UnitStatistics {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
  readonly smallest: readonly number[];
  readonly largest: readonly number[];
  /** Share of outputs that are exactly zero. */
  readonly zeroShare: readonly number[];
  /**
   * Share of outputs within 1 % of the span of a bound of the activation other than zero; null where
   * the activation has none.
   */
  readonly saturatedShare: readonly number[] | null;
}

/** The output of one unit replaced by its mean, everything else as it is. One entry per unit. */
export interface Ablation {
  readonly samples: number;
  /** Loss with the unit replaced minus loss of the whole model, in nats: positive when it helps. */
  readonly loss: readonly number[];
  /** Accuracy with the unit replaced minus that of the whole model. */
  readonly accuracy: readonly number[];
  /** Units by classes: change of accuracy on the samples of each class. Null above 100 classes. */
  readonly perClass: readonly (readonly (number | null)[])[] | null;
}

/** Samples that excite a unit: one list per unit, entries are indices of samples of the data. */
export interface Exemplars {
  /** Highest output first. */
  readonly most: readonly (readonly Exemplar[])[];
  /** Lowest peak first. */
  readonly least: readonly (readonly Exemplar[])[];
}

export interface Exemplar {
  /** Index of the sample in the data, see `samples`. */
  readonly sample: number;
  /** Highest output of the unit on it. */
  readonly value: number;
  /** Flat place of it in `positions`. */
  readonly place: number;
}

export interface Redundancy {
  /** Per unit: the other unit of the layer that says most nearly the same, -1 for none. */
  readonly nearest: readonly number[];
  /** Pearson correlation of the two over samples and places; its sign stays. */
  readonly correlation: readonly number[];
}

export interface Connections {
  /** From layer to layer that reads it directly; the model's input is layer 'input'. */
  readonly blocks: readonly BlockConnection[];
  /** Strongest paths to each output that was asked for. */
  readonly paths: readonly PathsTo[];
}

export interface BlockConnection {
  readonly from: string;
  readonly to: string;
  /** Frobenius norm of the weights between the two, normalization folded in. */
  readonly norm: number;
  /** Share that `from` has in everything that `to` reads: weights times root mean square of what they read. */
  readonly share: number;
  /** Strongest single connections, by share of what the target unit reads. */
  readonly strongest: readonly {
    readonly from: number;
    readonly to: number;
    readonly share: number;
  }[];
}

export interface PathsTo {
  /** Class (or token) at the end. */
  readonly output: number;
  readonly paths: readonly {
    /** From the input to the output: layer and unit. */
    readonly steps: readonly { readonly layer: string; readonly unit: number }[];
    /** Product of the shares along it. */
    readonly share: number;
  }[];
}

/** Which parts of an input speak for a class, by one method. */
export interface InputAttribution {
  /** Index of the sample in the data. */
  readonly sample: number;
  readonly target: number;
  readonly method: 'saliency' | 'gradient-input' | 'integrated-gradients';
  readonly input: string;
  /**
   * Dims of the input without the batch, and one number per element. Of long last axes blocks are
   * summed, so that neither is above 64, and a signal not above 160.
   */
  readonly dims: readonly number[];
  readonly values: readonly number[];
  /** Sum of the values against the change of the output from the baseline; null but for integrated gradients. */
  readonly completenessError: number | null;
}

/** An estimate over seeds with its 95 % interval (Student's t). */
export interface Estimate {
  readonly mean: number;
  readonly interval: readonly [low: number, high: number];
  readonly perSeed: readonly number[];
}

export interface Faithfulness {
  /** Samples that the curves were measured on; none of them was seen by a criterion. */
  readonly samples: number;
  /** Units of all layers that were ranked together. */
  readonly units: number;
  readonly seeds: readonly number[];
  /** Shares of units that are replaced by their mean, from 0 to 1: the places of all curves. */
  readonly shares: readonly number[];
  /** Random orders, one curve per seed. */
  readonly random: readonly DeletionCurve[];
  /** Best first. */
  readonly criteria: readonly CriterionFaithfulness[];
  /** Name of the first of `criteria`. */
  readonly best: string;
  readonly agreement: {
    /** The rows and columns of `spearman`. */
    readonly criteria: readonly string[];
    /** Rank correlation within layers, weighted by their units. */
    readonly spearman: readonly (readonly number[])[];
  };
  /** Yeh et al. (2019) for the attributions of inputs. */
  readonly inputs: readonly {
    readonly method: InputAttribution['method'];
    readonly samples: number;
    readonly infidelity: number;
    readonly sensitivity: number;
  }[];
}

export interface CriterionFaithfulness {
  readonly name: string;
  readonly mostFirst: DeletionCurve;
  readonly leastFirst: DeletionCurve;
  /** Area between the curves least first and most first (accuracy): what the criterion tells apart. */
  readonly area: Estimate;
  /** Areas between the random curve and each: random minus most first, least first minus random. */
  readonly overRandom: { readonly mostFirst: Estimate; readonly leastFirst: Estimate };
}

/** One number per share. */
export interface DeletionCurve {
  readonly accuracy: readonly number[];
  readonly loss: readonly number[];
}

export interface SampleCard {
  readonly index: number;
  readonly id: string;
  /** Null for a sample without one. */
  readonly label: number | null;
  readonly predicted: number;
  /** -ln p of the label (of the prediction where there is none), in nats. */
  readonly loss: number;
  readonly preview: Preview | null;
}

/** What the model was fed, small enough to show. */
export type Preview =
  | {
      readonly kind: 'image';
      readonly width: number;
      readonly height: number;
      readonly channels: 1 | 3;
      /** Base64 of bytes, row by row, channels last; scaled from the smallest to the largest number. */
      readonly pixels: string;
    }
  | { readonly kind: 'tokens'; readonly ids: readonly number[] }
  /** Lowest and highest number of equal stretches. */
  | {
      readonly kind: 'signal';
      readonly length: number;
      readonly low: readonly number[];
      readonly high: readonly number[];
    };
