#!/usr/bin/env python3
"""Writes cdr_samples.txt (one line a sample: type, JSON, CDR in hexadecimal, and for some the big-endian CDR) and
independent_hashes.txt with the rosbags library, an implementation of CDR and of type hashes that shares no code with this one.
`tests/interop/cdr_oracle.py` uses the same generator for more samples.

usage, with rosbags 0.11.9 installed: cdr_samples.py <interfaces folder>
"""
import json
import math
import pathlib
import random
import re
import struct
import sys

HERE = pathlib.Path(__file__).parent
# Packages whose hashes are no official ones in official_hashes.txt: rosbags' own are kept.
UNLISTED = ("omnimind_msgs", "vision_msgs", "example_interfaces", "tf2_msgs", "statistics_msgs", "composition_interfaces", "rosbag2_interfaces")
# Of these, the parts of services and actions too.
PARTED = ("composition_interfaces", "rosbag2_interfaces", "tf2_msgs")
RANGES = {
    "int8": (-128, 127), "uint8": (0, 255), "byte": (0, 127), "octet": (0, 127), "char": (0, 255),
    "int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1),
}
WORDS = ["", "a", "map", "base_link", "Grüße", "four", "a longer text with blanks", "日本", "emoji 🤖", "tab\tand \"quotes\""]
EDGES_64 = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 5e-324, 1.7976931348623157e308, -1.0, 0.1]
EDGES_32 = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 3.4028234663852886e38, -1.0, 0.10000000149011612]


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def scalar(rng, name, bound=0, mode="plain"):
    """A value of a primitive type; `mode` is plain, edge (smallest, largest, not a number) or long."""
    if name in ("string", "wstring"):
        words = [word for word in WORDS if not bound or len(word.encode()) <= bound]
        return rng.choice(words) * (rng.choice([1, 40]) if mode == "long" and not bound else 1)
    if name in ("bool", "boolean"):
        return rng.random() < 0.5
    if name in ("float", "float32"):
        return rng.choice(EDGES_32) if mode == "edge" else float32(rng.uniform(-4000, 4000))
    if name in ("double", "float64"):
        return rng.choice(EDGES_64) if mode == "edge" else rng.uniform(-1e6, 1e6)
    return rng.choice(RANGES[name]) if mode == "edge" else rng.randint(*RANGES[name])


def length(rng, bound, mode, depth):
    most = {"plain": 3, "edge": 1, "long": 300 if depth == 0 else 3}[mode]
    if bound and mode == "edge":
        return bound
    return rng.randint(0, min(bound or most, most))


def sample(rng, store, name, mode="plain", depth=0):
    fields = store.fielddefs[name][1]
    return {field: value(rng, store, definition, mode, depth) for field, definition in fields}


def value(rng, store, definition, mode, depth):
    node, detail = definition
    if node.name == "BASE":
        return scalar(rng, *detail, mode=mode)
    if node.name == "NAME":
        return sample(rng, store, detail, mode, depth + 1)
    inner, count = detail
    if node.name == "SEQUENCE":
        count = length(rng, count, mode, depth)
    return [value(rng, store, inner, mode, depth + 1) for _ in range(count)]


def build(store, name, content):
    """The sample as the object that rosbags serialises: numpy arrays for sequences of primitives."""
    import numpy

    arguments = {}
    for field, (node, detail) in store.fielddefs[name][1]:
        item = content[field]
        if node.name == "NAME":
            item = build(store, detail, item)
        elif node.name in ("ARRAY", "SEQUENCE"):
            inner, inner_detail = detail[0]
            if inner.name == "NAME":
                item = [build(store, inner_detail, element) for element in item]
            elif inner_detail[0] != "string":
                kind = {"byte": "uint8", "octet": "uint8", "char": "uint8", "bool": "bool_"}.get(inner_detail[0], inner_detail[0])
                item = numpy.array(item, dtype=getattr(numpy, kind))
        arguments[field] = item
    return store.types[name](**arguments)


def without_stand_in(content):
    """The sample without the field that stands for "no field"."""
    if isinstance(content, dict):
        return {key: without_stand_in(item) for key, item in content.items() if key != "structure_needs_at_least_one_member"}
    if isinstance(content, list):
        return [without_stand_in(item) for item in content]
    if isinstance(content, float) and not math.isfinite(content):
        return "NaN" if math.isnan(content) else "Infinity" if content > 0 else "-Infinity"
    return content


def zero_stand_in(content):
    """The same field is written as 0."""
    if isinstance(content, dict):
        return {
            key: 0 if key == "structure_needs_at_least_one_member" else zero_stand_in(item) for key, item in content.items()
        }
    return [zero_stand_in(item) for item in content] if isinstance(content, list) else content


def open_store(interfaces):
    """rosbags' Kilted types, and those of our packages, services and actions that it does not bring."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    added = {}
    for path in sorted(interfaces.glob("*/*/*")):
        package, kind = path.parent.parent.name, path.parent.name
        texts = path.read_text().split("---\n") if kind != "msg" else [path.read_text()]
        suffixes = {"msg": [""], "srv": ["_Request", "_Response"], "action": ["_Goal", "_Result", "_Feedback"]}.get(kind, [])
        for suffix, text in zip(suffixes, texts):
            name = f"{package}/{kind}/{path.stem}{suffix}"
            # rosbags looks for unqualified names beside the type, ROS among the package's messages.
            text = re.sub(r"^([A-Z]\w*)", rf"{package}/msg/\1", text, flags=re.MULTILINE)
            if name not in store.fielddefs and "wstring" not in text:
                (added[name],) = get_types_from_msg(text, name).values()
    store.register(added)
    return store


def names(store, interfaces):
    """Types that we have and rosbags can serialise."""
    ours = {f"{path.parent.parent.name}/{path.parent.name}/{path.stem}" for path in interfaces.glob("*/*/*")}
    strip = lambda name: name.rsplit("_", 1)[0] if "/msg/" not in name else name
    return sorted(name for name in store.fielddefs if strip(name) in ours)


def main() -> None:
    interfaces = pathlib.Path(sys.argv[1])
    store = open_store(interfaces)
    rng = random.Random(20)
    lines, hashes = [], []
    for name in names(store, interfaces):
        # rosbags hashes `char` as a type of its own; the official description of std_msgs/msg/Char says uint8.
        package, kind, _ = name.split("/")
        if package in UNLISTED and (kind == "msg" or package in PARTED) and not name.endswith("/Char"):
            hashes.append(f"{name} {store.hash_rihs01(name)}")
        for mode in ("plain", "edge"):
            content = zero_stand_in(sample(rng, store, name, mode))
            message = build(store, name, content)
            text = json.dumps(without_stand_in(content), ensure_ascii=False, separators=(",", ":"))
            columns = [name, text, bytes(store.serialize_cdr(message, name)).hex()]
            if mode == "plain":
                columns.append(bytes(store.serialize_cdr(message, name, little_endian=False)).hex())
            lines.append("\t".join(columns))
    head = "# Made by cdr_samples.py with rosbags 0.11.9."
    (HERE / "cdr_samples.txt").write_text("\n".join([head, *lines]) + "\n")
    (HERE / "independent_hashes.txt").write_text("\n".join([head, *hashes]) + "\n")


if __name__ == "__main__":
    main()
