/**
 * Small graphs, one or more per operator and attribute, whose gradients are compared with central
 * differences. Not part of the library's interface.
 */

/** Inputs, then nodes; the last value is the output. Float inputs are the wanted values. */
export type GradientCase = readonly [name: string, inputs: string, nodes: string, extra?: string];

export const gradientCases: readonly GradientCase[] = [
  // convolution
  ['conv', 'float[2,3,7,8] x, float[4,3,3,3] w, float[4] b', 'y = Conv<pads=[1,1,1,1]>(x, w, b)'],
  [
    'conv stride 2 groups',
    'float[2,4,7,8] x, float[6,2,3,3] w',
    'y = Conv<pads=[1,1,1,1],strides=[2,2],group=2>(x, w)',
  ],
  [
    'conv depthwise',
    'float[2,4,8,8] x, float[4,1,3,3] w',
    'y = Conv<pads=[1,1,1,1],group=4>(x, w)',
  ],
  [
    'conv depthwise stride',
    'float[2,4,8,8] x, float[8,1,3,3] w',
    'y = Conv<pads=[1,1,1,1],group=4,strides=[2,2]>(x, w)',
  ],
  [
    'conv depthwise phases uneven',
    'float[2,3,11,10] x, float[3,1,4,2] w, float[3] b',
    'y = Conv<pads=[2,1,1,0],group=3,strides=[3,1]>(x, w, b)',
  ],
  [
    'conv depthwise phases beyond kernel',
    'float[2,3,11,8] x, float[3,1,2,1] w',
    'y = Conv<group=3,strides=[3,1]>(x, w)',
  ],
  [
    'conv depthwise phases joined',
    'float[1,3,7,6,4] x, float[3,1,3,3,1] w',
    'y = Conv<pads=[1,0,0,1,1,0],group=3,strides=[2,2,1]>(x, w)',
  ],
  [
    'conv uneven',
    'float[2,3,9,9] x, float[4,3,3,2] w',
    'y = Conv<pads=[0,1,1,0],strides=[2,3],dilations=[2,1]>(x, w)',
  ],
  ['conv point', 'float[2,3,5,4] x, float[4,3,1,1] w', 'y = Conv(x, w)'],
  ['conv point stride', 'float[2,3,8,8] x, float[4,3,1,1] w', 'y = Conv<strides=[2,2]>(x, w)'],
  ['conv point padded', 'float[2,3,4,4] x, float[4,3,1,1] w', 'y = Conv<pads=[1,0,0,1]>(x, w)'],
  [
    'conv stride beyond kernel',
    'float[2,2,10,10] x, float[3,2,2,2] w',
    'y = Conv<strides=[3,4]>(x, w)',
  ],
  [
    'conv same upper',
    'float[1,2,7,7] x, float[3,2,4,4] w',
    'y = Conv<auto_pad="SAME_UPPER">(x, w)',
  ],
  [
    'conv same lower stride',
    'float[1,2,7,8] x, float[3,2,4,4] w',
    'y = Conv<auto_pad="SAME_LOWER",strides=[2,2]>(x, w)',
  ],
  ['conv 1-D', 'float[2,3,9] x, float[4,3,3] w', 'y = Conv<pads=[2,1],dilations=[2]>(x, w)'],
  ['conv 1-D wide', 'float[2,8,12] x, float[4,8,3] w', 'y = Conv<pads=[1,1]>(x, w)'],
  [
    'conv 3-D',
    'float[1,2,4,5,4] x, float[3,2,2,3,2] w',
    'y = Conv<strides=[1,2,1],pads=[1,0,0,0,1,1]>(x, w)',
  ],
  ['conv taps', 'float[2,8,9,9] x, float[4,8,3,3] w', 'y = Conv<pads=[1,1,1,1]>(x, w)'],
  [
    'conv taps groups',
    'float[2,16,9,9] x, float[4,8,3,3] w',
    'y = Conv<pads=[1,1,1,1],group=2,strides=[1,1],dilations=[2,2]>(x, w)',
  ],
  [
    'conv open dims',
    'float[N,3,H,W] x, float[4,3,3,3] w',
    'y = Conv<pads=[1,1,1,1],strides=[2,2]>(x, w)',
  ],
  [
    'conv open dims stride 1',
    'float[N,6,H,W] x, float[4,6,3,3] w',
    'y = Conv<pads=[1,1,1,1]>(x, w)',
  ],
  [
    'conv transpose',
    'float[2,3,4,4] x, float[3,2,3,3] w, float[2] b',
    'y = ConvTranspose<strides=[2,2],pads=[1,1,1,1],output_padding=[1,1]>(x, w, b)',
  ],
  [
    'conv transpose groups',
    'float[1,4,4,5] x, float[4,3,3,3] w',
    'y = ConvTranspose<group=2,dilations=[2,1]>(x, w)',
  ],
  [
    'conv transpose same',
    'float[1,2,4,4] x, float[2,3,3,3] w',
    'y = ConvTranspose<strides=[2,2],auto_pad="SAME_UPPER">(x, w)',
  ],
  [
    'conv transpose 1-D',
    'float[1,2,5] x, float[2,3,4] w',
    'y = ConvTranspose<strides=[3],output_shape=[16]>(x, w)',
  ],
  [
    'fused conv',
    'float[1,2,5,5] x, float[3,2,3,3] w, float[3] b, float[1,3,5,5] z',
    'y = com.microsoft.FusedConv<pads=[1,1,1,1],activation="LeakyRelu",activation_params=[0.3]>(x, w, b, z)',
  ],
  // pooling
  [
    'max pool',
    'float[2,3,7,7] x',
    'y = MaxPool<kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1]>(x)',
  ],
  [
    'max pool ceil dilated',
    'float[1,2,9,8] x',
    'y = MaxPool<kernel_shape=[2,3],strides=[2,2],dilations=[2,1],ceil_mode=1>(x)',
  ],
  [
    'max pool column order',
    'float[1,2,6,6] x',
    'y, i = MaxPool<kernel_shape=[2,2],strides=[2,2],storage_order=1>(x)\n z = Mul(y, y)',
  ],
  ['max pool tiles', 'float[2,3,6,8] x', 'y = MaxPool<kernel_shape=[2,4],strides=[2,4]>(x)'],
  ['conv shrinking', 'float[2,3,7,8] x, float[4,3,5,5] w', 'y = Conv(x, w)'],
  ['max pool 1-D', 'float[1,2,9] x', 'y = MaxPool<kernel_shape=[3]>(x)'],
  [
    'average pool',
    'float[2,2,7,7] x',
    'y = AveragePool<kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1]>(x)',
  ],
  [
    'average pool counted',
    'float[2,2,7,6] x',
    'y = AveragePool<kernel_shape=[3,2],pads=[1,1,0,0],count_include_pad=1>(x)',
  ],
  [
    'average pool ceil',
    'float[1,2,8,7] x',
    'y = AveragePool<kernel_shape=[3,3],strides=[2,2],ceil_mode=1>(x)',
  ],
  [
    'average pool dilated',
    'float[1,2,9,9] x',
    'y = AveragePool<kernel_shape=[2,2],dilations=[3,2],strides=[2,1]>(x)',
  ],
  [
    'average pool open batch',
    'float[N,2,6,6] x',
    'y = AveragePool<kernel_shape=[2,2],strides=[2,2]>(x)',
  ],
  [
    'global pools',
    'float[N,3,H,W] x',
    'a = GlobalAveragePool(x)\n b = GlobalMaxPool(x)\n c = Add(a, b)\n y = Mul(c, a)',
  ],
  ['local response', 'float[1,5,3,3] x', 'y = LRN<size=3,alpha=0.5,beta=0.75,bias=1.0>(x)'],
  // matrices
  ['matmul batched', 'float[2,3,4] x, float[4,5] w', 'y = MatMul(x, w)'],
  ['matmul broadcast', 'float[2,1,3,4] a, float[3,4,2] b', 'y = MatMul(a, b)'],
  ['matmul open batch', 'float[N,3,4] a, float[M,4,2] b', 'y = MatMul(a, b)'],
  [
    'matmul vectors',
    'float[4] a, float[2,4,3] b, float[3] c',
    'd = MatMul(a, b)\n y = MatMul(d, c)',
  ],
  ['matmul weight left', 'float[3,4] w, float[2,4,5] x', 'y = MatMul(w, x)'],
  [
    'gemm',
    'float[3,4] a, float[5,4] b, float[5] c',
    'y = Gemm<transB=1,alpha=0.5,beta=2.0>(a, b, c)',
  ],
  [
    'gemm turned',
    'float[4,3] a, float[5,4] b, float[3,1] c',
    'y = Gemm<transA=1,transB=1>(a, b, c)',
  ],
  [
    'fused matmul',
    'float[2,4,3] a, float[2,4,5] b',
    'y = com.microsoft.FusedMatMul<transA=1,alpha=0.25>(a, b)',
  ],
  [
    'einsum',
    'float[2,3,4] a, float[2,5,4] b, float[5] c',
    'y = Einsum<equation="bid,bjd,j->bij">(a, b, c)',
  ],
  ['einsum sums', 'float[3,4] a, float[4,4] b', 'y = Einsum<equation="ij,kk->j">(a, b)'],
  [
    'einsum ellipsis',
    'float[2,1,3,4] a, float[1,5,4,2] b',
    'y = Einsum<equation="...ij,...jk->...ik">(a, b)',
  ],
  // normalization
  [
    'layer norm',
    'float[2,3,6] x, float[6] s, float[6] b',
    'y = LayerNormalization<axis=-1>(x, s, b)',
  ],
  ['layer norm axis', 'float[2,3,4] x, float[3,4] s', 'y = LayerNormalization<axis=1>(x, s)'],
  [
    'instance norm',
    'float[2,3,4,4] x, float[3] s, float[3] b',
    'y = InstanceNormalization(x, s, b)',
  ],
  [
    'group norm',
    'float[2,4,3,3] x, float[4] s, float[4] b',
    'y = GroupNormalization<num_groups=2>(x, s, b)',
  ],
  [
    'batch norm',
    'float[2,3,4] x, float[3] s, float[3] b, float[3] m',
    'y = BatchNormalization(x, s, b, m, v)',
    'float[3] v = {0.5, 1, 2}',
  ],
  [
    'lp norm',
    'float[3,6] x',
    'a = LpNormalization<axis=1>(x)\n b = LpNormalization<axis=0,p=1>(x)\n y = Add(a, b)',
  ],
  ['mean variance norm', 'float[2,3,4,4] x', 'y = MeanVarianceNormalization(x)'],
  ['rms norm', 'float[2,3,6] x, float[6] s', 'y = RMSNormalization(x, s)'],
  [
    'skip layer norm',
    'float[2,3,8] x, float[2,3,8] k, float[8] s, float[8] b, float[8] c',
    'y = com.microsoft.SkipLayerNormalization(x, k, s, b, c)',
  ],
  [
    'softmax',
    'float[2,3,4] x',
    'a = Softmax<axis=1>(x)\n b = LogSoftmax<axis=-1>(x)\n y = Mul(a, b)',
  ],
  // shapes
  [
    'slice steps',
    'float[5,8] x',
    'y = Slice(x, s, e, a, t)',
    'int64[2] s = {1, -1}, int64[2] e = {9, -9}, int64[2] a = {0, 1}, int64[2] t = {2, -3}',
  ],
  ['pad reflect', 'float[2,8] x', 'y = Pad<mode="reflect">(x, p)', 'int64[4] p = {1, 2, 0, 3}'],
  ['pad edge', 'float[2,4] x', 'y = Pad<mode="edge">(x, p)', 'int64[4] p = {0, 2, 0, 1}'],
  ['pad cut', 'float[2,6] x, float v', 'y = Pad(x, p, v)', 'int64[4] p = {0, 2, 1, 3}'],
  [
    'concat split',
    'float[2,3] x, float[2,5] z',
    'c = Concat<axis=1>(x, z)\n a, b = Split<axis=1,num_outputs=2>(c)\n y = Mul(a, b)',
  ],
  [
    'split unused',
    'float[6,2] x',
    'a, b, c = Split(x, p)\n y = Mul(b, b)',
    'int64[3] p = {1, 2, 3}',
  ],
  [
    'expand tile',
    'float[3,1] x',
    'e = Expand(x, s)\n y = Tile(e, r)',
    'int64[3] s = {2, 3, 4}, int64[3] r = {1, 2, 3}',
  ],
  [
    'transpose reshape',
    'float[2,3,4] x',
    't = Transpose<perm=[2,0,1]>(x)\n y = Reshape(t, s)',
    'int64[2] s = {-1, 6}',
  ],
  [
    'depth to space',
    'float[1,8,2,3] x',
    'a = DepthToSpace<blocksize=2,mode="CRD">(x)\n b = DepthToSpace<blocksize=2>(x)\n c = Mul(a, b)\n y = SpaceToDepth<blocksize=2>(c)',
  ],
  [
    'trilu cumsum',
    'float[4,4] x',
    't = Trilu<upper=0>(x)\n y = CumSum<exclusive=1>(t, a)',
    'int64 a = {1}',
  ],
  // indices
  ['gather twice', 'float[6,4] x', 'y = Gather(x, i)', 'int64[2,3] i = {0, 3, 3, -1, 0, 3}'],
  ['gather axis', 'float[3,5,2] x', 'y = Gather<axis=1>(x, i)', 'int32[2] i = {4, 4}'],
  [
    'gather elements',
    'float[3,4] x',
    'y = GatherElements<axis=1>(x, i)',
    'int64[2,2] i = {0, 0, 3, -1}',
  ],
  [
    'gather nd',
    'float[2,3,4] x',
    'a = GatherND(x, i)\n b = GatherND<batch_dims=1>(x, j)\n y = Add(a, b)',
    'int64[2,2] i = {0, 1, 0, 1}, int64[2,1] j = {2, 0}',
  ],
  [
    'scatter',
    'float[4,3] x, float[2,3] u',
    'a = ScatterND(x, i, u)\n y = ScatterElements<axis=0,reduction="add">(a, j, u)',
    'int64[2,1] i = {0, 2}, int64[2,3] j = {1, 1, 1, 3, 0, 1}',
  ],
  ['top k', 'float[3,6] x', 'y, i = TopK(x, k)', 'int64[1] k = {3}'],
  // arithmetic
  [
    'broadcast',
    'float[2,4,3] x, float[4,1] a, float[3] b',
    'c = Mul(x, a)\n d = Sub(c, b)\n y = Div(d, a)',
  ],
  ['open broadcast', 'float[N,4] x, float[M,4] a', 'y = Mul(x, a)'],
  [
    'min max',
    'float[3,4] x, float[4] a, float[3,1] b',
    'c = Min(x, a, b)\n d = Max(x, a)\n e = Mean(c, d, x)\n y = Sum(e, c)',
  ],
  ['clip', 'float[3,5] x, float l, float h', 'y = Clip(x, l, h)'],
  ['prelu', 'float[2,3,4] x, float[3,1] s', 'y = PRelu(x, s)'],
  ['pow', 'float[3,4] x, float[4] p', 'q = Abs(x)\n y = Pow(q, p)'],
  ['where', 'float[3,4] x, float[1,4] z', 'y = Where(c, x, z)', 'bool[1,4] c = {1, 0, 1, 0}'],
  [
    'reductions',
    'float[2,3,4] x',
    'a = ReduceMean(x, r)\n b = ReduceMax(x, r)\n c = ReduceProd(x, r)\n d = ReduceL2(x, r)\n e = ReduceLogSumExp(x, r)\n f = ReduceSumSquare(x, r)\n y = Sum(a, b, c, d, e, f)',
    'int64[1] r = {1}',
  ],
  [
    'reduce all',
    'float[2,3] x',
    'a = ReduceSum<keepdims=0>(x)\n b = ReduceL1<keepdims=0>(x)\n y = Add(a, b)',
  ],
  [
    'reduce what is one element already',
    'float[1,3] x',
    'a = ReduceSum<keepdims=0>(x, r)\n y = ReduceMean<keepdims=0>(a)',
    'int64[1] r = {1}',
  ],
  // activations
  [
    'activations',
    'float[2,40] x',
    'a = Gelu(x)\n b = Gelu<approximate="tanh">(a)\n c = HardSwish(x)\n d = HardSigmoid(x)\n e = Mish(x)\n f = Celu<alpha=0.7>(x)\n g = Elu<alpha=0.7>(x)\n h = Selu(x)\n i = Softplus(x)\n j = Softsign(x)\n k = ThresholdedRelu<alpha=0.5>(x)\n l = LeakyRelu<alpha=0.1>(x)\n y = Sum(b, c, d, e, f, g, h, i, j, k, l)',
  ],
  [
    'fused gelus',
    'float[2,8] x, float[8] b',
    'c = com.microsoft.BiasGelu(x, b)\n d = com.microsoft.FastGelu(x, b)\n e = com.microsoft.Gelu(x)\n f = com.microsoft.QuickGelu(x)\n y = Sum(c, d, e, f)',
  ],
  // resize
  [
    'resize linear',
    'float[1,2,4,5] x',
    'y = Resize<mode="linear">(x, "", "", s)',
    'int64[4] s = {1, 2, 7, 9}',
  ],
  [
    'resize cubic',
    'float[1,2,4,5] x',
    'y = Resize<mode="cubic",coordinate_transformation_mode="align_corners">(x, "", "", s)',
    'int64[4] s = {1, 2, 6, 3}',
  ],
  [
    'resize nearest',
    'float[N,2,3,4] x',
    'y = Resize<nearest_mode="floor",coordinate_transformation_mode="asymmetric">(x, "", f)',
    'float[4] f = {1, 1, 2, 1.6}',
  ],
  // recurrent
  [
    'lstm',
    'float[3,2,4] x, float[2,12,4] w, float[2,12,3] r, float[2,24] b, float[2,2,3] h, float[2,2,3] c, float[2,9] p',
    'y, yh, yc = LSTM<hidden_size=3,direction="bidirectional">(x, w, r, b, l, h, c, p)\n z = Add(yh, yc)\n s = ReduceSum<keepdims=0>(y)\n o = Add(z, s)',
    'int32[2] l = {3, 2}',
  ],
  [
    'gru late reset',
    'float[3,2,4] x, float[1,9,4] w, float[1,9,3] r, float[1,18] b',
    'y = GRU<hidden_size=3,linear_before_reset=1,direction="reverse">(x, w, r, b)',
  ],
  [
    'gru',
    'float[3,2,4] x, float[1,9,4] w, float[1,9,3] r, float[1,18] b, float[1,2,3] h',
    'y = GRU<hidden_size=3>(x, w, r, b, "", h)',
  ],
  [
    'rnn',
    'float[3,2,4] x, float[1,3,4] w, float[1,3,3] r',
    'y, yh = RNN<hidden_size=3,activations=["Affine"],activation_alpha=[0.5],activation_beta=[0.1]>(x, w, r)\n z = Add(y, yh)',
  ],
  // attention
  [
    'attention grouped',
    'float[1,3,16] q, float[1,5,8] k, float[1,5,8] v, float[3,5] m',
    'y = Attention<q_num_heads=4,kv_num_heads=2,softcap=2.0,is_causal=1>(q, k, v, m)',
  ],
];
