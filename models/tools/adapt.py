#!/usr/bin/env python3
"""Adapts two converted networks for models/data. See README.md beside this file."""

import argparse
import hashlib
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def efficientnet(source, target):
    """Adds the input of the last Gemm as the output `embedding`."""
    model = onnx.load(source)
    head = [n for n in model.graph.node if n.op_type == "Gemm"][-1]
    if head.output[0] != "logits":
        raise SystemExit(f"the last Gemm gives {head.output[0]}, not logits")
    before = head.input[0]
    for node in model.graph.node:
        node.input[:] = ["embedding" if name == before else name for name in node.input]
        node.output[:] = ["embedding" if name == before else name for name in node.output]
    model.graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 1280]))
    onnx.checker.check_model(model)
    onnx.save(model, target)
    image = np.random.default_rng(1).standard_normal((1, 3, 224, 224), dtype=np.float32)
    old = session(source).run(None, {"image": image})[0]
    logits, embedding = session(target).run(["logits", "embedding"], {"image": image})
    weight, bias = [numpy_helper.to_array(i) for name in head.input[1:] for i in initial(model, name)]
    again = embedding @ weight.astype(np.float32).T + bias.astype(np.float32)
    print("largest change of a logit", float(np.abs(logits - old).max()))
    print("largest difference of the head applied to the embedding", float(np.abs(again - old).max()))


def initial(model, name):
    """The initializer behind a name, through a Cast."""
    behind = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Cast"}
    return [i for i in model.graph.initializer if i.name == behind.get(name, name)]


def minilm(source, target):
    """Replaces float16 weights and their Cast by int8 weights, Cast and Mul."""
    model = onnx.load(source)
    graph = model.graph
    consumers = {}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    casts = {n.input[0]: n for n in graph.node if n.op_type == "Cast"}
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT16 or len(tensor.dims) != 2 or min(tensor.dims) < 2:
            continue
        cast = casts[tensor.name]
        users = {n.op_type for n in consumers[cast.output[0]]}
        axis = 1 if users == {"Gather"} else 0
        weight = numpy_helper.to_array(tensor).astype(np.float32)
        scale = np.maximum(np.abs(weight).max(axis=axis, keepdims=True) / 127, 1e-12).astype(np.float32)
        whole = np.clip(np.round(weight / scale), -127, 127).astype(np.int8)
        out, unscaled = cast.output[0], cast.output[0] + "__q"
        tensor.CopyFrom(numpy_helper.from_array(whole, tensor.name))
        graph.initializer.append(numpy_helper.from_array(scale, out + "__scale"))
        cast.output[0] = unscaled
        at = list(graph.node).index(cast)
        graph.node.insert(at + 1, helper.make_node("Mul", [unscaled, out + "__scale"], [out]))
    onnx.checker.check_model(model)
    onnx.save(model, target)
    rng = np.random.default_rng(1)
    old, new, worst = session(source), session(target), 1.0
    for _ in range(50):
        length = int(rng.integers(3, 24))
        ids = np.concatenate([[101], rng.integers(1996, 29000, length), [102]])[None]
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        worst = min(worst, float((old.run(None, feed)[0] * new.run(None, feed)[0]).sum()))
    print("least cosine to the original over 50 sequences of random words", worst)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["efficientnet", "minilm"])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    options = parser.parse_args()
    {"efficientnet": efficientnet, "minilm": minilm}[options.what](options.source, options.target)
    content = options.target.read_bytes()
    print(hashlib.sha256(content).hexdigest(), len(content), options.target)
