"""A node with a type that `omnimind` was not built with: it describes the type, and `omnimind topic echo` shows its samples."""
import json
import struct
import subprocess
import threading
import time

import zenoh
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from raw_zenoh import HASHES, attachment

SPOT = "demo_msgs/msg/Spot"
SERVICE = "type_description_interfaces/srv/GetTypeDescription"


def described(store, name):
    """The type description of a message without nested types, as rosbags has it."""
    ids = {"float64": 11, "string": 17, "int32": 6}
    types = store.types
    fields = []
    for field, (node, detail) in store.fielddefs[name][1]:
        base, offset = (detail, 0) if node.name == "BASE" else (detail[0][1], 144)
        kind = types["type_description_interfaces/msg/FieldType"](
            type_id=ids[base[0]] + offset, capacity=0, string_capacity=0, nested_type_name=""
        )
        fields.append(types["type_description_interfaces/msg/Field"](name=field, type=kind, default_value=""))
    own = types["type_description_interfaces/msg/IndividualTypeDescription"](type_name=name, fields=fields)
    return types["type_description_interfaces/msg/TypeDescription"](type_description=own, referenced_type_descriptions=[])


def checks(endpoint, binary, environment):
    def echo():
        """`topic echo` shows a type that only its publisher knows, and another version of one that it knows"""
        store = get_typestore(Stores.ROS2_KILTED)
        store.register(get_types_from_msg("float64 x\nstring name\nint32[] numbers\n", SPOT))
        other = "std_msgs/msg/ColorRGBA"
        changed = get_typestore(Stores.EMPTY)
        changed.register(get_types_from_msg("float64 r\nstring name\n", other))
        for inner in [name for name in store.fielddefs if name.startswith("type_description_interfaces/msg/")]:
            if inner not in changed.fielddefs:
                changed.register({inner: store.fielddefs[inner]})
        response = "type_description_interfaces/srv/GetTypeDescription_Response"
        text = "bool successful\nstring failure_reason\ntype_description_interfaces/msg/TypeDescription type_description\n"
        text += "type_description_interfaces/msg/TypeSource[] type_sources\ntype_description_interfaces/msg/KeyValue[] extra_information\n"
        (definition,) = get_types_from_msg(text, response).values()
        store.register({response: definition})
        config = zenoh.Config()
        config.insert_json5("mode", '"client"')
        config.insert_json5("connect/endpoints", f'["{endpoint}"]')
        config.insert_json5("scouting/multicast/enabled", "false")
        kinds = {
            SPOT: (store, store.types[SPOT](x=1.5, name="Grüße", numbers=__import__("numpy").array([1, -2], dtype="int32"))),
            other: (changed, changed.types[other](r=0.25, name="teal")),
        }
        with zenoh.open(config) as session:
            head, held = f"@ros2_lv/0/{session.info.zid()}", []

            def announce(tail):
                held.append(session.liveliness().declare_token(f"{head}/{tail}"))

            def key(name, ros_type, hash_):
                package, kind, short = ros_type.split("/")
                return f"{name}/{package}::{kind}::dds_::{short}_/{hash_}"

            announce("1/1/NN/%/%/foreign")
            service = key("foreign/get_type_description", SERVICE, HASHES[SERVICE])
            announce("1/2/SS/%/%/foreign/%" + service.replace("foreign/get", "foreign%get", 1) + "/::,10:,:,:,,")

            def answer(query):
                body = bytes(query.payload)[4:]
                length = struct.unpack_from("<I", body)[0]
                asked = body[4 : 3 + length].decode()
                source = kinds[asked][0]
                message = store.types[response](
                    successful=True, failure_reason="", type_description=described(source, asked), type_sources=[], extra_information=[]
                )
                sequence, _, _ = struct.unpack_from("<qqB", bytes(query.attachment))
                gid = bytes(query.attachment)[17:]
                query.reply(query.key_expr, bytes(store.serialize_cdr(message, response)), attachment=attachment(sequence, gid))

            held.append(session.declare_queryable("0/" + service, answer, complete=True))
            stop = threading.Event()
            publishers = []
            for number, (ros_type, (source, message)) in enumerate(kinds.items()):
                topic = key(f"foreign_{number}", ros_type, source.hash_rihs01(ros_type))
                announce(f"1/{number + 3}/MP/%/%/foreign/%{topic}/::,10:,:,:,,")
                publishers.append(("0/" + topic, bytes(source.serialize_cdr(message, ros_type))))

            def talk():
                sequence = 0
                while not stop.wait(0.1):
                    sequence += 1
                    for topic, data in publishers:
                        session.put(topic, data, attachment=attachment(sequence, stamp=time.time_ns()))

            thread = threading.Thread(target=talk)
            thread.start()
            try:
                done = [
                    subprocess.run(
                        [binary, "topic", "echo", f"/foreign_{number}", "--once", "--json"], env=environment, capture_output=True,
                        text=True, timeout=60,
                    )
                    for number in range(2)
                ]
            finally:
                stop.set()
                thread.join()
        assert done[0].returncode == 0, done[0].stdout + done[0].stderr
        assert json.loads(done[0].stdout) == {"x": 1.5, "name": "Grüße", "numbers": [1, -2]}, done[0].stdout
        assert done[1].returncode == 0, done[1].stdout + done[1].stderr
        assert json.loads(done[1].stdout) == {"r": 0.25, "name": "teal"}, done[1].stdout
        assert "field `r` is float32 in ours and float64 in theirs" in done[1].stderr, done[1].stderr
        assert "theirs has a field `name` (string) that ours has not" in done[1].stderr, done[1].stderr

    return [echo]
