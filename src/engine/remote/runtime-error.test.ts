import { describe, expect, it } from 'vitest';
import { runtimeError } from './runtime-error.js';

describe('runtimeError', () => {
  it('keeps the operator and what is wrong, and names the node', () => {
    const error = runtimeError(
      'run',
      "Non-zero status code returned while running Reshape node. Name:'flat' Status Message: " +
        '/onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 ' +
        'onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, ' +
        'onnxruntime::TensorShapeVector&, bool) input_shape_size == requested_shape_size was false. ' +
        'The input tensor cannot be reshaped to the requested shape.\n',
    );
    expect(error.code).toBe('engine');
    expect(error.message).toBe(
      'run: Reshape: input_shape_size == requested_shape_size was false. ' +
        'The input tensor cannot be reshaped to the requested shape. (node "flat")',
    );
    expect(error.where.node).toBe('flat');
  });

  it('removes source lines in their short form', () => {
    const error = runtimeError(
      'run',
      "Non-zero status code returned while running Concat node. Name:'y' Status Message: " +
        'concatbase.h:133 PrepareForComputeImpl Non concat axis dimensions must match',
    );
    expect(error.message).toBe('run: Concat: Non concat axis dimensions must match (node "y")');
  });

  it('gives a hint where it knows one', () => {
    const hintOf = (message: string) => runtimeError('create session', message).hint;
    expect(hintOf('Unsupported model IR version: 99, max supported IR version: 13')).toContain(
      'newer than the runtime',
    );
    expect(hintOf('Failed to allocate memory for requested buffer of size 4000')).toContain(
      'smaller batch',
    );
    expect(hintOf('something new')).toBeUndefined();
  });

  it('says something of an empty message too', () => {
    expect(runtimeError('run', '').message).toBe('run: failed without a message');
  });
});
