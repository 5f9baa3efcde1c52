"""The form of Humble, which has no type hashes: `TypeHashNotSupported` in keys and tokens."""
import pathlib
import queue
import subprocess
import tempfile
import time

import zenoh

from raw_zenoh import BATTERY, LIMIT, STORE, attachment, battery


def checks(endpoint, binary, environment):
    def speaks():
        """with ROS_DISTRO=humble a node announces and hears keys without hashes, and no others"""
        config = zenoh.Config()
        config.insert_json5("mode", '"client"')
        config.insert_json5("connect/endpoints", f'["{endpoint}"]')
        config.insert_json5("scouting/multicast/enabled", "false")
        heard = queue.Queue()
        data = "sensor_msgs::msg::dds_::BatteryState_/TypeHashNotSupported"
        humble = dict(environment, ROS_DISTRO="humble", ROS_DOMAIN_ID="17")
        with zenoh.open(config) as session, tempfile.TemporaryDirectory() as folder:
            _listener = session.declare_subscriber(f"17/battery_state/{data}", heard.put)
            output = pathlib.Path(folder, "log").open("w")
            node = subprocess.Popen([binary, "run", "battery"], env=humble, cwd=folder, stdout=output, stderr=output)
            try:
                until, tokens = time.monotonic() + LIMIT, []
                while time.monotonic() < until and not any("/MS/" in token for token in tokens):
                    tokens = [str(r.ok.key_expr) for r in session.liveliness().get("@ros2_lv/17/**", timeout=3.0) if r.ok]
                endpoints = [token.split("/") for token in tokens if "/NN/" not in token]
                assert endpoints and all(chunks[11] == "TypeHashNotSupported" for chunks in endpoints), tokens
                until = time.monotonic() + LIMIT
                while heard.empty() and time.monotonic() < until:
                    session.put(f"17/device/battery/{data}", battery(sec=9), attachment=attachment(1))
                    time.sleep(0.1)
                assert STORE.deserialize_cdr(bytes(heard.get(timeout=1.0).payload), BATTERY).header.stamp.sec == 9
            finally:
                node.terminate()
                node.wait(10)

    return [speaks]
