#!/usr/bin/env python3
"""Makes the small networks of this folder, with known answers, for the tests of networks that no registry has.

places.onnx   picture [1,3,16,16] -> 4 logits: 20 times the mean of red, of green, of blue, and 0
image.onnx    pixel_values [n,3,16,16] -> image_embeds [n,3]: the means of red, green and blue
text.onnx     input_ids [n,12] int64 -> text_embeds [n,3]: the sum of the words' rows
tokenizer.json  the words that text.onnx knows, each a token

usage, with onnx 1.23.2: make.py
"""
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
# Red is a home, green is nature, blue is a city.
WORDS = {
    "[PAD]": (0, 0, 0), "[UNK]": (0, 0, 0), "red": (1, 0, 0), "home": (1, 0, 0), "green": (0, 1, 0), "landscape": (0, 1, 0), "blue": (0, 0, 1),
    "street": (0, 0, 1), "office": (-1, -1, -1), "outdoors": (-1, -1, -1), "building": (-1, -1, -1),
}


def save(name, nodes, inputs, outputs, initializers):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="omnimind-tests")
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


def tensor(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


head = np.zeros((3, 4), np.float32)
head[:, :3] = np.eye(3) * 20
save(
    "places",
    [helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0), helper.make_node("MatMul", ["mean", "head"], ["logits"])],
    [tensor("input", [1, 3, 16, 16])], [tensor("logits", [1, 4])], [numpy_helper.from_array(head, "head")],
)
save(
    "image",
    [helper.make_node("ReduceMean", ["pixel_values"], ["image_embeds"], axes=[2, 3], keepdims=0)],
    [tensor("pixel_values", ["n", 3, 16, 16])], [tensor("image_embeds", ["n", 3])], [],
)
table = np.array(list(WORDS.values()), np.float32)
save(
    "text",
    [helper.make_node("Gather", ["table", "input_ids"], ["rows"]), helper.make_node("ReduceSum", ["rows", "axis"], ["text_embeds"], keepdims=0)],
    [tensor("input_ids", ["n", 12], TensorProto.INT64)], [tensor("text_embeds", ["n", 3])],
    [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1], np.int64), "axis")],
)
tokenizer = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
}
(HERE / "tokenizer.json").write_text(json.dumps(tokenizer) + "\n")
(HERE / "preprocess.json").write_text(json.dumps({
    "size": {"height": 16, "width": 16}, "do_center_crop": False, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
}) + "\n")
(HERE / "labels.txt").write_text("/b/bedroom 1\n/f/forest/broadleaf 2\n/s/street 2\n/m/museum/indoor 1\n")
(HERE / "calibration.json").write_text('{"temperature": 4.0}\n')
