/**
 * Models as text: the ONNX textual syntax, laid out so that a line is a node and a text diff is
 * a model diff. docs/text-form.md tells what is added to that syntax. Does not change the model.
 */

import type { Attribute } from './attribute.js';
import { attributeHead, attributeValue, sparseTexts } from './attribute-text.js';
import type { Graph } from './graph.js';
import type { Model, ModelFunction } from './model.js';
import type { Node } from './node.js';
import { contentText, type WeightDetail } from './tensor-text.js';
import { nameText, operatorText, quotedText } from './text-literals.js';
import { dimsText, typeText } from './type-text.js';
import type { Value } from './value.js';
import { sameType, tensorType } from './value-type.js';

export interface PrintOptions {
  /** Default 'short'. Only 'full' can be parsed again when there are large weights. */
  readonly weights?: WeightDetail;
}

/** A list of inputs or outputs longer than this goes over several lines. */
const lineWidth = 96;

/**
 * The whole model. Reads weights unless they are left out; throws `io` where one is missing.
 * @example
 * console.log(await printModel(model, { weights: 'none' }));
 */
export async function printModel(model: Model, options: PrintOptions = {}): Promise<string> {
  const detail = options.weights ?? 'short';
  const parts = [header(headerOf(model)), await graphText(model.graph, '', detail)];
  for (const fn of model.functions) parts.push('', await functionText(fn, detail));
  return `${parts.join('\n')}\n`;
}

/** One graph with the subgraphs inside it, without opsets and functions. */
export async function printGraph(graph: Graph, options: PrintOptions = {}): Promise<string> {
  return `${await graphText(graph, '', options.weights ?? 'short')}\n`;
}

/** One node on a line of its own, several lines when it holds subgraphs. */
export async function printNode(node: Node, options: PrintOptions = {}): Promise<string> {
  return nodeText(node, '', options.weights ?? 'short');
}

function headerOf(model: Model): [string, string][] {
  const rows: [string, string][] = [
    ['ir_version', String(model.irVersion)],
    ['opset_import', opsetsText(model.opsets)],
  ];
  const { producerName, producerVersion, domain, modelVersion, docString } = model.origin ?? {};
  if (producerName) rows.push(['producer_name', quotedText(producerName)]);
  if (producerVersion) rows.push(['producer_version', quotedText(producerVersion)]);
  if (domain) rows.push(['domain', quotedText(domain)]);
  if (modelVersion) rows.push(['model_version', String(modelVersion)]);
  if (docString) rows.push(['doc_string', quotedText(docString)]);
  if (model.metadata.size > 0) rows.push(['metadata_props', pairsText(model.metadata)]);
  return rows;
}

function header(rows: readonly [string, string][]): string {
  return block(
    '<',
    rows.map(([key, value]) => `${key}: ${value}`),
    '>',
    '',
  );
}

function opsetsText(opsets: ReadonlyMap<string, number>): string {
  return `[${Array.from(opsets, ([domain, version]) => `${quotedText(domain)} : ${version}`).join(', ')}]`;
}

function pairsText(pairs: Iterable<readonly [string, string]>): string {
  return `[${Array.from(pairs, ([key, value]) => `${quotedText(key)}: ${quotedText(value)}`).join(', ')}]`;
}

async function functionText(fn: ModelFunction, detail: WeightDetail): Promise<string> {
  const rows: [string, string][] = [['domain', quotedText(fn.domain)]];
  if (fn.overload !== '') rows.push(['overload', quotedText(fn.overload)]);
  rows.push(['opset_import', opsetsText(fn.body.opsets ?? new Map())]);
  if (fn.origin?.docString) rows.push(['doc_string', quotedText(fn.origin.docString)]);
  const attributes = [
    ...fn.attributes.map(nameText),
    ...(await attributeTexts(fn.defaults, '', detail)),
  ];
  const list = attributes.length > 0 ? ` <${attributes.join(', ')}>` : '';
  return `${header(rows)}\n${await scopeText(`${nameText(fn.name)}${list}`, fn.body, '', detail)}`;
}

function graphText(graph: Graph, pad: string, detail: WeightDetail): Promise<string> {
  return scopeText(nameText(graph.name), graph, pad, detail);
}

async function scopeText(
  head: string,
  graph: Graph,
  pad: string,
  detail: WeightDetail,
): Promise<string> {
  const inputs: string[] = [];
  for (const input of graph.inputs) {
    const port = portText(input);
    inputs.push(
      holdsDefault(input) ? `${port} = ${await contentText(input.initializer!, detail)}` : port,
    );
  }
  const ports = `${listText(inputs, pad)} => ${listText(graph.outputs.map(portText), pad)}`;
  const extras = await extraTexts(graph, detail);
  const lines = [`${head} ${ports}`];
  if (extras.length > 0) lines.push(block('<', extras, '>', pad));
  lines.push('{');
  for (const node of graph.nodes) lines.push(`  ${await nodeText(node, `${pad}  `, detail)}`);
  return [...lines, '}'].join(`\n${pad}`);
}

/** What stands between the signature and the nodes: initializers, types, annotations. */
async function extraTexts(graph: Graph, detail: WeightDetail): Promise<string[]> {
  const texts: string[] = [];
  // Inputs first and sparse last, as a reader meets them: so the order survives a round trip.
  const inputs = new Set(graph.inputs);
  const constants = [...graph.inputs, ...[...graph.values].filter((value) => !inputs.has(value))];
  for (const value of constants) {
    const { initializer } = value;
    if (!initializer || holdsDefault(value)) continue;
    const type = `${initializer.dataType}${dimsText(initializer.dims)}`;
    texts.push(`${type} ${nameText(value.name)} = ${await contentText(initializer, detail)}`);
  }
  for (const value of constants) {
    if (!value.sparse || value.initializer) continue;
    const { type, data } = await sparseTexts(value.sparse, detail);
    texts.push(`${type} ${nameText(value.name)} = ${data}`);
  }
  for (const value of describedValues(graph)) texts.push(portText(value));
  for (const { value, parameters } of graph.quantizationAnnotations) {
    const pairs = parameters.map(([key, parameter]) => [key, String(parameter)] as const);
    texts.push(`@${nameText(value.name)} : ${pairsText(pairs)}`);
  }
  return texts;
}

/** Values whose type the signature does not show, nor their content. */
function describedValues(graph: Graph): Value[] {
  const shown = new Set([...graph.inputs, ...graph.outputs]);
  const described = [...graph.values].filter(
    (value) =>
      (value.sparse || value.initializer) &&
      !(value.initializer && sameType(value.type, contentType(value))),
  );
  for (const node of graph.nodes) {
    for (const output of node.outputs) if (output) described.push(output);
  }
  return described.filter((value) => value.type && !shown.has(value));
}

/** The type that follows from an initializer. */
function contentType({ initializer }: Value) {
  return initializer && tensorType(initializer.dataType, initializer.dims);
}

/** An input whose content fits its declared type exactly shows it in the signature. */
function holdsDefault(value: Value): boolean {
  return (
    value.initializer !== undefined && value.isInput && sameType(value.type, contentType(value))
  );
}

function portText(value: Value): string {
  return value.type ? `${typeText(value.type)} ${nameText(value.name)}` : nameText(value.name);
}

async function nodeText(node: Node, pad: string, detail: WeightDetail): Promise<string> {
  const label = node.name === '' ? '' : `[${nameText(node.name)}] `;
  const names = (values: readonly (Value | undefined)[]) =>
    values.map((value) => (value ? nameText(value.name) : '""')).join(', ');
  const outputs = node.outputs.length > 0 ? `${names(node.outputs)} ` : '';
  const head = `${label}${outputs}= ${operatorText(node.domain, node.opType, node.overload)}`;
  const inputs = `(${names(node.inputs)})`;
  if (node.attributes.size === 0) return `${head}${inputs}`;
  if (node.subgraphs.length === 0) {
    const attributes = await attributeTexts(node.attributes, pad, detail);
    return `${head}<${attributes.join(', ')}>${inputs}`;
  }
  const attributes = await attributeTexts(node.attributes, `${pad}  `, detail);
  return `${head}${inputs} ${block('<', attributes, '>', pad)}`;
}

/** 'name = value' of every attribute, by name. */
async function attributeTexts(
  attributes: ReadonlyMap<string, Attribute>,
  pad: string,
  detail: WeightDetail,
): Promise<string[]> {
  const texts: string[] = [];
  const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, attribute] of sorted) {
    texts.push(`${attributeHead(name, attribute)} = ${await valueText(attribute, pad, detail)}`);
  }
  return texts;
}

async function valueText(attribute: Attribute, pad: string, detail: WeightDetail): Promise<string> {
  if (attribute.type === 'graph') return graphText(attribute.value, pad, detail);
  if (attribute.type !== 'graphs') return attributeValue(attribute, detail);
  const graphs: string[] = [];
  for (const graph of attribute.value) graphs.push(await graphText(graph, pad, detail));
  return `[${graphs.join(', ')}]`;
}

function listText(items: readonly string[], pad: string): string {
  const line = `(${items.join(', ')})`;
  return line.length <= lineWidth ? line : block('(', items, ')', pad);
}

/** Items on lines of their own between brackets, the first line without padding. */
function block(open: string, items: readonly string[], close: string, pad: string): string {
  return `${open}\n${items.map((item) => `${pad}  ${item}`).join(',\n')}\n${pad}${close}`;
}
