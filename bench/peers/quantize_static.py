"""Quantizes a model with onnxruntime's quantize_static, the peer of bench/quantize.mjs.

Usage: quantize_static.py MODEL SAMPLES.npz OUT.onnx minmax|percentile
SAMPLES.npz holds one array per model input with the samples along axis 0, preprocessed.
Prints one line of JSON: seconds of quant_pre_process, of quantize_static, peak RSS in bytes.
"""

import json
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process


class Samples(CalibrationDataReader):
    """Hands out one sample at a time with a batch of 1."""

    def __init__(self, path):
        with numpy.load(path) as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}
        self.count = len(next(iter(self.arrays.values())))
        self.at = 0

    def get_next(self):
        if self.at >= self.count:
            return None
        at = self.at
        self.at += 1
        return {name: array[at] for name, array in self.arrays.items()}


def main(model, samples, out, method):
    logging.disable(logging.WARNING)
    methods = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        start = time.perf_counter()
        quant_pre_process(model, str(prepared))
        preprocessed = time.perf_counter()
        quantize_static(
            str(prepared),
            out,
            Samples(samples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=methods[method],
        )
        end = time.perf_counter()
    print(
        json.dumps(
            {
                "version": onnxruntime.__version__,
                "python": sys.version.split()[0],
                "prepareSeconds": preprocessed - start,
                "seconds": end - preprocessed,
                # Linux counts in KiB, macOS in bytes.
                "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                * (1 if sys.platform == "darwin" else 1024),
            }
        )
    )


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
