/**
 * pare: the library. Runs in Node and in browsers; what needs a file system or onnxruntime-node
 * is in 'pare/node'.
 */
export * from './data/index.js';
export { labelsOf, repeatableFeeds } from './data/repeatable-feeds.js';
export type * from './engine/engine.js';
export { hostTensor, randomFeeds } from './engine/host-tensor.js';
export { modelSource } from './engine/model-source.js';
export { inferShapes } from './engine/shapes.js';
export { PareError, type PareErrorCode } from './errors.js';
export {
  Attributor,
  type InputMethod,
  type InputResult,
  type LayerMethod,
  type PathOptions,
} from './explain/attribution.js';
export { type CriterionChoice, chooseCriterion } from './explain/choose-criterion.js';
export { type UnitCriterion, unitCriteria } from './explain/criteria.js';
export { explain } from './explain/explain.js';
export type { ExplainOptions } from './explain/explain-options.js';
export type * from './explain/explanation.js';
export { nameTokens } from './explain/name-tokens.js';
export { openAttributor } from './explain/open-attributor.js';
export { floatAttribute, floatsAttribute, intsAttribute } from './graph/attribute.js';
export { cloneModel } from './graph/clone.js';
export { differenceOf } from './graph/equal.js';
export { Graph, type NodeSpec } from './graph/graph.js';
export { Model } from './graph/model.js';
export { Node } from './graph/node.js';
export { upgradeOpset } from './graph/opset/upgrade.js';
export { parseModel } from './graph/parse.js';
export { printModel } from './graph/print.js';
export { Value } from './graph/value.js';
export { type Dim, tensorType, type ValueType } from './graph/value-type.js';
export { encode, encodeWithExternalData, loadModel } from './load.js';
export { type BenchReport, type BenchRow, bench } from './measure/bench.js';
export { checkModel } from './measure/check.js';
export { diffModels } from './measure/diff.js';
export { evaluate } from './measure/evaluate.js';
export type { Evaluation } from './measure/evaluation.js';
export { inspectModel } from './measure/inspect.js';
export { measureMacs } from './measure/macs.js';
export type { NamedModel } from './measure/named-model.js';
export { valueRanges } from './measure/ranges.js';
export { type SizeReport, sizeOf } from './measure/size.js';
export { type ByteSource, blobSource, bytesSource } from './onnx/byte-source.js';
export type { DataType } from './onnx/data-type.js';
export { externalFilesFromMap } from './onnx/external.js';
export { Tensor } from './onnx/tensor.js';
export { type Candidate, makeCandidate } from './optimize/candidate.js';
export { keepFewest, keepWorst } from './optimize/keep-float.js';
export {
  type KnownParts,
  makeReport,
  type ReportModel,
  type ReportRequest,
} from './optimize/make-report.js';
export { type OptimizeOptions, type OptimizeResult, optimize } from './optimize/optimize.js';
export {
  type PruneAndTrainContext,
  type PruneAndTrainResult,
  pruneAndTrain,
} from './optimize/prune-and-train.js';
export { type Recipe, runRecipe } from './optimize/recipe.js';
export type { RoundsRequest } from './optimize/rounds.js';
export { type SensitivityReport, sensitivityReport } from './optimize/sensitivity.js';
export {
  applyPass,
  definePass,
  type Pass,
  type PassContext,
  type PassReport,
  ReportBuilder,
} from './pass.js';
export type { Progress } from './progress.js';
export { prune, pruneMethods } from './prune/index.js';
export { maskOf, readMasks } from './prune/masks.js';
export { type CalibrateOptions, calibrate } from './quantize/calibrate/calibrate.js';
export {
  type ChannelRequest,
  type ChannelValues,
  collectChannels,
} from './quantize/calibrate/channels.js';
export { chosenRanges } from './quantize/calibrate/chosen-ranges.js';
export {
  type CalibrationEntry,
  type CalibrationTable,
  checkCalibration,
  parseCalibration,
  pinRanges,
  printCalibration,
} from './quantize/calibrate/table.js';
export { quantize, schemes } from './quantize/index.js';
export type { Override } from './quantize/static/override-schema.js';
export { parseReport, printReport, type Report, reportSchema } from './report/data/report.js';
export { renderReport } from './report/html/page.js';
export { simplifications, simplify } from './simplify/index.js';
export { appendLoss, type LossTerm } from './train/append-loss.js';
export type { CheckpointStore, EpochRow } from './train/checkpoint.js';
export {
  type DifferentiateOptions,
  type Differentiation,
  differentiate,
  NotDifferentiable,
} from './train/differentiate.js';
export {
  type FinetuneRequest,
  type FinetuneResult,
  finetune,
  type QuantizationResult,
} from './train/finetune.js';
export type { FinetuneOptions } from './train/finetune-options.js';
export { losses } from './train/losses/index.js';
export type { MemoryEstimate } from './train/memory.js';
export type { Agreement } from './train/qat/index.js';
export type { Restart } from './train/rate-guard.js';
export { version } from './version.js';
