/**
 * A protobuf model beside the contents of its tensors. Messages stay small: the bytes of weights
 * are written by the gather writer straight from where they are.
 */
import type { ModelProto, TensorProto } from './schema/onnx_pb.js';
import type { Tensor } from './tensor.js';

export interface ModelMessage {
  readonly proto: ModelProto;
  /**
   * Content of every TensorProto whose data fields were left empty (initializers, also of
   * subgraphs and functions, and tensors in attributes). Its dims and data_type are set.
   */
  readonly contents: ReadonlyMap<TensorProto, Tensor>;
}
