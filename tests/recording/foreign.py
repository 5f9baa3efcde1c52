"""A publisher that is no OmniMind: a plain Zenoh session that speaks rmw_zenoh's form, with types of its own, and a listener of the same kind."""
import hashlib
import pathlib
import struct
import sys
import time

import zenoh
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
from foreign_type import SERVICE, described  # noqa: E402
from raw_zenoh import HASHES, attachment  # noqa: E402

RESPONSE = "type_description_interfaces/srv/GetTypeDescription_Response"


class Type:
    """A message type without nested types, by its definition."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.store = get_typestore(Stores.EMPTY)
        known = get_typestore(Stores.ROS2_KILTED)
        self.store.register({n: known.fielddefs[n] for n in known.fielddefs if n.startswith("type_description_interfaces/msg/")})
        self.store.register(get_types_from_msg(text, name))
        self.hash = self.store.hash_rihs01(name)

    def cdr(self, **fields):
        return bytes(self.store.serialize_cdr(self.store.types[self.name](**fields), self.name))

    def key(self, topic):
        package, kind, short = self.name.split("/")
        return f"{topic.lstrip('/')}/{package}::{kind}::dds_::{short}_/{self.hash}"


def connect(endpoint):
    config = zenoh.Config()
    for key, value in [("mode", '"client"'), ("connect/endpoints", f'["{endpoint}"]'), ("scouting/multicast/enabled", "false")]:
        config.insert_json5(key, value)
    return zenoh.open(config)


class Node:
    """A node that publishes; `tells` are the types that its description service tells, and with none it has no such service."""

    def __init__(self, session, number, name, tells=()):
        self.session, self.number, self.name = session, number, name
        self.held, self.next, self.said = [], 2, {}
        self.announce(f"{number}/{number}/NN/%/%/{name}")
        self.tells = {kind.hash: kind for kind in tells}
        if tells:
            package, kind, short = SERVICE.split("/")
            service, tail = f"{name}/get_type_description", f"{package}::{kind}::dds_::{short}_/{HASHES[SERVICE]}"
            self.endpoint("SS", service, tail)
            self.held.append(session.declare_queryable(f"0/{service}/{tail}", self.answer, complete=True))

    def announce(self, tail):
        self.held.append(self.session.liveliness().declare_token(f"@ros2_lv/0/{self.session.info.zid()}/{tail}"))

    def endpoint(self, kind, name, tail):
        mangled = "%" + name.lstrip("/").replace("/", "%")
        self.announce(f"{self.number}/{self.number * 100 + self.next}/{kind}/%/%/{self.name}/{mangled}/{tail}/::,10:,:,:,,")
        self.next += 1

    def publishes(self, kind, topic):
        self.endpoint("MP", topic, kind.key("")[1:])

    def say(self, kind, topic, data):
        key = kind.key(topic)
        self.said[key] = self.said.get(key, 0) + 1
        # Each publisher has an identity of its own, and counts.
        gid = hashlib.md5(f"{self.name} {key}".encode()).digest()
        self.session.put("0/" + key, data, attachment=attachment(self.said[key], gid, time.time_ns()))

    def answer(self, query):
        body = bytes(query.payload)[4:]
        length = struct.unpack_from("<I", body)[0]
        start = (4 + length + 3) // 4 * 4
        asked = body[start + 4 : start + 3 + struct.unpack_from("<I", body, start)[0]].decode()
        kind = self.tells[asked]
        store = get_typestore(Stores.ROS2_KILTED)
        text = "bool successful\nstring failure_reason\ntype_description_interfaces/msg/TypeDescription type_description\n"
        text += "type_description_interfaces/msg/TypeSource[] type_sources\ntype_description_interfaces/msg/KeyValue[] extra_information\n"
        (definition,) = get_types_from_msg(text, RESPONSE).values()
        store.register({RESPONSE: definition})
        source = store.types["type_description_interfaces/msg/TypeSource"](type_name=kind.name, encoding="msg", raw_file_contents=kind.text)
        message = store.types[RESPONSE](successful=True, failure_reason="", type_description=described(kind.store, kind.name),
                                        type_sources=[source], extra_information=[])
        sequence, _, _ = struct.unpack_from("<qqB", bytes(query.attachment))
        query.reply(query.key_expr, bytes(store.serialize_cdr(message, RESPONSE)), attachment=attachment(sequence, bytes(query.attachment)[17:]))
