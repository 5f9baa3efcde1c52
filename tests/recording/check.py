"""Reads a recording with readers that nobody here wrote: PyPI `mcap` (structure) and `rosbags` (every message's content).

usage: check.py RECORDING.mcap [--cut] [--expect TOPIC ...]
--cut: the file may end anywhere, as after a kill; then only what is complete is read.
Exit code 0 when everything can be read and every expected topic is there.
"""

import argparse
import pathlib
import sys

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore


def messages(path, cut):
    with path.open("rb") as stream:
        if not cut:
            yield from make_reader(stream, validate_crcs=True).iter_messages()
            return
        schemas, channels = {}, {}
        try:
            for record in StreamReader(stream, validate_crcs=True).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message):
                    channel = channels[record.channel_id]
                    yield schemas[channel.schema_id], channel, record
        except McapError as error:
            print(f"ends early: {type(error).__name__}: {error}")


def register(store, schema, known):
    """Adds the types of a ros2msg schema to the type store."""
    parts = schema.data.decode().split("=" * 80 + "\n")
    types = get_types_from_msg(parts[0], schema.name)
    for part in parts[1:]:
        first, _, text = part.partition("\n")
        name = first.removeprefix("MSG: ").strip()
        if name.count("/") == 1:
            name = name.replace("/", "/msg/")
        types.update(get_types_from_msg(text, name))
    store.register({name: fields for name, fields in types.items() if name not in known})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=pathlib.Path)
    parser.add_argument("--cut", action="store_true")
    parser.add_argument("--expect", nargs="*", default=[])
    arguments = parser.parse_args()

    store = get_typestore(Stores.ROS2_JAZZY)
    registered = set()
    counts = {}
    last_time = {}
    for schema, channel, message in messages(arguments.path, arguments.cut):
        assert schema.encoding == "ros2msg", f"{channel.topic}: schema encoding {schema.encoding}"
        assert channel.message_encoding == "cdr", f"{channel.topic}: message encoding {channel.message_encoding}"
        assert "offered_qos_profiles" in channel.metadata, f"{channel.topic}: no quality of service"
        if schema.name not in registered:
            register(store, schema, store.fielddefs)
            registered.add(schema.name)
        value = store.deserialize_cdr(message.data, schema.name)
        if schema.name == "sensor_msgs/msg/Image":
            assert len(value.data) == value.step * value.height, f"{channel.topic}: image of {len(value.data)} bytes"
        if schema.name == "sensor_msgs/msg/CompressedImage":
            # compressed_depth_image_transport: format and two numbers in 12 bytes, then a PNG.
            depth = "compressedDepth" in value.format
            picture, magic = (bytes(value.data[12:20]), b"\x89PNG\r\n\x1a\n") if depth else (bytes(value.data[:2]), b"\xff\xd8")
            assert picture == magic, f"{channel.topic}: not {value.format}"
        assert message.log_time >= last_time.get(channel.id, 0), f"{channel.topic}: time goes back"
        last_time[channel.id] = message.log_time
        counts[channel.topic] = counts.get(channel.topic, 0) + 1

    for topic, count in sorted(counts.items()):
        print(f"{count:8} {topic}")
    missing = [topic for topic in arguments.expect if topic not in counts]
    if missing:
        print(f"missing: {', '.join(missing)}")
    if not counts:
        print("no message could be read")

    metadata = arguments.path.with_name("metadata.yaml")
    if not arguments.cut and metadata.exists():
        from rosbags.rosbag2 import Reader

        with Reader(arguments.path.parent) as bag:
            assert bag.message_count == sum(counts.values()), f"metadata.yaml says {bag.message_count} messages"
            read = sum(1 for _ in bag.messages())
            assert read == bag.message_count, f"rosbag2 reader found {read} of {bag.message_count}"
        print(f"as a ROS 2 bag: {read} messages")
    return 1 if missing or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
