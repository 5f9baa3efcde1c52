"""pamoja-ros2: a second opinion on key expressions, mangled names and CDR, held against what the running node announces."""
import pathlib
import struct
import time

import zenoh
from pamoja import ros2

from raw_zenoh import HASHES, LIMIT

ROOT = pathlib.Path(__file__).resolve().parents[2]


def checks(endpoint, _binary, _environment):
    def keys():
        """the keys on which the node listens and serves are those that it builds"""
        wanted = {
            ros2.entity_key(0, name, ros_type, HASHES[ros_type])
            for name, ros_type in [
                ("/device/battery", "sensor_msgs/msg/BatteryState"),
                ("/battery/list_parameters", "rcl_interfaces/srv/ListParameters"),
                ("/battery/get_type_description", "type_description_interfaces/srv/GetTypeDescription"),
            ]
        }
        assert None not in wanted
        config = zenoh.Config()
        config.insert_json5("mode", '"client"')
        config.insert_json5("connect/endpoints", f'["{endpoint}"]')
        config.insert_json5("scouting/multicast/enabled", "false")
        with zenoh.open(config) as session:
            until, tokens = time.monotonic() + LIMIT, []
            while time.monotonic() < until and not any("get_type_description" in token for token in tokens):
                tokens = [str(reply.ok.key_expr) for reply in session.liveliness().get("@ros2_lv/0/**", timeout=3.0) if reply.ok]
        announced = set()
        for chunks in (token.split("/") for token in tokens):
            if len(chunks) == 13:
                name = chunks[9].replace("%", "/")
                assert ros2.percent_mangle(name) == chunks[9]
                assert ros2.is_valid_name(name) and ros2.is_fully_qualified(name), name
                assert ros2.type_hash_digest(chunks[11]) is not None, chunks[11]
                announced.add(f"0{name}/{chunks[10]}/{chunks[11]}")
        assert wanted <= announced, wanted - announced

    def type_names():
        """its names on the wire of all our interfaces are in our form"""
        for path in sorted((ROOT / "msgs/interfaces").glob("*/*/*.[msa]*")):
            package, kind, name = path.parent.parent.name, path.parent.name, path.stem
            if kind in ("msg", "srv", "action"):
                assert ros2.dds_type_name(f"{package}/{kind}/{name}") == f"{package}::{kind}::dds_::{name}_", path

    def twist():
        """its CDR of a Twist is what the format says"""
        encoded = bytes(ros2.twist_to_cdr((1.0, -2.0, 0.5), (0.0, 1e-3, 3.0)))
        assert encoded == b"\x00\x01\x00\x00" + struct.pack("<6d", 1.0, -2.0, 0.5, 0.0, 1e-3, 3.0), encoded.hex()

    return [keys, type_names, twist]
