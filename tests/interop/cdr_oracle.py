#!/usr/bin/env python3
"""CDR against other implementations, both directions, for every message of the standard packages: values from a seeded generator are
serialised by the peer and decoded by us, and the reverse.

usage: cdr_oracle.py --peer rosbags|rclpy --tool <path to msgs' example cdr_json> [--samples N] [--seed N]

`rosbags` (PyPI, 0.11.9): bytes are equal, little- and big-endian. `rclpy` (the ROS 2 wheels, Fast CDR): values are equal, because
rclpy's padding is not zero; it brings wide strings and the types of test_msgs, which we read from their definition texts at run time.
"""
import argparse
import json
import math
import os
import pathlib
import random
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTERFACES = ROOT / "msgs/interfaces"
sys.path.insert(0, str(ROOT / "msgs/tests"))
import cdr_samples  # noqa: E402

MODES = ["plain", "edge", "long"]
# What stands in a type without fields.
STAND_IN = "structure_needs_at_least_one_member"


class Tool:
    """Our side: a process that answers a line with a line."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, verb, name, text):
        self.process.stdin.write(f"{verb}\t{name}\t{text}\n")
        self.process.stdin.flush()
        status, _, answer = self.process.stdout.readline().rstrip("\n").partition("\t")
        if status != "ok":
            raise AssertionError(f"{verb} {name}: {answer or 'the tool ended'}")
        return answer

    def encode(self, name, content):
        return bytes.fromhex(self.ask("encode", name, json.dumps(cdr_samples.without_stand_in(content), ensure_ascii=False)))

    def decode(self, name, data):
        return json.loads(self.ask("decode", name, data.hex()))


def same(path, one, other):
    """Fails with the place at which two values differ. Floats are compared exactly, NaN with NaN."""
    if isinstance(one, dict):
        one, other = ({key: item for key, item in side.items() if key != STAND_IN} for side in (one, other))
        assert one.keys() == other.keys(), f"{path}: {sorted(one)} and {sorted(other)}"
        for key, item in one.items():
            same(f"{path}.{key}", item, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other), f"{path}: {len(one)} and {len(other)} elements"
        for index, (a, b) in enumerate(zip(one, other)):
            same(f"{path}[{index}]", a, b)
    elif isinstance(one, float):
        assert (math.isnan(one) and math.isnan(float(other))) or one == float(other), f"{path}: {one!r} and {other!r}"
    else:
        assert type(one) is type(other) and one == other, f"{path}: {one!r} and {other!r}"


def narrow(value):
    return cdr_samples.float32(float(value))


class Rosbags:
    """rosbags' typestore; values are dictionaries."""

    def __init__(self, _tool):
        self.store = cdr_samples.open_store(INTERFACES)

    def names(self):
        return cdr_samples.names(self.store, INTERFACES)

    def sample(self, rng, name, mode):
        return cdr_samples.zero_stand_in(cdr_samples.sample(rng, self.store, name, mode))

    def check(self, tool, name, content):
        message = cdr_samples.build(self.store, name, content)
        theirs = bytes(self.store.serialize_cdr(message, name))
        big = bytes(self.store.serialize_cdr(message, name, little_endian=False))
        ours = tool.encode(name, content)
        assert ours == theirs, f"{name}: {ours.hex()} and {theirs.hex()} for {content}"
        for data in (theirs, big):
            same(name, content, self.exact(name, tool.decode(name, data)))
        same(name, content, self.plain(name, self.store.deserialize_cdr(ours, name)))

    def exact(self, name, content):
        """The JSON with float32 values as they are, not their shortest decimal."""
        result = {}
        for field, definition in self.store.fielddefs[name][1]:
            if field != STAND_IN:
                result[field] = self.exact_value(definition, content[field])
        return result

    def exact_value(self, definition, item):
        node, detail = definition
        if node.name == "NAME":
            return self.exact(detail, item)
        if node.name == "BASE":
            return narrow(item) if detail[0] == "float32" else float(item) if detail[0] == "float64" else item
        return [self.exact_value(detail[0], element) for element in item]

    def plain(self, name, message):
        return {field: self.plain_value(definition, getattr(message, field)) for field, definition in self.store.fielddefs[name][1]}

    def plain_value(self, definition, item):
        node, detail = definition
        if node.name == "NAME":
            return self.plain(detail, item)
        if node.name == "BASE":
            return item
        return [self.plain_value(detail[0], element) for element in (item.tolist() if hasattr(item, "tolist") else item)]


class Rclpy:
    """rclpy's serialize_message; values are dictionaries, fields come from the message classes."""

    def __init__(self, tool):
        import importlib

        # The wheels are a prefix of their own.
        os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
        from ament_index_python.packages import get_package_share_directory
        from rclpy.serialization import deserialize_message, serialize_message

        self.serialize, self.deserialize = serialize_message, deserialize_message
        self.classes, self.texts = {}, {}
        packages = {path.name for path in INTERFACES.iterdir()} | {"test_msgs", "lifecycle_msgs"}
        for package in sorted(packages):
            try:
                share = pathlib.Path(get_package_share_directory(package))
            except LookupError:
                continue
            for kind, parts in (("msg", [""]), ("srv", ["Request", "Response"]), ("action", ["Goal", "Result", "Feedback"])):
                for path in sorted((share / kind).glob(f"*.{kind}")):
                    owner = getattr(importlib.import_module(f"{package}.{kind}"), path.stem)
                    for part, text in zip(parts, re.split(r"^---$", path.read_text(), flags=re.MULTILINE)):
                        name = f"{package}/{kind}/{path.stem}{'_' + part if part else ''}"
                        self.classes[name] = getattr(owner, part) if part else owner
                        self.texts[name] = text
        self.read_at_run_time(tool)

    def read_at_run_time(self, tool):
        """Types that we were not built with are given to us as definition texts."""
        for name in self.classes:
            package, kind, short = name.split("/")
            if (INTERFACES / package / kind / f"{short.split('_')[0]}.{kind}").exists():
                continue
            needed, open_ = [], [name]
            while open_:
                current = open_.pop()
                for _, _, inner in self.fields(current):
                    if "/" in inner and self.full(inner) not in needed:
                        needed.append(self.full(inner))
                        open_.append(self.full(inner))
            text = self.texts[name] + "".join(
                f"\n{'=' * 80}\nMSG: {inner.replace('/msg/', '/')}\n{self.texts[inner]}" for inner in needed
            )
            tool.ask("define", name, json.dumps(text))

    @staticmethod
    def full(inner):
        package, short = inner.split("/")
        return f"{package}/msg/{short}"

    def fields(self, name):
        """Name, how many (None: one; a number: exactly; `<=n` or an empty text: a sequence) and element type of each field."""
        for field, text in self.classes[name].get_fields_and_field_types().items():
            if field == STAND_IN:
                continue
            if match := re.fullmatch(r"sequence<(.*?)(?:, (\d+))?>", text):
                yield field, f"<={match[2]}" if match[2] else "", match[1]
            elif match := re.fullmatch(r"(.*)\[(\d+)\]", text):
                yield field, int(match[2]), match[1]
            else:
                yield field, None, text

    def names(self):
        return sorted(self.classes)

    def sample(self, rng, name, mode, depth=0):
        content = {}
        for field, count, inner in self.fields(name):
            if count is None:
                content[field] = self.element(rng, inner, mode, depth)
                continue
            if isinstance(count, str):
                count = cdr_samples.length(rng, int(count[2:] or 0) if count else 0, mode, depth)
            content[field] = [self.element(rng, inner, mode, depth + 1) for _ in range(count)]
        return content

    def element(self, rng, inner, mode, depth):
        if "/" in inner:
            return self.sample(rng, self.full(inner), mode, depth + 1)
        if match := re.fullmatch(r"(w?string)<(\d+)>", inner):
            return cdr_samples.scalar(rng, match[1], int(match[2]), mode)
        return cdr_samples.scalar(rng, inner, 0, mode)

    def build(self, name, content):
        message = self.classes[name]()
        for field, count, inner in self.fields(name):
            item = content[field]
            convert = lambda one: self.build(self.full(inner), one) if "/" in inner else bytes([one]) if inner == "octet" else one
            setattr(message, field, convert(item) if count is None else [convert(one) for one in item])
        return message

    def plain(self, name, message):
        content = {}
        for field, count, inner in self.fields(name):
            def convert(one):
                if "/" in inner:
                    return self.plain(self.full(inner), one)
                if inner == "octet":
                    return one[0]
                return one.item() if hasattr(one, "item") else one

            item = getattr(message, field)
            content[field] = convert(item) if count is None else [convert(one) for one in item]
        return content

    def exact(self, name, content):
        result = {}
        for field, count, inner in self.fields(name):
            def convert(one):
                if "/" in inner:
                    return self.exact(self.full(inner), one)
                return narrow(one) if inner == "float" else float(one) if inner == "double" else one

            result[field] = convert(content[field]) if count is None else [convert(one) for one in content[field]]
        assert result.keys() == content.keys(), f"{name}: {sorted(content)}"
        return result

    def check(self, tool, name, content):
        theirs = bytes(self.serialize(self.build(name, content)))
        same(name, content, self.exact(name, tool.decode(name, theirs)))
        ours = tool.encode(name, content)
        # rclpy's buffer is as long as an estimate that counts padding for empty sequences: what is over is not written.
        assert len(ours) <= len(theirs), f"{name}: {len(ours)} and {len(theirs)} bytes"
        same(name, content, self.plain(name, self.deserialize(ours, self.classes[name])))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", choices=["rosbags", "rclpy"], required=True)
    parser.add_argument("--tool", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tool = Tool(options.tool.resolve())
    peer = {"rosbags": Rosbags, "rclpy": Rclpy}[options.peer](tool)
    rng, failed, checked = random.Random(options.seed), [], 0
    names = peer.names()
    for name in names:
        for number in range(options.samples):
            try:
                peer.check(tool, name, peer.sample(rng, name, MODES[number % len(MODES)]))
                checked += 1
            except Exception as error:  # noqa: BLE001: every kind of failure is a finding
                failed.append(f"{name}: {type(error).__name__}: {str(error)[:600]}")
                break
    for line in failed:
        print("FAIL ", line)
    print(f"{options.peer}: {len(names)} types, {checked} samples agree in both directions, {len(failed)} types fail")
    return 1 if failed or len(names) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
