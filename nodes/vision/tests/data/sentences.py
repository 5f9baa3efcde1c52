#!/usr/bin/env python3
"""Writes sentences.json: tokens and vectors of sentences by the package tokenizers and by ONNX Runtime in Python.

usage, with onnxruntime 1.31.1 and tokenizers 0.23.3: sentences.py
"""
import json
import pathlib

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parents[3] / "models/data"
tokenizer = Tokenizer.from_file(str(DATA / "minilm_tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(128)
network = onnxruntime.InferenceSession(str(DATA / "minilm_l6_v2.onnx"))
lines = []
for text in [
    "a cup on the table", "person", "Where did I leave my glasses?", "The robot's battery is at 12.5 %, dock now!",
    "Grüße aus Köln — naïve café", "日本語 テスト", "antidisestablishmentarianism xyzzyqux", "  two   blanks\tand\na line  ", "word " * 200,
]:
    ids = np.array([tokenizer.encode(text).ids])
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    vector = network.run(None, feed)[0][0]
    lines.append(json.dumps({"text": text, "ids": ids[0].tolist(), "vector": [round(float(v), 6) for v in vector]}, ensure_ascii=False))
(HERE / "sentences.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
