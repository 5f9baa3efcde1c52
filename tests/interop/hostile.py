"""Strangers that do harm: keys that mean everything, samples of 200 MB, tokens that come twice. The graph is unharmed and says why."""
import pathlib

import zenoh

from peer import LIMIT, STORE, Wire, attachment, decode, encode, start, wait_for
from raw_zenoh import BATTERY, battery

LARGE = 200 * 10**6


def peak(pid):
    """The most memory that a process has had, bytes."""
    (line,) = [l for l in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if l.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def checks(endpoint, binary, environment):
    process = start([binary, "run", "battery", "--ros-args", "-r", "__ns:=/victim"], environment)
    wire = Wire(endpoint)
    wire.end("MP", "/victim/battery_state")
    said = wire.listen("/diagnostics")
    state = wire.listen("/victim/battery_state")
    number = [0]

    def put(payload, key=None, **more):
        number[0] += 1
        wire.session.put(key or wire.key("MS", "/victim/device/battery"), payload, attachment=attachment(number[0], b"\x41" * 16), **more)

    def alive():
        """It hears a reading and answers a call."""
        put(battery(sec=1000 + number[0]))
        message = decode(state.get(timeout=LIMIT).payload, BATTERY)
        assert message.header.stamp.sec == 999 + number[0], message.header
        assert state.empty(), "only what was meant for it"
        assert wire.call("/victim/battery/get_parameters", "rcl_interfaces/GetParameters", ["low"]).values

    def reason(*words):
        """Waits until the victim's graph says so on /diagnostics."""

        def heard():
            report = decode(said.get(timeout=LIMIT).payload, "diagnostic_msgs/msg/DiagnosticArray")
            return [s for s in report.status if "victim" in s.name or "battery" in s.name if all(word in s.message for word in words)]

        return wait_for(f"a sentence with {words}", heard)[0]

    def wild_samples():
        """a sample that is put on everything is refused by everybody, with the reason on /diagnostics"""
        good = battery(sec=7)
        for key in ("0/**", "**", "0/*/*/*/*", "0/victim/**"):
            for payload in (good, b"\xff" * 50):
                put(payload, key)
                wire.session.put(key, payload)
        alive()
        assert "OMNIMIND" not in reason("more than one topic or service").message

    def wild_requests():
        """a request to everything is answered with a refusal by each server, and nothing is done"""
        for key in ("0/**", "**", "0/victim/**"):
            replies = list(wire.session.get(key, payload=b"\xff" * 9, attachment=attachment(1), timeout=LIMIT, target=zenoh.QueryTarget.ALL))
            assert replies and not [r for r in replies if r.ok], replies
            reasons = {r.err.payload.to_string() for r in replies}
            assert all("more than one topic or service" in why for why in reasons), reasons
        alive()

    def oversized():
        """a sample of 200 MB is refused with the limit in the reason, and costs no copy of it"""
        before = peak(process.pid)
        put(battery(sec=8) + bytes(LARGE), congestion_control=zenoh.CongestionControl.BLOCK)
        message = reason("OMNIMIND_MAX_SAMPLE_BYTES").message
        assert str(128 << 20) in message, message
        grown = peak(process.pid) - before
        print(f"      a sample of {LARGE / 1e6:.0f} MB raises the peak memory of the node's process by {grown / 1e6:.0f} MB")
        assert grown < 1.6 * LARGE, "it was put together once, and not copied"
        alive()

    def twins():
        """tokens that come twice, and tokens that are none, harm nobody; two nodes of one name are told of"""
        zid = str(wire.session.info.zid())
        held = []
        for key in (f"{zid}/1/1/NN/%/%victim/battery", f"{zid}/1/1/NN/%/%victim/battery", "a/0/0/NN/%/%/x", "aa/1/1/NN/%/%/9bad"):
            held.append(wire.session.liveliness().declare_token(f"@ros2_lv/0/{key}"))
        told = reason("2 nodes of this name")
        assert "/victim/battery" in told.name, told
        alive()
        for token in held:
            token.undeclare()

    def end():
        """the process ends"""
        wire.close()
        process.end()

    return [wild_samples, wild_requests, oversized, twins, end]
