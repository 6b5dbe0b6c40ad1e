/**
 * The nodes of a graph in order, as a doubly linked list: insert and remove anywhere in constant
 * time, and a loop over it stays valid when it removes the node it is at or inserts around it.
 */
import type { Node } from './node.js';

export class NodeList implements Iterable<Node> {
  #first: Node | undefined;
  #last: Node | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Node | undefined {
    return this.#first;
  }

  get last(): Node | undefined {
    return this.#last;
  }

  *[Symbol.iterator](): Generator<Node> {
    let node = this.#first;
    while (node) {
      // Read ahead: the body of the loop may remove the node, and a new node right behind it
      // is the loop's own product, which it does not want to see again.
      const next: Node | undefined = node.next;
      yield node;
      // When `next` itself was removed meanwhile, go on from the node if that is still here.
      node = next?.graph || !next ? next : node.graph ? node.next : this.#skip(next);
    }
  }

  append(node: Node): void {
    this.#link(node, this.#last, undefined);
  }

  insertBefore(node: Node, anchor: Node): void {
    this.#link(node, anchor.previous, anchor);
  }

  insertAfter(node: Node, anchor: Node): void {
    this.#link(node, anchor, anchor.next);
  }

  remove(node: Node): void {
    if (node.previous) node.previous.next = node.next;
    else this.#first = node.next;
    if (node.next) node.next.previous = node.previous;
    else this.#last = node.previous;
    this.#size--;
    // node.next stays set, so that a loop standing at a removed node finds its way.
  }

  /** Puts the nodes into this order; it must hold exactly the nodes of the list. */
  reorder(nodes: readonly Node[]): void {
    this.#first = this.#last = undefined;
    this.#size = 0;
    for (const node of nodes) this.append(node);
  }

  #link(node: Node, previous: Node | undefined, next: Node | undefined): void {
    node.previous = previous;
    node.next = next;
    if (previous) previous.next = node;
    else this.#first = node;
    if (next) next.previous = node;
    else this.#last = node;
    this.#size++;
  }

  #skip(node: Node | undefined): Node | undefined {
    while (node && !node.graph) node = node.next;
    return node;
  }
}
