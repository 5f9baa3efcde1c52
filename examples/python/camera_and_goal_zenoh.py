#!/usr/bin/env python3
"""Listens to the robot's camera and sends it a goal, with nothing but a Zenoh session and a library for CDR.

    pip install eclipse-zenoh==1.10.2 rosbags==0.11.9
    python camera_and_goal_zenoh.py --room kitchen

What a ROS 2 node on rmw_zenoh says on the wire is done here by hand: keys with type hashes, CDR, and the attachment without which a
sample is dropped (rmw_zenoh: docs/design.md).
"""
import argparse
import os
import pathlib
import struct
import threading
import time

import zenoh
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

DEFINITIONS = pathlib.Path(__file__).resolve().parents[2] / "msgs/interfaces/omnimind_msgs/msg"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--router", default="tcp/127.0.0.1:7447", help="where `omnimind` listens")
    parser.add_argument("--room", default="kitchen", help="room to go to")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to wait for a picture")
    options = parser.parse_args()

    # The standard types come with the library, ours from the definition file.
    store = get_typestore(Stores.ROS2_KILTED)
    goal_type = "omnimind_msgs/msg/Goal"
    store.register(get_types_from_msg((DEFINITIONS / "Goal.msg").read_text(), goal_type))
    domain = os.environ.get("ROS_DOMAIN_ID", "0")

    def key(topic: str, ros_type: str) -> str:
        package, kind, name = ros_type.split("/")
        return f"{domain}/{topic}/{package}::{kind}::dds_::{name}_/{store.hash_rihs01(ros_type)}"

    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", f'["{options.router}"]')
    config.insert_json5("scouting/multicast/enabled", "false")
    seen = threading.Event()

    def on_image(sample: zenoh.Sample) -> None:
        image = store.deserialize_cdr(bytes(sample.payload), "sensor_msgs/msg/Image")
        if not seen.is_set():
            print(f"a picture of {image.width} x {image.height} ({image.encoding}), mean {image.data.mean():.1f}", flush=True)
        seen.set()

    with zenoh.open(config) as session:
        listener = session.declare_subscriber(key("camera/image_raw", "sensor_msgs/msg/Image"), on_image)
        if not seen.wait(options.seconds):
            print(f"no picture in {options.seconds} s")
            return 1
        listener.undeclare()

        types = store.types
        goal = types[goal_type](
            goal_id="", kind=types[goal_type].GO_TO, description=f"go to the {options.room}", object_label="", room=options.room,
            pose=types["geometry_msgs/msg/PoseStamped"](
                header=types["std_msgs/msg/Header"](stamp=types["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id=""),
                pose=types["geometry_msgs/msg/Pose"](
                    position=types["geometry_msgs/msg/Point"](x=0.0, y=0.0, z=0.0),
                    orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
                ),
            ),
            priority=0.5, deadline=types["builtin_interfaces/msg/Duration"](sec=0, nanosec=0),
        )
        # Sequence number, time, and an identity of 16 bytes with its length before it.
        attachment = struct.pack("<qqB", 1, time.time_ns(), 16) + os.urandom(16)
        session.put(key("planner/goal", goal_type), bytes(store.serialize_cdr(goal, goal_type)), attachment=attachment)
        print(f"asked to go to the {options.room}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
