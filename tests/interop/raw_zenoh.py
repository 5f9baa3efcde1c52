"""The bytes on the wire, seen by a plain Zenoh session; CDR by rosbags, identities by xxhash."""
import pathlib
import queue
import struct
import time

import xxhash
import zenoh
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
ROOT = pathlib.Path(__file__).resolve().parents[2]
HASHES = dict(
    line.split()
    for line in (ROOT / "msgs/tests/official_hashes.txt").read_text().splitlines()
    if not line.startswith("#")
)
BATTERY = "sensor_msgs/msg/BatteryState"
LIMIT = 15.0


def wait_for(what, condition):
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def key(name, ros_type):
    package, kind, short = ros_type.split("/")
    return f"0/{name}/{package}::{kind}::dds_::{short}_/{HASHES[ros_type]}"


def attachment(sequence, gid=b"\x05" * 16, stamp=77):
    return struct.pack("<qqB", sequence, stamp, 16) + gid


def read_attachment(data):
    raw = bytes(data)
    assert len(raw) == 33, f"{len(raw)} bytes"
    sequence, stamp, length = struct.unpack_from("<qqB", raw)
    assert length == 16
    return sequence, stamp, raw[17:]


def battery(voltage=15.0, current=-1.0, sec=1):
    types = STORE.types
    import numpy

    empty = numpy.array([], dtype=numpy.float32)
    stamp = types["builtin_interfaces/msg/Time"](sec=sec, nanosec=0)
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="base_link")
    nan = float("nan")
    message = types[BATTERY](
        header=header, voltage=voltage, temperature=25.0, current=current, charge=nan, capacity=nan, design_capacity=nan,
        percentage=nan, power_supply_status=2, power_supply_health=1, power_supply_technology=2, present=True,
        cell_voltage=empty, cell_temperature=empty, location="", serial_number="raw",
    )
    return bytes(STORE.serialize_cdr(message, BATTERY))


def checks(endpoint, _binary, _environment):
    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", f'["{endpoint}"]')
    config.insert_json5("connect/timeout_ms", "60000")
    config.insert_json5("scouting/multicast/enabled", "false")
    session = zenoh.open(config)

    def tokens():
        return [str(reply.ok.key_expr) for reply in session.liveliness().get("@ros2_lv/0/**", timeout=3.0) if reply.ok]

    def endpoints(kind, name):
        """Tokens of a kind whose topic or service is `name`, in chunks."""
        split = [token.split("/") for token in tokens()]
        return [t for t in split if t[5] == kind and len(t) > 9 and t[9] == name.replace("/", "%")]

    heard = queue.Queue()
    state_key = key("battery_state", BATTERY)
    raw_key = key("device/battery", BATTERY)
    subscriber = session.declare_subscriber(state_key, lambda sample: heard.put(sample))

    def node_token():
        """a node is announced by an NN token with its namespace and name"""
        found = wait_for("the node", lambda: [t for t in tokens() if "/NN/" in t and t.endswith("/battery")])
        chunks = found[0].split("/")
        assert chunks[:2] == ["@ros2_lv", "0"] and chunks[3] == chunks[4], chunks
        assert chunks[6:] == ["%", "%", "battery"], chunks

    def endpoint_tokens():
        """endpoints are announced with type, official hash and QoS"""
        hash_ = HASHES[BATTERY]
        publisher = wait_for("the publisher", lambda: endpoints("MP", "/battery_state"))[0]
        assert publisher[10:13] == ["sensor_msgs::msg::dds_::BatteryState_", hash_, ":1:,1:,:,:,,"], publisher
        subscription = endpoints("MS", "/device/battery")[0]
        assert subscription[10:13] == ["sensor_msgs::msg::dds_::BatteryState_", hash_, "2::,5:,:,:,,"], subscription
        server = endpoints("SS", "/battery/list_parameters")[0]
        official = HASHES["rcl_interfaces/srv/ListParameters"]
        assert server[10:12] == ["rcl_interfaces::srv::dds_::ListParameters_", official], server

    def samples():
        """a sample published by a stranger is handled, and the answer carries CDR, sequence, time and the token's GID"""
        before = time.time_ns()
        sequences = []
        for number in range(1, 4):
            session.put(raw_key, battery(sec=number), attachment=attachment(number))
            sample = heard.get(timeout=LIMIT)
            sequence, stamp, gid = read_attachment(sample.attachment)
            sequences.append(sequence)
            token = "/".join(endpoints("MP", "/battery_state")[0])
            # XXH3-128 as rmw_zenoh stores it: low half first, little-endian.
            assert gid == xxhash.xxh3_128_intdigest(token.encode()).to_bytes(16, "little"), gid.hex()
            assert before <= stamp <= time.time_ns(), stamp
            message = STORE.deserialize_cdr(bytes(sample.payload), BATTERY)
            assert message.serial_number == "raw" and message.header.stamp.sec == number
            assert 0.0 <= message.percentage <= 1.0
            assert bytes(STORE.serialize_cdr(message, BATTERY)) == bytes(sample.payload), "rosbags writes other bytes"
            assert str(sample.encoding) == "zenoh/bytes", sample.encoding
        assert sequences == [1, 2, 3], sequences

    def late_joiner():
        """a late joiner gets the last sample of a transient-local topic"""
        late = queue.Queue()
        advanced = zenoh.ext.declare_advanced_subscriber(
            session, state_key, lambda sample: late.put(sample), history=zenoh.ext.HistoryConfig(detect_late_publishers=True)
        )
        sample = late.get(timeout=LIMIT)
        assert STORE.deserialize_cdr(bytes(sample.payload), BATTERY).header.stamp.sec == 3
        assert len(bytes(sample.attachment)) == 33
        advanced.undeclare()

    def malformed():
        """samples without an attachment, with a short one, and with damaged CDR are dropped and the node lives on"""
        good = battery(sec=50)
        session.put(raw_key, good)
        session.put(raw_key, good, attachment=b"\1\2\3")
        session.put(raw_key, good[:20], attachment=attachment(10))
        session.put(raw_key, b"", attachment=attachment(11))
        session.put(raw_key, good[:24] + b"\xff" * 40, attachment=attachment(12))
        session.put(raw_key, battery(sec=51), attachment=attachment(13))
        sample = heard.get(timeout=LIMIT)
        assert STORE.deserialize_cdr(bytes(sample.payload), BATTERY).header.stamp.sec == 51

    def service():
        """a service answers a query; the reply repeats the request's sequence number and GID"""
        # ListParameters_Request: string[] prefixes (empty), uint64 depth (0).
        request = b"\x00\x01\x00\x00" + struct.pack("<IIQ", 0, 0, 0)
        service_key = key("battery/list_parameters", "rcl_interfaces/srv/ListParameters")
        gid = bytes(range(16))
        replies = list(session.get(service_key, payload=request, attachment=attachment(9, gid), timeout=LIMIT))
        assert len(replies) == 1 and replies[0].ok, replies
        sequence, stamp, answered = read_attachment(replies[0].ok.attachment)
        assert (sequence, answered) == (9, gid) and stamp > 77
        assert str(replies[0].ok.key_expr) == service_key
        assert b"capacity_wh\0" in bytes(replies[0].ok.payload)

    def bad_request():
        """a request without an attachment is answered with an error at once"""
        service_key = key("battery/list_parameters", "rcl_interfaces/srv/ListParameters")
        replies = list(session.get(service_key, payload=b"\x00\x01\x00\x00", timeout=LIMIT))
        assert len(replies) == 1 and replies[0].err, replies

    def close():
        """the session closes"""
        subscriber.undeclare()
        session.close()

    return [node_token, endpoint_tokens, samples, late_joiner, malformed, service, bad_request, close]
