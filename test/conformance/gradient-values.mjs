/**
 * The values of a backend case in one float type: inputs, constants and types of a model turned
 * to float or double, and inputs moved a little, away from ties and kinks.
 */

/** Turns every float constant and type attribute of a model into `type`. */
export function asFloat(pare, model, type) {
  const { code } = pare.dataTypes[type];
  const isFloat = (dataType) => pare.dataTypes[dataType].kind === 'float';
  for (const value of model.graph.values) {
    if (value.initializer && isFloat(value.initializer.dataType)) {
      value.initializer = converted(pare, value.initializer, type);
    }
    const { dataType } = value;
    if (value.type?.kind === 'tensor' && dataType && isFloat(dataType)) {
      value.type = pare.tensorType(type, value.type.dims);
    }
  }
  for (const node of model.allNodes()) {
    for (const name of ['to', 'dtype']) {
      const attribute = node.attributes.get(name);
      if (attribute?.type !== 'int') continue;
      const current = pare.dataTypeFromCode(Number(attribute.value));
      if (current && isFloat(current)) node.setAttribute(name, code);
    }
    if (node.op === 'ConstantOfShape' && !node.has('value')) {
      // Zeros of float, where nothing else is said.
      node.setAttribute('value', pare.Tensor.of(type, [1], [0]));
    }
    const content = node.tensorAttribute('value');
    if (content && isFloat(content.dataType)) {
      node.setAttribute('value', converted(pare, content, type));
    }
    const single = node.attributes.get('value_float');
    if (single) {
      node.removeAttribute('value_float');
      node.setAttribute('value', pare.Tensor.scalar(type, single.value));
    }
    const several = node.attributes.get('value_floats');
    if (several) {
      node.removeAttribute('value_floats');
      node.setAttribute('value', pare.Tensor.of(type, [several.value.length], several.value));
    }
  }
}

function converted(pare, tensor, type) {
  return pare.Tensor.of(type, tensor.dims, numbersOf(pare, tensor));
}

function numbersOf(pare, { dataType, content, size }) {
  const { array } = pare.dataTypes[dataType];
  const bytes = Uint8Array.from(content.bytes);
  const elements = new array(bytes.buffer, 0, size);
  return elements instanceof Float64Array
    ? elements
    : Array.from(pare.toFloat32(dataType, elements));
}

/** A tensor of a case as what the engine takes; floats in `type`. */
export async function hostTensorOf(pare, tensor, type) {
  const { dims } = tensor;
  if (tensor.content.kind === 'strings') return pare.hostTensor('string', dims, tensor.text());
  if (type) {
    const { array } = pare.dataTypes[type];
    return pare.hostTensor(type, dims, array.from(numbersOf(pare, tensor)));
  }
  return pare.hostTensor(tensor.dataType, dims, await tensor.array());
}

/** The feeds with float tensors as double ones. */
export function inDouble(pare, feeds) {
  const wide = ([name, tensor]) => [
    name,
    tensor.dataType === 'float'
      ? pare.hostTensor('double', tensor.dims, Float64Array.from(tensor.data))
      : tensor,
  ];
  return Object.fromEntries(Object.entries(feeds).map(wide));
}

/** The feeds with every wanted number moved by up to 2 %, in a fixed pattern. */
export function jittered(feeds, wanted) {
  const moved = { ...feeds };
  for (const name of wanted) {
    const tensor = feeds[name];
    const data = tensor.data.map((value, at) => {
      const turn = ((at * 0.6180339887) % 1) - 0.5;
      return value + 0.04 * turn * Math.max(0.5, Math.abs(value));
    });
    moved[name] = { ...tensor, data };
  }
  return moved;
}
