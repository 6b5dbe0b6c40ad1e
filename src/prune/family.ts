/**
 * What a model's widths are made of, as the coupling analysis tells it to criteria, selection, cut
 * and report: families of alike units, each with every slice of every constant that leaves with a
 * unit. Types only: nothing here decides what is cut.
 *
 * A *class* is one label: indices of axes that can only be there or be gone together. A *family* is
 * all classes that touch the same set of axes of constants, so that its units are alike; an index
 * of an axis belongs to the unit of its class, or to none where it is fixed or of another family.
 */
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';

/** Where the slices of a family lie in one constant: index i along `axis` is of unit unitOf[i]. */
export interface Member {
  readonly value: Value;
  readonly axis: number;
  /** One entry per index along `axis`: a unit, or -1 for none. */
  readonly unitOf: Int32Array;
  /** A user of the constant. */
  readonly node: Node;
  /** Rows that produce the width, that consume it, or that ride along (bias, norm, scale). */
  readonly side: 'out' | 'in' | 'other';
}

/** An activation whose axis carries the units. */
export interface Carrier {
  readonly value: Value;
  readonly axis: number;
  /** One entry per index along `axis`: a unit, or -1 for none. */
  readonly unitOf: Int32Array;
}

/** A node that averages or normalizes over the width, so that a cut changes what it computes. */
export interface NormCoupling {
  readonly node: Node;
  /** Input of the node, and the axis of it, that carries the units. */
  readonly input: number;
  readonly axis: number;
  /** A rescale of its constants makes the cut exact (RMSNorm). */
  readonly exact: boolean;
}

/**
 * All units that are alike: the channels of one width, the heads of one attention. A unit is what
 * can only leave as a whole. Units of one family can differ in size (orbits of channel shuffles):
 * `unitSize` tells.
 */
export interface Family {
  /** Stable: name of the first producing node, with a suffix where one node has several. */
  readonly id: string;
  readonly units: number;
  /** 'channels', 'heads', ... as far as it is known. */
  readonly kind: string;
  readonly members: readonly Member[];
  readonly carriers: readonly Carrier[];
  readonly norms: readonly NormCoupling[];
  /** Indices of the producing axis per unit: the largest where units differ. */
  readonly unitWidth: number;
  /** Elements of constants that leave with each unit, when it is the only one that leaves. */
  readonly unitSize: Float64Array;
  /** Equal for families of the same structure (isomorphic scopes). */
  readonly structure: string;
}

/** A width that cannot be cut, and who froze it. */
export interface Frozen {
  readonly node: string;
  readonly value: string;
  readonly axis: number;
  readonly width: number;
  /** A node, or 'model output "x"'. */
  readonly by: string;
  readonly reason: string;
}

export interface Coupling {
  /** The model that was analysed: values and nodes of the families are its own. */
  readonly model: Model;
  readonly families: readonly Family[];
  readonly frozen: readonly Frozen[];
  /** Concrete dims of the values of the main graph, open ones at the size they were analysed with. */
  readonly dims: ReadonlyMap<Value, readonly number[]>;
}

/** The units to remove per family id. */
export type Cut = ReadonlyMap<string, ReadonlySet<number>>;
