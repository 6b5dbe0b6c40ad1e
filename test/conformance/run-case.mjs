/**
 * Runs one model on the values of a case. JavaScript can neither feed nor read sequences,
 * optionals and some element types, so those become constants and operators of the model that is
 * run: inputs are made by SequenceConstruct or Optional, outputs are taken apart or cast.
 */

/** Element types that cross the border of onnxruntime-node as they are. */
const portable = new Set(
  'float double float16 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool string'.split(' '),
);

/** What a type is read as, where it has no JavaScript array. */
const readAs = { bfloat16: 'float', int4: 'int8', uint4: 'uint8', int2: 'int8', uint2: 'uint8' };

/** Outputs of the model as { name, dims, elements }, beside what the case expects of each. */
export async function runCase(pare, engine, source, inputs, expected) {
  const model = pare.cloneModel(source);
  const feeds = feedInputs(pare, model, inputs);
  const wanted = readOutputs(pare, model, expected);
  const session = await engine.createSession({ parts: await pare.encode(model) }, { threads: 1 });
  try {
    const results = await session.run(feeds);
    return Promise.all(
      wanted.map(async ({ name, output, tensor }) => ({
        actual: elementsOf(pare, results[output]),
        expected: await contentOf(pare, tensor),
        name,
      })),
    );
  } finally {
    await session.release();
  }
}

function feedInputs(pare, model, inputs) {
  const { graph } = model;
  const feeds = {};
  const ports = graph.inputs.filter((input) => !input.initializer);
  inputs.forEach((value, at) => {
    const port = ports[at];
    if (value.tensor && portable.has(value.tensor.dataType)) {
      feeds[port.name] = value.tensor;
      return;
    }
    graph.inputs.splice(graph.inputs.indexOf(port), 1);
    if (value.tensor) port.initializer = value.tensor;
    else makeValue(pare, graph, value, port.type, port);
  });
  for (const [name, tensor] of Object.entries(feeds)) feeds[name] = hostTensorOf(pare, tensor);
  return feeds;
}

/** Nodes at the start of the graph that make a sequence or optional, into `target` if given. */
function makeValue(pare, graph, value, type, target) {
  const first = graph.nodes.first;
  const add = (opType, inputs, attributes = {}) =>
    graph
      .addNode(
        { opType, inputs, attributes, ...(target && { outputs: [target] }) },
        first && { before: first },
      )
      .output();
  if (value.tensor) return graph.addInitializer('case_input', value.tensor);
  if (value.items) {
    const items = value.items.map((item) => makeValue(pare, graph, item, type?.element));
    if (items.length > 0) return add('SequenceConstruct', items);
    const { code } = pare.dataTypes[type?.element?.dataType ?? 'float'];
    return add('SequenceEmpty', [], { dtype: code });
  }
  if (value.optional)
    return add('Optional', [makeValue(pare, graph, value.optional, type?.element)]);
  const proto = pare.typeToProto(type.element);
  return add('Optional', [], { type: { type: 'type', value: proto } });
}

/** Makes every expected tensor an output; lists by their length and items. */
function readOutputs(pare, model, expected) {
  const { graph } = model;
  const wanted = [];
  const outputs = graph.outputs.splice(0);
  const add = (opType, inputs, attributes = {}) =>
    graph.addNode({ opType, inputs, attributes }).output();
  const want = (name, value, tensor) => {
    let output = value;
    if (!portable.has(tensor.dataType)) {
      const to = pare.dataTypes[readAs[tensor.dataType] ?? 'float'].code;
      output = add('Cast', [value], { to });
    } else if (graph.outputs.includes(value)) output = add('Identity', [value]);
    graph.outputs.push(output);
    wanted.push({ name, output: output.name, tensor });
  };
  const visit = (name, value, spec) => {
    if (spec.tensor) want(name, value, spec.tensor);
    else if (spec.items) {
      const length = pare.Tensor.scalar('int64', spec.items.length);
      want(`${name}.length`, add('SequenceLength', [value]), length);
      spec.items.forEach((item, at) => {
        const index = graph.addInitializer('case_index', pare.Tensor.scalar('int64', at));
        visit(`${name}[${at}]`, add('SequenceAt', [value, index]), item);
      });
    } else {
      const has = pare.Tensor.scalar('bool', spec.optional ? 1 : 0);
      want(`${name}.has`, add('OptionalHasElement', [value]), has);
      if (spec.optional) visit(name, add('OptionalGetElement', [value]), spec.optional);
    }
  };
  outputs.forEach((output, at) => {
    if (expected[at]) visit(output.name, output, expected[at]);
  });
  return wanted;
}

function hostTensorOf(pare, { dataType, dims, content }) {
  if (content.kind === 'strings') {
    const decoder = new TextDecoder();
    return pare.hostTensor(
      'string',
      dims,
      content.strings.map((bytes) => decoder.decode(bytes)),
    );
  }
  const { array } = pare.dataTypes[dataType];
  const { bytes } = content;
  const copy = Uint8Array.from(bytes);
  return pare.hostTensor(
    dataType,
    dims,
    new array(copy.buffer, 0, bytes.byteLength / array.BYTES_PER_ELEMENT),
  );
}

function elementsOf(pare, { dataType, dims, data }) {
  const isFloat = pare.dataTypes[dataType].kind === 'float' && !(data instanceof Float64Array);
  return { dims, elements: Array.from(isFloat ? pare.toFloat32(dataType, data) : data) };
}

async function contentOf(pare, tensor) {
  if (tensor.dataType === 'string') return { dims: tensor.dims, elements: tensor.text() };
  return elementsOf(pare, {
    dataType: tensor.dataType,
    dims: tensor.dims,
    data: await tensor.array(),
  });
}
