#!/usr/bin/env python3
"""rclpy on Fast DDS and a node of the graph meet over `omnimind bridge dds`.

Run by the Python of a ROS 2 prefix (bridge/setup_ros.sh) with eclipse-zenoh in it:
    PREFIX/bin/python dds_bridge.py --binary <omnimind built with the feature dds> [--prefix <the prefix it was built with>]
"""
import argparse
import collections
import faulthandler
import json
import os
import pathlib
import queue
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ["ROS_DOMAIN_ID"] = str(random.randrange(20, 100))

import rclpy
import zenoh
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from action_msgs.srv import CancelGoal
from sensor_msgs.msg import BatteryState
from std_msgs.msg import String
from std_srvs.srv import SetBool
from test_msgs.action import Fibonacci

LIMIT = 20.0
DOMAIN = os.environ["ROS_DOMAIN_ID"]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def wait_for(what, condition, limit=LIMIT):
    until = time.monotonic() + limit
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class System:
    """Processes of the graph's side."""

    def __init__(self, binary, prefix, folder):
        self.words = [str(prefix / "bin/with-ros"), str(binary)]
        self.folder = pathlib.Path(folder)
        self.endpoint = f"tcp/127.0.0.1:{free_port()}"
        self.environment = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")}
        self.environment["ZENOH_CONFIG_OVERRIDE"] = f'connect/endpoints=["{self.endpoint}"]'
        # What the bridge does without being told is what is tested.
        self.environment.pop("ROS_AUTOMATIC_DISCOVERY_RANGE", None)
        self.running = []

    def start(self, name, *words):
        log = open(self.folder / f"{name}.log", "a")
        process = subprocess.Popen([*self.words, *words], env=self.environment, stdout=log, stderr=log, cwd=self.folder)
        self.running.append(process)
        return process

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def run(self, *words):
        done = subprocess.run([*self.words, *words], env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def stop(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()


class Dds:
    """A node of rclpy."""

    def __init__(self):
        rclpy.init()
        self.group = ReentrantCallbackGroup()
        self.node = rclpy.create_node("dds_peer")
        self.node.declare_parameter("gain", 1.5)
        self.heard = collections.defaultdict(list)
        self.executor = MultiThreadedExecutor(4)
        self.executor.add_node(self.node)
        threading.Thread(target=self.spin, daemon=True).start()

    def spin(self):
        while True:
            try:
                self.executor.spin_once(timeout_sec=0.2)
            except Exception as error:
                # rclpy's executor falls over an endpoint that another thread destroys meanwhile.
                if type(error).__name__ != "InvalidHandle":
                    raise

    def listen(self, topic, kind=String, qos=QoSProfile(depth=10)):
        self.heard[topic] = heard = []
        return self.node.create_subscription(kind, topic, heard.append, qos, callback_group=self.group)

    def wait(self, future):
        wait_for("an answer", future.done)
        return future.result()


class Raw:
    """A node on Zenoh in rmw_zenoh's words, with CDR by rclpy; it stands for any node of the graph with types that OmniMind lacks."""

    def __init__(self, endpoint):
        config = zenoh.Config()
        config.insert_json5("mode", '"client"')
        config.insert_json5("connect/endpoints", f'["{endpoint}"]')
        config.insert_json5("scouting/multicast/enabled", "false")
        self.session = zenoh.open(config)
        self.kept = []
        self.number = 0
        self.token("NN", None, None)

    def hash(self, name):
        package, kind, short = name.split("/")
        file = pathlib.Path(sys.prefix) / "share" / package / kind / f"{short.split('_')[0]}.json"
        return {h["type_name"]: h["hash_string"] for h in json.loads(file.read_text())["type_hashes"]}[name]

    def key(self, name, kind):
        package, folder, short = kind.split("/")
        return f"{package}::{folder}::dds_::{short}_/{self.hash(kind)}", f"{DOMAIN}{name}/{package}::{folder}::dds_::{short}_/{self.hash(kind)}"

    def token(self, code, name, kind, qos="::,10:,:,:,,"):
        self.number += 1
        head = f"@ros2_lv/{DOMAIN}/{self.session.info.zid()}/1/{self.number}/{code}/%/%/raw_peer"
        rest = "" if name is None else f"/{name.replace('/', '%')}/{self.key(name, kind)[0]}/{qos}"
        self.kept.append(self.session.liveliness().declare_token(head + rest))

    def attachment(self, sequence=1):
        return struct.pack("<qqB", sequence, time.time_ns(), 16) + b"\x07" * 16

    def publish(self, name, kind):
        self.token("MP", name, kind)
        sequence = iter(range(1, 1_000_000))
        return lambda message: self.session.put(self.key(name, kind)[1], serialize_message(message), attachment=self.attachment(next(sequence)))

    def listen(self, name, kind, cls):
        self.token("MS", name, kind)
        heard = queue.Queue()
        put = lambda sample: heard.put(deserialize_message(bytes(sample.payload), cls))
        self.kept.append(self.session.declare_subscriber(self.key(name, kind)[1], put))
        return heard

    def serve(self, name, kind, request_class, handler):
        def answer(query):
            response = handler(deserialize_message(bytes(query.payload), request_class))
            query.reply(query.key_expr, serialize_message(response), attachment=bytes(query.attachment))

        self.kept.append(self.session.declare_queryable(self.key(name, kind)[1], answer, complete=True))
        self.token("SS", name, kind)

    def call_raw(self, name, kind, payload, timeout=LIMIT):
        replies = self.session.get(self.key(name, kind)[1], payload=payload, attachment=self.attachment(), timeout=timeout)
        return list(replies)

    def call(self, name, kind, request, response_class):
        replies = self.call_raw(name, kind, serialize_message(request))
        assert len(replies) == 1 and replies[0].ok, f"{name}: {replies}"
        return deserialize_message(bytes(replies[0].ok.payload), response_class)


def checks(system, dds):
    raw = Raw(system.endpoint)
    state = {}

    def discovery():
        """each side's nodes, topics and services appear on the other"""
        wait_for("the node battery on DDS", lambda: ("battery", "/") in dds.node.get_node_names_and_namespaces())
        wait_for("its topic", lambda: "/battery_state" in dict(dds.node.get_topic_names_and_types()))
        wait_for("its services", lambda: "/battery/list_parameters" in dict(dds.node.get_service_names_and_types_by_node("battery", "/")))
        wait_for("the node dds_peer on Zenoh", lambda: "/dds_peer" in system.run("node", "list").splitlines())
        assert "/dds_peer/list_parameters" in system.run("service", "list")

    def topics():
        """a sample of rclpy (best effort) is handled by a node of the graph, and rclpy hears what it publishes (transient local)"""
        state["battery"] = dds.listen("/battery_state", BatteryState, LATCHED)
        publisher = dds.node.create_publisher(BatteryState, "/device/battery", SENSOR)
        message = BatteryState(voltage=15.0, current=-1.0, temperature=25.0, present=True, serial_number="from DDS", percentage=float("nan"))

        def heard():
            publisher.publish(message)
            return dds.heard["/battery_state"]

        found = wait_for("battery_state", heard)
        assert found[-1].serial_number == "from DDS" and 0.0 <= found[-1].percentage <= 1.0, found[-1]
        dds.node.destroy_publisher(publisher)

    def late_joiner():
        """a late joiner on DDS gets the last sample of a transient-local topic of the graph"""
        late = rclpy.create_node("late")
        heard = []
        late.create_subscription(BatteryState, "/battery_state", heard.append, LATCHED)
        dds.executor.add_node(late)
        wait_for("the latched sample", lambda: heard)
        assert heard[0].serial_number == "from DDS"
        dds.executor.remove_node(late)
        late.destroy_node()

    def late_joiner_on_zenoh():
        """a late joiner on Zenoh gets the last sample of a transient-local topic of rclpy"""
        state["kept"] = dds.node.create_publisher(String, "/kept", LATCHED)
        state["kept"].publish(String(data="once and early"))
        wait_for("the topic", lambda: "/kept" in system.run("topic", "list").splitlines())
        assert "once and early" in system.run("topic", "echo", "/kept", "--once")

    def from_dds():
        """the command line hears a topic of rclpy"""
        publisher = dds.node.create_publisher(String, "/from_dds", 10)
        timer = dds.node.create_timer(0.05, lambda: publisher.publish(String(data="grüße")))
        wait_for("the topic", lambda: "/from_dds" in system.run("topic", "list").splitlines())
        assert "grüße" in system.run("topic", "echo", "/from_dds", "--once")
        dds.node.destroy_timer(timer)
        dds.node.destroy_publisher(publisher)
        wait_for("its end", lambda: "/from_dds" not in system.run("topic", "list").splitlines())

    def to_dds():
        """rclpy hears what the command line publishes"""
        subscription = dds.listen("/to_dds")
        with_rate = subprocess.Popen(
            [*system.words, "topic", "pub", "/to_dds", "std_msgs/msg/String", "{data: hello}", "--rate", "20"],
            env=system.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            wait_for("the sample", lambda: dds.heard["/to_dds"])
        finally:
            with_rate.kill()
            with_rate.wait()
        assert dds.heard["/to_dds"][0].data == "hello"
        dds.node.destroy_subscription(subscription)

    def no_echo():
        """on a topic that both sides publish and hear, every sample crosses once and none comes back"""
        subscription = dds.listen("/both")
        on_zenoh = raw.listen("/both", "std_msgs/msg/String", String)
        publisher = dds.node.create_publisher(String, "/both", 10)
        publish = raw.publish("/both", "std_msgs/msg/String")
        seen = []
        numbers = iter(range(1_000_000))

        def heard():
            while not on_zenoh.empty():
                seen.append(on_zenoh.get().data)
            return seen, [m.data for m in dds.heard["/both"]]

        # Each hears itself without the bridge (rclpy by DDS, the raw session by its own put) and the other by it.
        def crossed():
            number = next(numbers)
            publisher.publish(String(data=f"dds {number}"))
            publish(String(data=f"zenoh {number}"))
            zenoh_side, dds_side = heard()
            return sum("dds" in t for t in zenoh_side) >= 10 and sum("zenoh" in t for t in dds_side) >= 10

        wait_for("ten samples each way", crossed)
        publisher.publish(String(data="dds end"))
        publish(String(data="zenoh end"))
        wait_for("the last ones", lambda: "dds end" in heard()[0] and "zenoh end" in heard()[1])
        for texts in heard():
            twice = [text for text, count in collections.Counter(texts).items() if count > 1]
            assert not twice, twice
        dds.node.destroy_publisher(publisher)
        dds.node.destroy_subscription(subscription)

    def parameters_of_the_graph():
        """rclpy's parameter client reads and sets a parameter of a node of the graph, and is told why a value is refused"""
        client = AsyncParameterClient(dds.node, "battery")
        assert client.wait_for_services(LIMIT)
        assert "low" in dds.wait(client.list_parameters()).result.names
        assert abs(dds.wait(client.get_parameters(["low"])).values[0].double_value - 0.2) < 1e-9
        assert dds.wait(client.set_parameters([Parameter("low", value=0.25)])).results[0].successful
        assert "0.25" in system.run("param", "get", "/battery", "low")
        refused = dds.wait(client.set_parameters([Parameter("low", value=7.0)])).results[0]
        assert not refused.successful and refused.reason, refused

    def services_of_rclpy():
        """the command line calls a service of rclpy, and reads and sets its parameters"""
        def switch(request, response):
            response.success, response.message = request.data, "from rclpy"
            return response

        state["switch"] = dds.node.create_service(SetBool, "/switch", switch, callback_group=dds.group)
        wait_for("the service", lambda: "/switch" in system.run("service", "list"))
        answer = raw.call("/switch", "std_srvs/srv/SetBool", SetBool.Request(data=True), SetBool.Response)
        assert (answer.success, answer.message) == (True, "from rclpy")
        assert "gain" in system.run("param", "list", "/dds_peer")
        assert "1.5" in system.run("param", "get", "/dds_peer", "gain")
        system.run("param", "set", "/dds_peer", "gain", "2.5")
        assert dds.node.get_parameter("gain").value == 2.5

    def malformed():
        """a request that is no request of the type fails at once, a sample that is no CDR does not cross, and the bridge lives on"""
        for payload in (b"", b"\0", b"\0\1\0\0", b"\xff" * 3, b"\xff" * 64):
            begun = time.monotonic()
            replies = raw.call_raw("/switch", "std_srvs/srv/SetBool", payload)
            assert not any(reply.ok for reply in replies), payload
            assert time.monotonic() - begun < LIMIT, "it was left to time out"
        answer = raw.call("/switch", "std_srvs/srv/SetBool", SetBool.Request(data=False), SetBool.Response)
        assert answer.success is False

    goal_uuid = bytes(range(16))

    def action_of_rclpy():
        """a client on Zenoh sends a goal to an action server of rclpy, hears feedback, gets the result; and cancels another"""
        def execute(handle):
            for number in range(handle.request.order):
                if handle.is_cancel_requested:
                    handle.canceled()
                    return Fibonacci.Result(sequence=[-1])
                handle.publish_feedback(Fibonacci.Feedback(sequence=list(range(number + 1))))
                time.sleep(0.05)
            handle.succeed()
            return Fibonacci.Result(sequence=[0, 1, 1, 2])

        state["server"] = ActionServer(
            dds.node, Fibonacci, "/count", execute, callback_group=dds.group, cancel_callback=lambda _: CancelResponse.ACCEPT
        )
        types = Fibonacci.Impl
        send, result = types.SendGoalService, types.GetResultService
        wait_for("the action", lambda: "/count/_action/get_result" in system.run("service", "list"))
        feedback = raw.listen("/count/_action/feedback", "test_msgs/action/Fibonacci_FeedbackMessage", types.FeedbackMessage)
        name = "test_msgs/action/Fibonacci_"

        def begin(uuid, order):
            request = send.Request()
            request.goal_id.uuid = list(uuid)
            request.goal.order = order
            return raw.call("/count/_action/send_goal", name + "SendGoal", request, send.Response)

        def end(uuid):
            request = result.Request()
            request.goal_id.uuid = list(uuid)
            return raw.call("/count/_action/get_result", name + "GetResult", request, result.Response)

        assert begin(goal_uuid, 10).accepted
        assert bytes(feedback.get(timeout=LIMIT).goal_id.uuid) == goal_uuid
        outcome = end(goal_uuid)
        assert outcome.status == 4 and list(outcome.result.sequence) == [0, 1, 1, 2], outcome
        other = bytes(reversed(goal_uuid))
        assert begin(other, 10_000).accepted
        cancel = CancelGoal.Request()
        cancel.goal_info.goal_id.uuid = list(other)
        cancelled = raw.call("/count/_action/cancel_goal", "action_msgs/srv/CancelGoal", cancel, CancelGoal.Response)
        assert len(cancelled.goals_canceling) == 1
        outcome = end(other)
        assert outcome.status == 5 and list(outcome.result.sequence) == [-1], outcome

    def action_of_the_graph():
        """rclpy's action client drives an action server on Zenoh to its result"""
        types = Fibonacci.Impl
        send, result = types.SendGoalService, types.GetResultService
        name, base = "test_msgs/action/Fibonacci_", "/walk/_action/"
        publish = raw.publish(base + "feedback", name + "FeedbackMessage")
        raw.token("MP", base + "status", "action_msgs/msg/GoalStatusArray", ":1:,1:,:,:,,")

        def begin(request):
            state["goal"] = request.goal_id
            response = send.Response()
            response.accepted = request.goal.order == 3
            return response

        def end(_request):
            message = types.FeedbackMessage()
            message.goal_id = state["goal"]
            message.feedback.sequence = [1, 2]
            publish(message)
            response = result.Response()
            response.status = 4
            response.result.sequence = [5, 8]
            return response

        raw.serve(base + "send_goal", name + "SendGoal", send.Request, begin)
        raw.serve(base + "get_result", name + "GetResult", result.Request, end)
        raw.serve(base + "cancel_goal", "action_msgs/srv/CancelGoal", CancelGoal.Request, lambda _: CancelGoal.Response())
        client = ActionClient(dds.node, Fibonacci, "/walk", callback_group=dds.group)
        assert client.wait_for_server(LIMIT), "the action is not on DDS"
        told = []
        handle = dds.wait(client.send_goal_async(Fibonacci.Goal(order=3), feedback_callback=told.append))
        assert handle.accepted
        outcome = dds.wait(handle.get_result_async())
        assert outcome.status == 4 and list(outcome.result.sequence) == [5, 8], outcome
        wait_for("feedback", lambda: told)
        refused = dds.wait(client.send_goal_async(Fibonacci.Goal(order=4)))
        assert not refused.accepted
        client.destroy()

    def unknown_type():
        """a topic whose type the ROS 2 prefix lacks is named once with the reason"""
        said = [line for line in system.log("bridge").splitlines() if "omnimind_msgs" in line and "cannot cross" in line]
        assert len(said) == 1 and "/graph/statistics" in said[0], said

    def switch_answers():
        # A new session each time: one that asks while servers change hands may go on finding nobody (zenoh 1.10.2's router).
        words = [*system.words, "service", "call", "/switch", "{data: true}"]
        done = subprocess.run(words, env=system.environment, capture_output=True, text=True, timeout=60)
        return done.returncode == 0 and "from rclpy" in done.stdout

    def second_bridge():
        """of two bridges one stands by, and takes over when the other is killed"""
        bridges = {"bridge": state["bridge"], "second": system.start("second", "bridge", "dds", "--status", "5")}
        idle = wait_for("one to stand by", lambda: next((n for n in bridges if "standing by" in system.log(n)), None))
        wait_for("one answer", switch_answers)
        working = bridges["bridge" if idle == "second" else "second"]
        state["bridge"] = bridges[idle]
        working.kill()
        working.wait()
        wait_for("the other to carry", lambda: "carrying" in system.log(idle))
        wait_for("one answer again", switch_answers)

    def another_system():
        """what one bridge brought to DDS, a bridge to another Zenoh system does not carry on: neither names nor samples"""
        far = System(system.words[1], pathlib.Path(system.words[0]).parents[1], system.folder)
        try:
            far.start("far_node", "run", "battery", "--ros-args", "-r", "__ns:=/far")
            far.start("far_bridge", "bridge", "dds")
            wait_for("the far system", lambda: (system.folder / "far_bridge.log").read_text().startswith("bridge"))
            far_raw = Raw(far.endpoint)
            heard = far_raw.listen("/one_way", "std_msgs/msg/String", String)
            subscription = dds.listen("/one_way")
            publisher = dds.node.create_publisher(String, "/one_way", 10)
            publish = raw.publish("/one_way", "std_msgs/msg/String")

            def both_open():
                publisher.publish(String(data="from DDS"))
                publish(String(data="from near"))
                return not heard.empty() and any(m.data == "from near" for m in dds.heard["/one_way"])

            wait_for("the near bridge to DDS and the far bridge from it", both_open)
            before = len(dds.heard["/one_way"])
            for _ in range(5):
                publish(String(data="from near"))
            wait_for("them on DDS", lambda: [m.data for m in dds.heard["/one_way"][before:]].count("from near") >= 5)
            publisher.publish(String(data="last"))
            texts = []
            wait_for("the last one", lambda: texts.append(heard.get(timeout=LIMIT).data) or texts[-1] == "last")
            assert set(texts) == {"from DDS", "last"}, collections.Counter(texts)
            names = far.run("topic", "list").splitlines()
            assert "/kept" in names and "/far/battery_state" in names and "/battery_state" not in names, names
            assert "/battery" not in far.run("node", "list").splitlines()
            dds.node.destroy_publisher(publisher)
            dds.node.destroy_subscription(subscription)
            far_raw.session.close()
        finally:
            far.stop()

    def killed_and_restarted():
        """killing the bridge leaves both sides alone, and a new one brings them together again"""
        state["bridge"].kill()
        state["bridge"].wait()
        assert "0.25" in system.run("param", "get", "/battery", "low")
        wait_for("rclpy's node to leave the graph", lambda: "/dds_peer" not in system.run("node", "list").splitlines())
        client = dds.node.create_client(SetBool, "/switch", callback_group=dds.group)
        assert client.wait_for_service(LIMIT) and dds.wait(client.call_async(SetBool.Request(data=True))).success
        state["bridge"] = system.start("third", "bridge", "dds")
        wait_for("rclpy's node to come back", lambda: "/dds_peer" in system.run("node", "list").splitlines())
        wait_for("its service", switch_answers)

    def filtered():
        """names that are not allowed do not cross; a pattern that is none is refused by name"""
        listed = system.run("bridge", "dds", "--once-list", "--allow", "/battery_state")
        topics = [line.split()[4] for line in listed.splitlines() if line.startswith("topic")]
        assert topics in ([], ["/battery_state"]), listed
        done = subprocess.run([*system.words, "bridge", "dds", "--allow", "/a(b"], env=system.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "/a(b" in done.stderr, done

    def ends():
        """SIGTERM ends the bridge in order, with a table of what crossed, and its announcements go"""
        state["bridge"].send_signal(signal.SIGTERM)
        assert state["bridge"].wait(LIMIT) == 0
        assert "/switch (std_srvs/srv/SetBool)" in system.log("third")
        wait_for("the mirror on DDS to go", lambda: ("battery", "/") not in dds.node.get_node_names_and_namespaces())

    def prepare():
        state["bridge"] = system.start("bridge", "bridge", "dds", "--status", "5")

    return prepare, [
        discovery, topics, late_joiner, late_joiner_on_zenoh, from_dds, to_dds, no_echo, parameters_of_the_graph, services_of_rclpy,
        malformed, action_of_rclpy, action_of_the_graph, unknown_type, second_bridge, another_system, killed_and_restarted, filtered, ends,
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--prefix", type=pathlib.Path, default=pathlib.Path(sys.prefix))
    parser.add_argument("--only", nargs="*", help="names of checks; later ones may need earlier ones")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        system = System(args.binary.resolve(), args.prefix.resolve(), folder)
        try:
            system.start("node", "run", "battery")
            wait_for("the node", lambda: subprocess.run([*system.words, "node", "list"], env=system.environment, capture_output=True).returncode == 0)
            prepare, all_checks = checks(system, Dds())
            prepare()
            for check in all_checks:
                if args.only and check.__name__ not in args.only:
                    continue
                begun = time.monotonic()
                try:
                    check()
                    print(f"ok    {check.__doc__} ({time.monotonic() - begun:.1f} s)", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAIL  {check.__doc__}\n{traceback.format_exc()}", flush=True)
                    faulthandler.dump_traceback(sys.stdout, all_threads=True)
        finally:
            system.stop()
            if failed:
                for file in sorted(pathlib.Path(folder).glob("*.log")):
                    print(f"--- {file.name}:\n{file.read_text()[-4000:]}")
    print(f"{failed} failed", flush=True)
    # rclpy's executor thread would keep the interpreter.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
