#!/usr/bin/env python3
"""Writes cdr_samples.txt (one line a sample: type, JSON, CDR in hexadecimal) and independent_hashes.txt with the rosbags library,
an implementation of CDR and of type hashes that shares no code with this one.

usage, with rosbags 0.11.9 installed: cdr_samples.py <interfaces folder>
"""
import json
import pathlib
import random
import sys

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

HERE = pathlib.Path(__file__).parent
OURS = ("omnimind_msgs", "vision_msgs")
UNHASHED = OURS + ("tf2_msgs",)
# Of these, the parts of services and actions are hashed too.
PARTS = {"srv": ("Request", "Response"), "action": ("Goal", "Result", "Feedback")}
PARTED = ("composition_interfaces", "tf2_msgs")
RANGES = {
    "int8": (-128, 127), "uint8": (0, 255), "byte": (0, 127), "octet": (0, 127), "char": (0, 255),
    "int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1),
}
WORDS = ["", "a", "map", "base_link", "Grüße", "four", "a longer text with blanks", "日本"]


def base(rng, name, bound):
    if name == "string":
        return rng.choice(WORDS)
    if name == "bool":
        return rng.random() < 0.5
    if name in ("float32", "float64"):
        return rng.randint(-4000, 4000) / 8.0
    return rng.randint(*RANGES[name])


def sample(rng, store, name):
    fields = store.fielddefs[name][1]
    return {field: value(rng, store, definition) for field, definition in fields}


def value(rng, store, definition):
    node, detail = definition
    if node.name == "BASE":
        return base(rng, *detail)
    if node.name == "NAME":
        return sample(rng, store, detail)
    inner, count = detail
    if node.name == "SEQUENCE":
        count = rng.randint(0, min(count or 5, 5))
    return [value(rng, store, inner) for _ in range(count)]


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


def main() -> None:
    interfaces = pathlib.Path(sys.argv[1])
    store = get_typestore(Stores.ROS2_JAZZY)
    added = {}
    for package in OURS:
        for path in sorted((interfaces / package / "msg").glob("*.msg")):
            added.update(get_types_from_msg(path.read_text(), f"{package}/msg/{path.stem}"))
    store.register({name: definition for name, definition in added.items() if name.split("/")[0] in OURS})
    rng = random.Random(20)
    lines, hashes = [], []
    for path in sorted(interfaces.glob("*/msg/*.msg")):
        name = f"{path.parent.parent.name}/msg/{path.stem}"
        if name not in store.fielddefs:
            continue
        if name.split("/")[0] in UNHASHED:
            hashes.append(f"{name} {store.hash_rihs01(name)}")
        for _ in range(3):
            content = sample(rng, store, name)
            encoded = bytes(store.serialize_cdr(build(store, name, content), name))
            content.pop("structure_needs_at_least_one_member", None)
            if "structure_needs" in str(store.fielddefs[name]):
                encoded = encoded[:4] + b"\0"
            text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
            lines.append(f"{name}\t{text}\t{encoded.hex()}")
    for package in PARTED:
        for kind, parts in PARTS.items():
            for path in sorted((interfaces / package / kind).glob(f"*.{kind}")):
                for part, text in zip(parts, path.read_text().split("---\n"), strict=True):
                    name = f"{package}/{kind}/{path.stem}_{part}"
                    # The library names what it parses as a message of a package `<package>/<kind>`.
                    (store.fielddefs[name],) = get_types_from_msg(text, name).values()
                    hashes.append(f"{name} {store.hash_rihs01(name)}")
    hashes.sort()
    head = "# Made by cdr_samples.py with rosbags 0.11.9."
    (HERE / "cdr_samples.txt").write_text("\n".join([head, *lines]) + "\n")
    (HERE / "independent_hashes.txt").write_text("\n".join([head, *hashes]) + "\n")


if __name__ == "__main__":
    main()
