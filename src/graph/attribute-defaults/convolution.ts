/**
 * Convolution, pooling, resizing and image operators: defaults of optional attributes.
 * Source: the ONNX operator specification, opset 1 to 26.
 */
import { changed, type DefaultTable } from './rows.js';

export const convolutionDefaults: DefaultTable = {
  AffineGrid: { align_corners: 0 },
  AveragePool: { auto_pad: 'NOTSET', ceil_mode: 0, count_include_pad: 0 },
  Conv: { auto_pad: 'NOTSET', group: 1 },
  ConvInteger: { auto_pad: 'NOTSET', group: 1 },
  ConvTranspose: { auto_pad: 'NOTSET', group: 1 },
  DeformConv: { group: 1, offset_group: 1 },
  DepthToSpace: { mode: 'DCR' },
  GlobalLpPool: { p: 2 },
  GridSample: {
    align_corners: 0,
    mode: changed([16, 'bilinear'], [20, 'linear']),
    padding_mode: 'zeros',
  },
  ImageDecoder: { pixel_format: 'RGB' },
  LpPool: { auto_pad: 'NOTSET', ceil_mode: 0, p: 2 },
  MaxPool: { auto_pad: 'NOTSET', ceil_mode: 0, storage_order: 0 },
  MaxRoiPool: { spatial_scale: 1 },
  NonMaxSuppression: { center_point_box: 0 },
  QLinearConv: { auto_pad: 'NOTSET', group: 1 },
  Resize: {
    antialias: 0,
    coordinate_transformation_mode: 'half_pixel',
    cubic_coeff_a: -0.75,
    exclude_outside: 0,
    extrapolation_value: 0,
    keep_aspect_ratio_policy: 'stretch',
    mode: 'nearest',
    nearest_mode: 'round_prefer_floor',
  },
  RoiAlign: {
    coordinate_transformation_mode: 'half_pixel',
    mode: 'avg',
    output_height: 1,
    output_width: 1,
    sampling_ratio: 0,
    spatial_scale: 1,
  },
  Upsample: { mode: 'nearest' },
};
