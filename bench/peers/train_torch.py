"""Training steps of an ONNX model in PyTorch, the peer of bench/train.mjs.

Usage: train_torch.py MODEL BATCH THREADS
Reads MODEL and runs its nodes by torch functions, or, for the graph named "transformer", writes
the network as torch does, with linear and scaled_dot_product_attention. The float constants of the
graph are the parameters. Adam (fused, the fastest one of torch on a CPU), cross-entropy, one batch.

Protocol: one line of JSON on stdout when it is ready; then for every line on stdin, the number of
steps to make, one line of JSON with their milliseconds and the last loss. Ends with stdin.
"""

import json
import resource
import sys
import time

import numpy
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def peak_bytes():
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def pads_of(a, rank):
    pads = a.get("pads", [0] * 2 * rank)
    begins, ends = pads[:rank], pads[rank:]
    if begins != ends:
        # Last axis first, as torch wants it.
        both = [pad for axis in reversed(range(rank)) for pad in (begins[axis], ends[axis])]
        return both, 0
    return None, begins


def conv(a, x, w, b=None):
    rank = w.dim() - 2
    around, pads = pads_of(a, rank)
    if around:
        x = F.pad(x, around)
    call = F.conv2d if rank == 2 else F.conv1d
    return call(
        x, w, b, a.get("strides", 1), pads, a.get("dilations", 1), a.get("group", 1)
    )


def max_pool(a, x):
    around, pads = pads_of(a, 2)
    if around:
        x = F.pad(x, around, value=float("-inf"))
    return F.max_pool2d(x, a["kernel_shape"], a.get("strides", 1), pads)


def gemm(a, x, w, c=None):
    if a.get("transA", 0):
        x = x.t()
    return F.linear(x, w if a.get("transB", 0) else w.t(), c)


def pad(a, x, pads, value=None):
    rank = len(pads) // 2
    both = [int(p) for axis in reversed(range(rank)) for p in (pads[axis], pads[rank + axis])]
    return F.pad(x, both)


def slice_(a, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index = [slice(None)] * x.dim()
    for start, end, axis, step in zip(starts, ends, axes, steps):
        index[int(axis)] = slice(int(start), int(min(int(end), x.shape[int(axis)])), int(step))
    return x[tuple(index)]


def batch_norm(a, x, scale, bias, mean, variance):
    return F.batch_norm(
        x,
        mean,
        variance,
        scale,
        bias,
        eps=a.get("epsilon", 1e-5),
    )


def reshape(a, x, shape):
    return x.reshape([x.shape[i] if n == 0 else int(n) for i, n in enumerate(shape)])


def layer_norm(a, x, scale, bias=None):
    return F.layer_norm(x, scale.shape, scale, bias, a.get("epsilon", 1e-5))


OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Gelu": lambda a, x: F.gelu(x, approximate=a.get("approximate", b"none").decode()),
    "Gemm": gemm,
    "GlobalAveragePool": lambda a, x: x.mean(list(range(2, x.dim())), keepdim=True),
    "Identity": lambda a, x: x,
    "LayerNormalization": layer_norm,
    "MatMul": lambda a, x, y: torch.matmul(x, y),
    "MaxPool": max_pool,
    "Mul": lambda a, x, y: x * y,
    "Pad": pad,
    "ReduceMean": lambda a, x, axes: x.mean([int(i) for i in axes], keepdim=bool(a["keepdims"])),
    "Relu": lambda a, x: F.relu(x),
    "Reshape": reshape,
    "Slice": slice_,
    "Softmax": lambda a, x: F.softmax(x, a.get("axis", -1)),
    "Transpose": lambda a, x: x.permute(a["perm"]),
}


def transformer(p, x, heads=4):
    def linear(x, name):
        return F.linear(x, p[name + ".weight"].t(), p[name + ".bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"])

    x = linear(x, "embed") + p["position"]
    for layer in ("0.", "1."):
        h = norm(x, layer + "norm1")
        q, k, v = (
            linear(h, layer + name).unflatten(-1, (heads, -1)).transpose(1, 2) for name in "qkv"
        )
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + linear(seen, layer + "out")
        x = x + linear(F.gelu(linear(norm(x, layer + "norm2"), layer + "up")), layer + "down")
    return linear(norm(x, "norm").mean(1), "head")


class Network:
    """The nodes of a graph, in order, with its float constants as parameters."""

    def __init__(self, path):
        graph = onnx.load(path).graph
        self.statics, self.parameters, self.buffers = {}, {}, {}
        running = {i for n in graph.node if n.op_type == "BatchNormalization" for i in n.input[3:]}
        for constant in graph.initializer:
            array = numpy_helper.to_array(constant).copy()
            if array.dtype != numpy.float32:
                self.statics[constant.name] = array
            elif constant.name in running or array.ndim == 0:
                self.buffers[constant.name] = torch.from_numpy(array)
            else:
                self.parameters[constant.name] = torch.nn.Parameter(torch.from_numpy(array))
        last = graph.node[-1]
        # The loss takes logits.
        skipped = last.op_type == "Softmax"
        self.output = last.input[0] if skipped else graph.output[0].name
        self.input = graph.input[0]
        self.is_transformer = graph.name == "transformer"
        self.nodes = []
        for node in graph.node[: -1 if skipped else None]:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            run = OPERATORS[node.op_type]
            self.nodes.append((run, attributes, list(node.input), node.output[0]))

    def __call__(self, x):
        if self.is_transformer:
            return transformer(self.parameters, x)
        values = {**self.statics, **self.buffers, **self.parameters, self.input.name: x}
        values[""] = None
        for run, attributes, inputs, output in self.nodes:
            values[output] = run(attributes, *[values[name] for name in inputs])
        return values[self.output]


def main(path, batch, threads):
    torch.set_num_threads(threads)
    imported = peak_bytes()
    network = Network(path)
    dims = [d.dim_value for d in network.input.type.tensor_type.shape.dim][1:]
    count = batch * int(numpy.prod(dims))
    # The same numbers as pare's, by the golden ratio.
    numbers = numpy.arange(count, dtype=numpy.uint64) * 2654435761 % 2**32 / 2**32
    x = torch.from_numpy(numbers.astype(numpy.float32)).reshape(batch, *dims)
    with torch.no_grad():
        classes = network(x).shape[-1]
    label = torch.arange(batch) % classes
    optimizer = torch.optim.Adam(network.parameters.values(), lr=1e-3, fused=True)
    print(json.dumps({"version": torch.__version__, "python": sys.version.split()[0]}), flush=True)
    for line in sys.stdin:
        times = []
        cpu = time.process_time()
        for _ in range(int(line)):
            start = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(network(x), label)
            loss.backward()
            optimizer.step()
            loss = loss.item()
            times.append(1000 * (time.perf_counter() - start))
        reply = {
            "times": times,
            "cpuMs": 1000 * (time.process_time() - cpu) / len(times),
            "loss": loss,
            "peakBytes": peak_bytes(),
            "baseBytes": imported,
        }
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
