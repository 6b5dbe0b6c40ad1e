/**
 * Operators without a contraction: they cost bytes and no MACs. Listed by what they move, so that
 * an operator that is in no list is reported as unknown rather than taken for free.
 */
import type { OperatorCost, Traffic } from './cost.js';

const free = (traffic: Traffic): OperatorCost => Object.freeze({ macs: () => 0, traffic });

/** Each element by itself, with broadcasting. */
const elementWise = `
  Abs Acos Acosh Add And Asin Asinh Atan Atanh Bernoulli BitCast BitShift BitwiseAnd BitwiseNot
  BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout Elu Equal
  Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less
  LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear Reciprocal Relu
  Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh
  ThresholdedRelu Where Xor
  com.microsoft:BiasAdd com.microsoft:BiasDropout com.microsoft:BiasGelu
  com.microsoft:BiasSplitGelu com.microsoft:BitmaskDropout com.microsoft:DequantizeLinear
  com.microsoft:FastGelu com.microsoft:Gelu
  com.microsoft:QLinearAdd com.microsoft:QLinearLeakyRelu com.microsoft:QLinearMul
  com.microsoft:QLinearSigmoid com.microsoft:QLinearWhere com.microsoft:QuantizeLinear
  com.microsoft:QuickGelu com.microsoft:RotaryEmbedding
`;

/** Statistics over axes, and what is made of them. */
const reductions = `
  ArgMax ArgMin BatchNormalization CumProd CumSum DynamicQuantizeLinear GroupNormalization Hardmax
  InstanceNormalization LayerNormalization LogSoftmax LpNormalization LRN MeanVarianceNormalization
  NegativeLogLikelihoodLoss RMSNormalization ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
  ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Softmax
  SoftmaxCrossEntropyLoss TopK
  SimplifiedLayerNormalization com.microsoft:BiasSoftmax com.microsoft:EmbedLayerNormalization
  com.microsoft:GroupNorm com.microsoft:QLinearReduceMean com.microsoft:QLinearSoftmax
  com.microsoft:SimplifiedLayerNormalization com.microsoft:SkipGroupNorm
  com.microsoft:SkipLayerNormalization com.microsoft:SkipSimplifiedLayerNormalization
`;

/** Windows over an image, without weights. */
const pooling = `
  AffineGrid AveragePool Col2Im GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample LpPool
  MaxPool MaxRoiPool MaxUnpool Resize RoiAlign Upsample
  com.microsoft:GridSample com.microsoft:NhwcMaxPool com.microsoft:QLinearAveragePool
  com.microsoft:QLinearGlobalAveragePool
`;

/** Elements go to another place. */
const movement = `
  CenterCropPad Compress Concat DepthToSpace Expand Pad ReverseSequence RotaryEmbedding Scatter
  ScatterElements ScatterND SpaceToDepth Split TensorScatter Tile Transpose Trilu Unique NonZero
  NonMaxSuppression
  ConcatFromSequence SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
  SequenceLength SplitToSequence Optional OptionalGetElement OptionalHasElement
  StringConcat StringNormalizer StringSplit RegexFullMatch TfIdfVectorizer ImageDecoder
  com.microsoft:Pad com.microsoft:QLinearConcat com.microsoft:RemovePadding
  com.microsoft:RestorePadding com.microsoft:Trilu
  com.microsoft:Unique
  com.microsoft.nchwc:ReorderInput com.microsoft.nchwc:ReorderOutput
`;

const selecting = `
  Gather GatherElements GatherND Slice com.microsoft:GatherBlockQuantized com.microsoft:GatherND
`;

const views = 'Flatten Identity Reshape Squeeze Unsqueeze';

const generated = `
  BlackmanWindow Constant ConstantOfShape EyeLike HammingWindow HannWindow MelWeightMatrix
  Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Shape Size
  OneHot
`;

function rows(names: string, traffic: Traffic): [string, OperatorCost][] {
  return names
    .trim()
    .split(/\s+/)
    .map((name) => [name, free(traffic)]);
}

export const freeCosts: Readonly<Record<string, OperatorCost>> = Object.freeze(
  Object.fromEntries([
    ...rows(elementWise, 'all'),
    ...rows(reductions, 'all'),
    ...rows(pooling, 'all'),
    ...rows(movement, 'all'),
    ...rows(selecting, 'selected'),
    ...rows(views, 'none'),
    ...rows(generated, 'written'),
  ]),
);
