#!/usr/bin/env python3
"""Makes the small networks of tests/data/detectors and what they see: one per form of output that the decoders read.

    pip install onnx==1.23.2 numpy && python3 tests/detectors_reference.py tests/data/detectors

Each network gives fixed random numbers in the published form of its output, with one score taken from the input: the level at one place of one
plane, so that the way of the picture into the network is tested too. `expected.json` has what is to come out for a picture of 100 x 60
pixels of the one colour (200, 100, 50), computed here in numpy from the published definitions:

- NanoDet: RangiLyu/nanodet, gfl_head.py (distribution over 8 bins here, centre (n + 0.5) x stride)
- YOLOX: Megvii-BaseDetection/YOLOX, yolox/utils/demo_utils.py (demo_postprocess)
- YOLOv8: ultralytics, export to ONNX without NMS: [1, 4 + classes, boxes], centre and size in pixels
- RT-DETR, D-FINE: tools/export_onnx.py: labels, boxes, scores for orig_target_sizes; the transformers library: logits and pred_boxes
- DETR: facebookresearch/detr, models/detr.py (PostProcess): softmax, the last class is "no object"
"""
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, WIDTH, HEIGHT, COLOUR = 64, 100, 60, (200, 100, 50)
CLASSES = ["person", "forklift", "apple tree"]
THRESHOLD, IOU, MOST = 0.3, 0.5, 24
RNG = np.random.default_rng(20)


def network(path, outputs, tap=None, sizes=False):
    """A graph of constants; `tap` = (output, index, plane, row, column) adds the input's value there to one number.
    With `sizes` the boxes (shares of the input) are multiplied by the second input, as RT-DETR's export does."""
    nodes, infos, constants = [], [], []
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    if sizes:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]))
        nodes += [
            helper.make_node("Cast", ["orig_target_sizes"], ["sizes_f"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["sizes_f", "sizes_f"], ["sizes_4"], axis=1),
        ]
    for name, value in outputs.items():
        kind = TensorProto.INT64 if value.dtype == np.int64 else TensorProto.FLOAT
        infos.append(helper.make_tensor_value_info(name, kind, list(value.shape)))
        constants.append(numpy_helper.from_array(value, name + "_c"))
        if tap and tap[0] == name:
            _, index, plane, row, column = tap
            mask = np.zeros(value.shape, np.float32)
            mask[index] = 1
            constants += [
                numpy_helper.from_array(mask, name + "_mask"),
                *(numpy_helper.from_array(np.array(v, np.int64), f"{name}_{n}") for n, v in
                  (("starts", [plane, row, column]), ("ends", [plane + 1, row + 1, column + 1]), ("axes", [1, 2, 3]))),
            ]
            constants.append(numpy_helper.from_array(np.array([1] * value.ndim, np.int64), name + "_shape"))
            nodes += [
                helper.make_node("Slice", ["images", f"{name}_starts", f"{name}_ends", f"{name}_axes"], [name + "_one"]),
                helper.make_node("Reshape", [name + "_one", name + "_shape"], [name + "_value"]),
                helper.make_node("Mul", [name + "_mask", name + "_value"], [name + "_part"]),
                helper.make_node("Add", [name + "_c", name + "_part"], [name]),
            ]
        elif sizes and name == "boxes":
            nodes.append(helper.make_node("Mul", [name + "_c", "sizes_4"], [name]))
        else:
            nodes.append(helper.make_node("Identity", [name + "_c"], [name]))
    graph = helper.make_graph(nodes, "test", inputs, infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="omnimind-tests")
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def rounded(array):
    """Numbers that half precision has, so that small files stay exact."""
    return np.asarray(array, np.float16).astype(np.float32)


def overlap(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inter = np.prod(np.maximum(high - low, 0))
    return inter / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inter)


def finish(boxes, scores, classes, place, nms):
    """Boxes as edges in pixels of the input; `place` = left, top, width, height of the picture in it."""
    left, top, width, height = place
    order = [n for n in np.argsort(-scores, kind="stable") if scores[n] >= THRESHOLD]
    kept = []
    for n in order:
        shares = (boxes[n] - [left, top, left, top]) / [width, height, width, height]
        cut = np.clip(shares, 0, 1)
        if not (cut[2] > cut[0] and cut[3] > cut[1]):
            continue
        if nms and any(classes[k] == classes[n] and overlap(boxes[k], boxes[n]) > IOU for k, _ in kept):
            continue
        kept.append((n, cut))
    return [
        {"label": CLASSES[classes[n]], "score": round(float(scores[n]), 6), "box": [round(float(v), 6) for v in cut]}
        for n, cut in kept[:MOST]
    ]


def grid(strides=(8, 16, 32)):
    return [(x, y, s) for s in strides for y in range(SIDE // s) for x in range(SIDE // s)]


def strong(count, some):
    """Scores of which a few are high."""
    scores = RNG.uniform(0.0, 0.25, (count, len(CLASSES)))
    for n in RNG.choice(count, some, replace=False):
        scores[n, RNG.integers(len(CLASSES))] = RNG.uniform(0.25, 0.95)
    return rounded(scores)


def normal(level, mean, deviation):
    return (level - mean) / deviation


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cases = []

    def case(name, decoder, picture, outputs, expected, tap=None, sizes=False, detector=None):
        network(folder / f"{name}.onnx", outputs, tap, sizes)
        data = (folder / f"{name}.onnx").read_bytes()
        cases.append({"name": name, "decoder": decoder, "picture": picture, "detector": detector or {}, "bytes": len(data),
                      "sha256": hashlib.sha256(data).hexdigest(), "expected": expected})

    stretch, centred, corner = (0, 0, SIDE, SIDE), (0, 13, SIDE, 38), (0, 0, SIDE, 38)

    # NanoDet: stretched, blue first, mean and deviation.
    cells = grid()
    scores, bins = strong(len(cells), 30), rounded(RNG.uniform(-2, 2, (len(cells), 4, 8)))
    tapped, level = 11, normal(COLOUR[2], 103.53, 57.375)
    scores[tapped] = 0
    seen = scores.copy()
    seen[tapped, 1] = scores[tapped, 1] = 1.9  # the strongest, so nothing hides it
    seen[tapped, 1] += level
    soft = np.exp(bins - bins.max(-1, keepdims=True))
    distance = (soft / soft.sum(-1, keepdims=True) * np.arange(8)).sum(-1)
    boxes = np.array([[(x + 0.5 - d[0]) * s, (y + 0.5 - d[1]) * s, (x + 0.5 + d[2]) * s, (y + 0.5 + d[3]) * s]
                      for (x, y, s), d in zip(cells, distance)])
    outputs, first = {}, 0
    for n, s in enumerate((8, 16, 32)):
        count = (SIDE // s) ** 2
        outputs[f"scores_{n}"] = scores[None, first:first + count]
        outputs[f"boxes_{n}"] = bins[None, first:first + count].reshape(1, count, 32)
        first += count
    case("nanodet", "nanodet", {"order": "bgr", "mean": [103.53, 116.28, 123.675], "deviation": [57.375, 57.12, 58.395], "fit": "stretch"},
         outputs, finish(boxes, seen.max(1), seen.argmax(1), stretch, True), tap=("scores_0", (0, tapped, 1), 0, 63, 63))

    # YOLOX: in the upper left corner, blue first, levels as they are.
    raw = np.concatenate([RNG.uniform(-0.5, 1.5, (len(cells), 2)), RNG.uniform(-0.5, 1.2, (len(cells), 2))], 1)
    raw = rounded(np.concatenate([raw, RNG.uniform(0.6, 1, (len(cells), 1)), strong(len(cells), 30)], 1))
    raw[5, 4:] = [1, 0, 0, -99.5]
    seen = raw.astype(np.float64)
    seen[5, 7] += COLOUR[1]  # 100 - 99.5
    origin, stride = np.array([(x, y) for x, y, _ in cells]), np.array([s for *_, s in cells])[:, None]
    centre, size = (seen[:, :2] + origin) * stride, np.exp(seen[:, 2:4]) * stride
    boxes, product = np.concatenate([centre - size / 2, centre + size / 2], 1), seen[:, 4:5] * seen[:, 5:]
    case("yolox", "yolox", {"order": "bgr", "mean": [0, 0, 0], "deviation": [1, 1, 1], "fit": "letterbox_corner"},
         {"output": raw[None]}, finish(boxes, product.max(1), product.argmax(1), corner, True), tap=("output", (0, 5, 7), 1, 37, 63))

    # YOLOv8: in the middle, 0..1; the score comes from the grey around the picture.
    count = 60
    centre, size = rounded(RNG.uniform(0, SIDE, (count, 2))), rounded(RNG.uniform(4, 30, (count, 2)))
    scores = strong(count, 30)
    centre[7], scores[7] = [30, 30], [0, 0, 0.5]
    seen = scores.astype(np.float64).copy()
    seen[7, 2] += 114 / 255
    case("yolo_v8", "yolo_v8", {"mean": [0, 0, 0], "deviation": [255, 255, 255], "fit": "letterbox"},
         {"output0": np.ascontiguousarray(np.concatenate([centre, size, scores], 1).T[None])},
         finish(np.concatenate([centre - size / 2, centre + size / 2], 1).astype(np.float64), seen.max(1), seen.argmax(1), centred, True),
         tap=("output0", (0, 6, 7), 2, 12, 0))

    # RT-DETR's and D-FINE's export: the network scales the boxes to the size it is given.
    centre, size = rounded(RNG.uniform(0.1, 0.9, (20, 2))), rounded(RNG.uniform(0.1, 0.6, (20, 2)))
    shares = np.concatenate([centre - size / 2, centre + size / 2], 1).astype(np.float32)
    scores, labels = rounded(RNG.uniform(0.1, 0.95, 20)), RNG.integers(0, 3, 20)
    scores[3] = 0
    seen = scores.astype(np.float64).copy()
    seen[3] += COLOUR[0] / 255
    picture = {"mean": [0, 0, 0], "deviation": [255, 255, 255], "fit": "stretch"}
    case("detr_export", "detr", picture, {"labels": labels[None].astype(np.int64), "boxes": shares[None], "scores": scores[None]},
         finish(shares.astype(np.float64) * SIDE, seen, labels, stretch, False), tap=("scores", (0, 3), 0, 5, 5), sizes=True)

    # The transformers library: a sigmoid per class, one box may be several things.
    logits = rounded(RNG.uniform(-6, 2, (20, 3)))
    boxes = np.concatenate([centre, size], 1)
    share = 1 / (1 + np.exp(-logits.astype(np.float64)))
    flat = share.reshape(-1)
    edges = np.concatenate([centre - size / 2, centre + size / 2], 1).astype(np.float64) * SIDE
    case("detr_sigmoid", "detr", picture, {"logits": logits[None], "pred_boxes": boxes[None]},
         finish(np.repeat(edges, 3, 0), flat, np.tile(np.arange(3), 20), stretch, False))

    # DETR itself: a softmax with "no object" at the end.
    logits = rounded(RNG.uniform(-3, 4, (20, 4)))
    soft = np.exp(logits.astype(np.float64))
    soft = (soft / soft.sum(1, keepdims=True))[:, :3]
    case("detr_softmax", "detr", picture, {"pred_boxes": boxes[None], "logits": logits[None]},
         finish(edges, soft.max(1), soft.argmax(1), stretch, False))

    (folder / "labels.txt").write_text("\n".join(CLASSES) + "\n")
    data = (folder / "labels.txt").read_bytes()
    labels = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    settings = {"threshold": THRESHOLD, "iou": IOU, "most": MOST}
    top = {"side": SIDE, "width": WIDTH, "height": HEIGHT, "colour": COLOUR, "labels": labels, "settings": settings, "cases": cases}
    (folder / "expected.json").write_text(json.dumps(top, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
