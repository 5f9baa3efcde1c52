#!/usr/bin/env python3
"""Bags both ways with `rosbags`, a router of eclipse-zenoh between. usage: bags.py --bin <omnimind> --out <folder> [--only NAME]

What rosbags writes is played by `omnimind bag play`, heard by `omnimind bag record`, and read again by rosbags. Types that this program does
not know, kills, splits, a disk that is full, the player's services, and the replay of a recorded demo through vision, fusion and planner.
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import traceback

import zenoh
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from ruamel.yaml import YAML

ROOT = pathlib.Path(__file__).resolve().parents[2]
STORE = get_typestore(Stores.ROS2_JAZZY)
FOREVER = QosTime(9223372036, 854775807)
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def qos(depth, reliability, durability):
    return Qos(QosHistory.KEEP_LAST, depth, reliability, durability, FOREVER, FOREVER, QosLiveliness.AUTOMATIC, FOREVER, False)


class Run:
    def __init__(self, binary, out):
        self.binary, self.out, self.started = binary, out, []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            endpoint = f"tcp/127.0.0.1:{probe.getsockname()[1]}"
        self.endpoint = endpoint
        config = zenoh.Config()
        for key, value in [("mode", "router"), ("listen/endpoints", [endpoint]), ("scouting/multicast/enabled", False), ("timestamping/enabled", True)]:
            config.insert_json5(key, json.dumps(value))
        self.router = zenoh.open(config)
        self.env = {**os.environ, "ROS_DOMAIN_ID": "0", "ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["{endpoint}"]'}

    def omnimind(self, *arguments, timeout=300, **kwargs):
        return subprocess.run([self.binary, *map(str, arguments)], cwd=self.out, env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, **kwargs)

    def start(self, *arguments, **kwargs):
        process = subprocess.Popen([self.binary, *map(str, arguments)], cwd=self.out, env=self.env, stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, **kwargs)
        self.started.append(process)
        return process

    def clear(self):
        """Ends what a check that failed left behind."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.started.clear()


def wait_for(process, words):
    """Reads a process's standard error until all the words have come."""
    left, seen = set(words), ""
    while left:
        line = process.stderr.readline()
        assert line, f"ended before it said {left}: {seen}"
        seen += line
        left = {word for word in left if word not in seen}
    return seen


def end(process, how=signal.SIGINT):
    process.send_signal(how)
    _, text = process.communicate(timeout=30)
    return text


def write_bag(path, version, count=60, period_ns=50_000_000):
    """A bag of rosbags: a talker, a camera, a latched map of transforms. All messages by topic."""
    t = STORE.types
    start = 1_700_000_000_000_000_000
    messages = {"/chatter": [], "/camera/image": [], "/tf_static": []}
    with Writer(path, version=version, storage_plugin=StoragePlugin.MCAP) as bag:
        reliable, latched = qos(10, QosReliability.RELIABLE, QosDurability.VOLATILE), qos(1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL)
        sensor = qos(5, QosReliability.BEST_EFFORT, QosDurability.VOLATILE)
        chatter = bag.add_connection("/chatter", "std_msgs/msg/String", typestore=STORE, offered_qos_profiles=[reliable])
        camera = bag.add_connection("/camera/image", "sensor_msgs/msg/Image", typestore=STORE, offered_qos_profiles=[sensor])
        static = bag.add_connection("/tf_static", "tf2_msgs/msg/TFMessage", typestore=STORE, offered_qos_profiles=[latched])
        import numpy

        def put(connection, when, message):
            data = bytes(STORE.serialize_cdr(message, connection.msgtype))
            bag.write(connection, when, data)
            messages[connection.topic].append(data)

        def header(n):
            return t["std_msgs/msg/Header"](t["builtin_interfaces/msg/Time"](n, 5), "map")

        transform = t["geometry_msgs/msg/TransformStamped"](header(1), "base", t["geometry_msgs/msg/Transform"](
            t["geometry_msgs/msg/Vector3"](1.0, 2.0, 3.0), t["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)))
        put(static, start, t["tf2_msgs/msg/TFMessage"]([transform]))
        for i in range(count):
            when = start + (i + 1) * period_ns
            put(chatter, when, t["std_msgs/msg/String"](f"hello {i} ä"))
            pixels = numpy.full(320 * 240 * 3, i, dtype=numpy.uint8)
            put(camera, when, t["sensor_msgs/msg/Image"](header(i), 240, 320, "rgb8", 0, 960, pixels))
    return messages


def read_bag(path):
    """Every message by topic, decoded once; the reader's own view of the bag."""
    found = {}
    with AnyReader([path], default_typestore=STORE) as reader:
        for connection, stamp, raw in reader.messages():
            reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((stamp, bytes(raw)))
    with Reader(path) as bag:
        assert bag.message_count == sum(map(len, found.values())), "metadata.yaml counts other messages"
        assert sum(1 for _ in bag.messages()) == bag.message_count, "the channels do not fit metadata.yaml"
    return found


def resume(run):
    """Lets a paused player go on, once its service can be called."""
    for _ in range(100):
        if run.omnimind("service", "call", "/rosbag2_player/resume", "{}").returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError("the player has no ~/resume")


@check
def both_ways(run):
    """bags of rosbags, version 8 and 9, are played, heard, recorded and read again byte for byte"""
    for version in (8, 9):
        source, target = run.out / f"rosbags{version}", run.out / f"heard{version}"
        sent = write_bag(source, version)
        recorder = run.start("bag", "record", "-a", "-x", "^/(rosout|diagnostics|graph)", "-o", target)
        # The player waits until the recorder has subscribed to its topics.
        player = run.start("bag", "play", source, "--start-paused", "--disable-keyboard-controls")
        wait_for(recorder, [f"recording {topic} " for topic in sent])
        resume(run)
        said = player.communicate(timeout=60)[1]
        assert player.returncode == 0 and "121 messages played" in said, said
        time.sleep(0.5)
        said = end(recorder)
        assert recorder.returncode == 0, said
        heard = {topic: [raw for _, raw in messages] for topic, messages in read_bag(target).items()}
        for topic in ("/chatter", "/tf_static"):
            assert heard[topic] == sent[topic], f"{topic}: {len(heard[topic])} of {len(sent[topic])}"
        # Best effort, and large: what is lost on a busy machine is counted.
        pictures = iter(sent["/camera/image"])
        assert all(picture in pictures for picture in heard["/camera/image"]), "other pictures, or another order"
        lost = re.search(r"dropped: (\d+) lost on the way", said)
        lost = int(lost[1]) if lost else 0
        assert len(heard["/camera/image"]) + lost == 60 and lost < 6, said
        with Reader(target) as bag:
            offers = {c.topic: c.ext.offered_qos_profiles for c in bag.connections}
            assert offers["/tf_static"][0].durability == QosDurability.TRANSIENT_LOCAL, offers
            assert offers["/camera/image"][0].reliability == QosReliability.BEST_EFFORT and offers["/camera/image"][0].depth == 5, offers
            assert all(c.digest.startswith("RIHS01_") for c in bag.connections)
        info = run.omnimind("bag", "info", target).stdout
        assert "Topic: /chatter | Type: std_msgs/msg/String | Count: 60 | Serialization Format: cdr" in info, info
        with open(next(target.glob("*.mcap")), "rb") as stream:
            from mcap.reader import make_reader

            reader = make_reader(stream, validate_crcs=True)
            assert reader.get_summary().statistics.message_count == 121 - lost and reader.get_header().profile == "ros2"
            gaps = [m.log_time - m.publish_time for _, _, m in reader.iter_messages()]
            assert all(0 <= gap < 2e9 for gap in gaps), "received before it was published"


@check
def foreign(run):
    """types that only their publishers know, other versions of known ones, and types that nobody describes are recorded and played byte for byte"""
    from foreign import Node, Type, connect

    spot = Type("demo_msgs/msg/Spot", "# A spot.\nint8 KIND=3\nfloat64 x\nstring name\nint32[] numbers\n")
    tint = Type("std_msgs/msg/ColorRGBA", "float64 r\nstring name\n")
    colour = Type("std_msgs/msg/ColorRGBA", "float32 r\nfloat32 g\nfloat32 b\nfloat32 a\n")
    mark, wider = Type("demo_msgs/msg/Mark", "float64 a\n"), Type("demo_msgs/msg/Mark", "float64 a\nfloat64 b\n")
    kinds = {"/spot": spot, "/tint": tint, "/colour": colour, "/mark": mark}
    import numpy

    def tokens(session):
        return [str(reply.ok.key_expr) for reply in session.liveliness().get("@ros2_lv/0/**", timeout=3.0) if reply.ok]

    wide, narrow, sent = run.out / "foreign", run.out / "narrow", {}
    with connect(run.endpoint) as session:
        teller, mute = Node(session, 1, "teller", [spot, tint, colour]), Node(session, 2, "mute")
        for kind, topic in [(spot, "/spot"), (tint, "/tint"), (colour, "/colour")]:
            teller.publishes(kind, topic)
        mute.publishes(mark, "/mark")

        def say(node, kind, topic, data):
            node.say(kind, topic, data)
            sent.setdefault((topic, kind.hash), []).append(data)

        def talk(first, more=()):
            for n in range(first, first + 20):
                say(teller, spot, "/spot", spot.cdr(x=n / 2, name=f"Grüße {n}", numbers=numpy.arange(n, dtype=numpy.int32)))
                say(teller, tint, "/tint", tint.cdr(r=n / 4, name=f"teal {n}"))
                say(teller, colour, "/colour", colour.cdr(r=n / 4, g=0.0, b=0.0, a=1.0))
                say(mute, mark, "/mark", mark.cdr(a=float(n)))
                for kind in more:
                    say(mute, kind, "/mark", kind.cdr(a=float(n), b=-1.0))

        recorders = [run.start("bag", "record", "-a", "-o", wide), run.start("bag", "record", "/spot", "/mark", "-o", narrow)]
        # The recorder node too, told to take everything; its subscriptions are seen in the graph.
        node_file = run.out / "foreign_node" / "all.mcap"
        node = run.start("run", "recorder", "--ros-args", "-p", f"path:={node_file}", "-p", "include:=['/*']")
        until = time.monotonic() + 30
        while not all(any(f"/%{t[1:]}/" in token and "/MS/" in token for token in tokens(session)) for t in kinds):
            assert time.monotonic() < until and node.poll() is None, tokens(session)
            time.sleep(0.05)
        said = wait_for(recorders[0], [f"recording {topic} [" for topic in ("/spot", "/tint", "/colour", "/mark")])
        said_too = wait_for(recorders[1], [f"recording {topic} [" for topic in ("/spot", "/mark")])
        # Nobody has told anything of the mark yet: what comes now waits.
        talk(0)
        words = ["demo_msgs/msg/Spot is not of this program: its definition comes from /teller",
                 "std_msgs/msg/ColorRGBA is of another version than this program's, as /teller tells it",
                 "field `r` is float32 in ours and float64 in theirs", "demo_msgs/msg/Mark is recorded without its definition"]
        said += wait_for(recorders[0], [word for word in words if word not in said])
        wait_for(recorders[1], [word for word in words[3:] if word not in said_too])
        mute.publishes(wider, "/mark")
        wait_for(recorders[0], ["/mark carries another version of demo_msgs/msg/Mark than before"])
        talk(20, [wider])
        time.sleep(1)
        for recorder in recorders:
            ended = end(recorder)
            assert recorder.returncode == 0 and "none dropped" in ended, ended
        ended = end(node)
        assert node.returncode == 0, ended
    # What rosbags finds: the bytes, the definitions as their publisher wrote them, and the hashes.
    for file, expected in ((next(wide.glob("*.mcap")), sent), (node_file, {key: raw for key, raw in sent.items() if key[1] != wider.hash})):
        found = {}
        with Reader(file) as bag:
            for connection, _, raw in bag.messages():
                kind = kinds.get(connection.topic)
                if kind is None:
                    continue
                assert connection.msgtype == kind.name
                if connection.topic == "/mark":
                    # Without a definition the two versions are told apart by their length.
                    kind = {4 + 8: mark, 4 + 16: wider}[len(raw)]
                    assert (connection.msgdef.format.name, connection.msgdef.data) == ("NONE", ""), connection
                elif connection.topic == "/colour":
                    # It is known here: the text is our own.
                    assert connection.msgdef.format.name == "MSG" and "float32 r" in connection.msgdef.data
                else:
                    assert (connection.msgdef.format.name, connection.msgdef.data) == ("MSG", kind.text), connection
                found.setdefault((connection.topic, kind.hash), []).append(bytes(raw))
        assert found == expected, (file, {key: (len(found.get(key, [])), len(raw)) for key, raw in expected.items()})
    with Reader(wide) as bag:
        assert {(c.topic, c.digest) for c in bag.connections} >= set(sent), bag.connections
    # rosbags' own reader, which checks hashes against definitions, takes a bag with one version of each.
    with AnyReader([narrow]) as reader:
        (connection,) = [c for c in reader.connections if c.topic == "/spot"]
        names = [reader.deserialize(raw, c.msgtype).name for c, _, raw in reader.messages([connection])]
    assert names == [f"Grüße {n}" for n in range(40)], names
    # And played, for a listener that knows the types; and a file that tells no hash, by its definition.
    bare = run.out / "bare.mcap"
    with open(bare, "wb") as stream:
        from mcap.writer import Writer as McapWriter

        writer = McapWriter(stream)
        writer.start("ros2")
        schema = writer.register_schema(spot.name, "ros2msg", spot.text.encode())
        channel = writer.register_channel("/spot", "cdr", schema)
        for n, data in enumerate(sent["/spot", spot.hash]):
            writer.add_message(channel, 1_700_000_000_000_000_000 + n * 1_000_000, data, 1_700_000_000_000_000_000)
        writer.finish()
    for source, topics in ((wide, list(kinds)), (bare, ["/spot"])):
        heard = {topic: [] for topic in topics}
        with connect(run.endpoint) as session:
            ears = [session.declare_subscriber("0/" + kinds[topic].key(topic), lambda sample, topic=topic: heard[topic].append(bytes(sample.payload)))
                    for topic in topics]
            player = run.start("bag", "play", source, "--start-paused", "--disable-keyboard-controls", "--topics", *topics)
            resume(run)
            said = player.communicate(timeout=60)[1]
            assert player.returncode == 0, said
            # The other version on one topic is said and left out: a topic carries one type.
            assert ("/mark is not played" in said) == (source == wide), said
            time.sleep(0.5)
            del ears
        assert heard == {topic: sent[topic, kinds[topic].hash] for topic in topics}, {topic: len(raw) for topic, raw in heard.items()}


@check
def services(run):
    """the player is paused, stepped, burst, sought and given a rate by rosbag2's services"""
    source = run.out / "stepped"
    write_bag(source, 9)
    player = run.start("bag", "play", source, "--start-paused", "--topics", "/chatter", "--remap", "/chatter:=/other")
    try:
        def call(name, request="{}"):
            deadline = time.time() + 20
            while True:
                done = run.omnimind("service", "call", f"/rosbag2_player/{name}", request)
                if done.returncode == 0:
                    return json.loads(done.stdout)
                assert time.time() < deadline, done.stderr
                time.sleep(0.2)

        assert call("is_paused") == {"paused": True}
        recorder = run.start("bag", "record", "/other", "-o", run.out / "other")
        wait_for(recorder, ["/other"])
        time.sleep(0.5)
        assert call("play_next") == {"success": True}
        assert call("burst", "{num_messages: 3}") == {"actually_burst": 3}
        assert call("set_rate", "{rate: 2.5}") == {"success": True} and call("get_rate") == {"rate": 2.5}
        assert call("set_rate", "{rate: -1.0}") == {"success": False}
        assert call("seek", "{time: {sec: 1800000000, nanosec: 0}}") == {"success": False}
        assert call("seek", "{time: {sec: 5, nanosec: 0}}") == {"success": True}, "before the start is the start"
        # Two and a half seconds in: ten of sixty are left, 50 .. 59 (the first is at 50 ms).
        assert call("seek", "{time: {sec: 1700000002, nanosec: 550000000}}") == {"success": True}
        call("toggle_paused")
        player.wait(30)
        time.sleep(0.5)
        end(recorder)
        heard = [STORE.deserialize_cdr(raw, "std_msgs/msg/String").data for _, raw in read_bag(run.out / "other")["/other"]]
        assert heard == [f"hello {i} ä" for i in [0, 1, 2, 3, *range(50, 60)]], heard
    finally:
        player.kill()


def talker(run, rate=200):
    return run.start("topic", "pub", "/talk", "std_msgs/msg/String", "{data: " + "x" * 200 + "}", "-r", rate)


@check
def killed(run):
    """a recorder that is killed loses less than a second; recover makes the bag whole, and twice is as once"""
    worst = 0
    for attempt in range(3):
        path = run.out / f"killed{attempt}"
        talk = talker(run)
        recorder = run.start("bag", "record", "/talk", "-o", path)
        wait_for(recorder, ["recording /talk"])
        time.sleep(2.3 + 0.3 * attempt)
        # While it is being written, it is left alone.
        assert "still being written" in run.omnimind("bag", "info", path).stdout
        busy = run.omnimind("bag", "recover", path)
        assert busy.returncode != 0 and "is being written" in busy.stderr, busy
        recorder.kill()
        at = time.time_ns()
        recorder.wait()
        end(talk)
        assert not (path / "metadata.yaml").exists()
        assert "bag recover" in run.omnimind("bag", "info", path).stdout
        done = run.omnimind("bag", "recover", path)
        assert done.returncode == 0 and "messages kept" in done.stdout, done
        stamps = [stamp for stamp, _ in read_bag(path)["/talk"]]
        lost = (at - stamps[-1]) / 1e9
        worst = max(worst, lost)
        assert lost < 1.0, f"{lost:.2f} s lost"
        assert len(stamps) > 200, len(stamps)
        digest = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.iterdir())]
        assert "nothing was changed" in run.omnimind("bag", "recover", path).stdout
        assert digest == [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.iterdir())]
    print(f"      at most {worst:.2f} s lost in 3 kills")


@check
def splits(run):
    """files are split by time and by size, and read as one bag"""
    for options, name in ((["-d", "1"], "by_time"), (["-b", "30000", "--storage-preset-profile", "fastwrite"], "by_size")):
        path = run.out / name
        talk = talker(run)
        recorder = run.start("bag", "record", "/talk", "-o", path, *options, "--custom-data", "who=test")
        wait_for(recorder, ["recording /talk"])
        time.sleep(3.4)
        said = end(recorder)
        end(talk)
        assert recorder.returncode == 0, said
        files = sorted(path.glob("*.mcap"))
        assert len(files) >= 3, files
        with Reader(path) as bag:
            assert bag.message_count > 300
        told = YAML(typ="safe").load(path / "metadata.yaml")["rosbag2_bagfile_information"]
        in_order = [f.name for f in sorted(files, key=lambda f: int(f.stem.rsplit("_", 1)[1]))]
        assert told["relative_file_paths"] == [f["path"] for f in told["files"]] == in_order, told["files"]
        assert told["custom_data"]["who"] == "test" and told["version"] == 9, told
        stamps = [stamp for stamp, _ in read_bag(path)["/talk"]]
        assert stamps == sorted(stamps)
        if name == "by_size":
            assert all(30_000 <= f.stat().st_size < 60_000 for f in sorted(files, key=lambda f: int(f.stem.rsplit("_", 1)[1]))[:-1])


@check
def full(run):
    """a disk that takes no more ends the recording with a clear word, and what was written before is there"""
    path = run.out / "full"
    talk = talker(run)
    # A limit on the size of files stands for the disk: writes beyond it fail.
    recorder = subprocess.Popen(["bash", "-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"", run.binary, "bag", "record", "/talk", "-o",
                                 str(path), "--storage-preset-profile", "fastwrite"], cwd=run.out, env=run.env, stderr=subprocess.PIPE, text=True)
    said = recorder.communicate(timeout=60)[1]
    end(talk)
    assert recorder.returncode == 2 and "recording ended" in said and "recover" in said, said
    done = run.omnimind("bag", "recover", path)
    assert done.returncode == 0, done
    assert len(read_bag(path)["/talk"]) > 100


@check
def bad_input(run):
    """what is no bag, no topic or no option is refused in words"""
    nothing, junk = run.out / "nothing", run.out / "junk.mcap"
    nothing.mkdir()
    junk.write_bytes(b"\x89MCAP0\r\nbut nothing else")
    source = run.out / "plain"
    write_bag(source, 9, count=2)
    (run.out / "qos.yaml").write_text("/chatter: {reliability: sometimes}\n")
    with Writer(run.out / "sqlite", version=9, storage_plugin=StoragePlugin.SQLITE3) as bag:
        bag.add_connection("/a", "std_msgs/msg/String", typestore=STORE)
    for words, expected in [
        (("info", nothing), "no metadata.yaml"), (("info", junk), "no readable MCAP"), (("play", run.out / "gone"), "cannot read"),
        (("play", run.out / "sqlite"), "sqlite3"), (("play", source, "--topics", "/chater"), "did you mean"),
        (("record",), "what shall be recorded"), (("record", "-a", "-o", source), "there already"), (("record", "-e", "("), "no regular expression"),
        (("play", source, "--qos-profile-overrides-path", run.out / "qos.yaml"), "reliability"), (("recover", nothing), "no .mcap"),
        (("play", source, "--remap", "a=b"), "from:=to"),
    ]:
        done = run.omnimind("bag", *words, timeout=60)
        assert done.returncode == 2 and expected in done.stderr and "panicked" not in done.stderr, (words, done)


def recorded_demo(run):
    """The recording of a demo, made once."""
    bag = run.out / "demo" / "recording.mcap"
    if not bag.exists():
        done = run.omnimind("demo", "--headless", "--json", "--no-wire", "--rate", 0, "--duration", run.replay_s, "--out", run.out / "demo", "replay:=true",
                            timeout=1800)
        assert bag.exists(), done.stderr[-2000:]
    return bag


@check
def replay(run):
    """a recorded demo, replayed twice through vision, fusion and planner in lock-step, is made again byte for byte"""
    bag = recorded_demo(run)
    reports = []
    for attempt in range(2):
        report = run.out / f"replay{attempt}.json"
        done = run.omnimind("launch", "replay.yaml", f"bag:={bag}", f"report:={report}", "--headless", "--no-wire", "--json", timeout=1800)
        assert report.exists(), done.stderr[-3000:]
        reports.append(json.loads(report.read_text()))
    first = reports[0]
    for topic, agreement in sorted(first["topics"].items()):
        print(f"      {topic}: {agreement['equal']} equal, {agreement['masked']} but for measured times")
    assert first["holds"], first["first_difference"]
    for topic in ["/vision/detections", "/fusion/belief", "/fusion/alignment"]:
        assert first["topics"][topic]["equal"] > 10 and first["topics"][topic]["masked"] == 0, topic
    # Two replays make the same bytes on every topic.
    for topic, agreement in first["topics"].items():
        assert agreement["digest"] == reports[1]["topics"][topic]["digest"], topic
    assert first["topics"]["/planner/plan"]["equal"] > 1, "the demo was too short for a plan"
    # A detector that is set otherwise is found out.
    odd, report = run.out / "odd.yaml", run.out / "odd.json"
    file = (ROOT / "launch/replay.yaml").read_text()
    assert "report_inference_time: false" in file
    odd.write_text(file.replace("report_inference_time: false", "report_inference_time: false, confidence_threshold: 0.7"))
    done = run.omnimind("launch", odd, f"bag:={bag}", f"report:={report}", f"home:={ROOT / 'config/home.yaml'}", "--headless", "--no-wire", "--json")
    assert done.returncode == 1, done
    found = json.loads(report.read_text())
    assert not found["holds"] and "/vision/detections" in found["first_difference"], found["first_difference"]


MADE = re.compile(r"/(vision|fusion|planner)/|/graph/snapshot$|/diagnostics$")


def made(path):
    """What a replay made, as read by rosbags: by topic, time and bytes of each message."""
    topics = {}
    with AnyReader([path]) as reader:
        for connection, stamp, data in reader.messages():
            if MADE.match(connection.topic):
                topics.setdefault(connection.topic, []).append((stamp, hashlib.sha256(data).hexdigest()))
    return topics


@check
def snapshots(run):
    """a replay that begins in the middle makes from there what the one from the beginning makes, byte for byte, its later snapshots too"""
    bag, every = recorded_demo(run), 3.0
    whole = run.out / "whole.mcap"

    def again(name, *more):
        report = run.out / f"{name}.json"
        # A recorder never writes over what is there.
        for old in (report, run.out / f"{name}.mcap"):
            old.unlink(missing_ok=True)
        begun = time.monotonic()
        done = run.omnimind("launch", "replay.yaml", f"bag:={bag}", f"report:={report}", "--headless", "--no-wire", *more, timeout=1800)
        return done, (json.loads(report.read_text()) if report.exists() else None), time.monotonic() - begun

    done, first, whole_s = again("whole", f"record:={whole}", f"snapshot_every:={every}")
    assert first and first["holds"], (first, done.stderr[-3000:])
    taken = [(int(size), float(ms)) for size, ms in re.findall(r"snapshot of (\d+) bytes taken in ([\d.]+) ms", done.stderr)]
    assert len(taken) >= 3, done.stderr[-3000:]
    print(f"      {len(taken)} snapshots of {min(taken)[0]} to {max(taken)[0]} bytes, in {min(t for _, t in taken):.1f} to {max(t for _, t in taken):.1f} ms")
    said = made(whole)
    stamps = [stamp for stamp, _ in said["/graph/snapshot"]]
    assert stamps == [int(every * 1e9) * (i + 1) for i in range(len(stamps))], stamps
    for number, at in enumerate([every + 1.5, run.replay_s / 2, every * (len(taken) - 1)]):
        start = int(every * 1e9) * int(at / every)
        later = run.out / f"later{number}.mcap"
        done, report, later_s = again(f"later{number}", f"record:={later}", f"snapshot_every:={every}", f"snapshots:={whole}", f"from:={at}")
        assert report, done.stderr[-3000:]
        assert f"snapshot of {start / 1e9:.3f} s" in done.stderr, done.stderr[-3000:]
        # The comparison with the recording goes on too: its result and its digests are those of the whole.
        assert report == first, (report, first)
        found = made(later)
        # It begins with the snapshot that it goes on from.
        assert found["/graph/snapshot"][0] == next(m for m in said["/graph/snapshot"] if m[0] == start)
        for topic, messages in said.items():
            expected = [m for m in messages if m[0] > start or (m[0] == start and topic == "/graph/snapshot")]
            assert found.get(topic, []) == expected, (topic, at, len(found.get(topic, [])), len(expected))
        print(f"      from {start / 1e9:g} s: {sum(map(len, found.values()))} messages as in the whole; {later_s:.1f} s instead of {whole_s:.1f} s")
    # A recording without its end, as after a kill, has them too.
    cut = run.out / "cut.mcap"
    cut.write_bytes(whole.read_bytes()[:-200])
    done, report, _ = again("from_cut", f"snapshots:={cut}", f"from:={every * 2}")
    assert report == first, done.stderr[-3000:]
    # What does not fit is refused in words, before anything moves.
    text = (ROOT / "config/home.yaml").read_text()
    same, home, odd = run.out / "same_home.yaml", run.out / "home.yaml", run.out / "odd_graph.yaml"
    same.write_text(text)
    home.write_text(text.replace("label: kitchen", "label: galley", 1))
    assert home.read_text() != text
    odd.write_text((ROOT / "launch/replay.yaml").read_text().replace("report_inference_time: false", "report_inference_time: false, max_objects: 7"))
    done, report, _ = again("moved", f"snapshots:={whole}", "from:=9", f"home:={same}")
    assert report == first, done.stderr[-3000:]
    for more, expected in [
        ((f"snapshots:={whole}", "from:=1"), "no snapshot at or before 1 s; its first one is of 3.000 s"),
        ((f"snapshots:={bag}", "from:=9"), "has no snapshots"),
        ((f"snapshots:={run.out / 'gone.mcap'}", "from:=9"), "cannot read"),
        (("from:=9",), "resume_bag"),
        ((f"snapshots:={whole}", "from:=9", f"home:={home}"), "its home was another one"),
        ((f"snapshots:={whole}", "from:=9", "snapshot_every:=1"), None),
    ]:
        done, _, _ = again("refused", *more)
        if expected is None:
            assert done.returncode == 0, done
            continue
        assert done.returncode == 2 and expected in done.stderr and "panicked" not in done.stderr, (more, done)
    more = (f"snapshots:={whole}", "from:=9", "--headless", "--no-wire")
    done = run.omnimind("launch", odd, f"bag:={bag}", *more, timeout=600)
    assert done.returncode == 2 and "parameter `max_objects` of /vision was 20, not 7" in done.stderr, done
    shorter = run.out / "shorter.mcap"
    shorter.write_bytes(bag.read_bytes()[: bag.stat().st_size * 9 // 10])
    done = run.omnimind("launch", "replay.yaml", f"bag:={shorter}", *more, timeout=600)
    assert done.returncode == 2 and "is another recording" in done.stderr, done


def main():
    # A shell that starts this in the background ignores SIGINT, and so would the programs that are started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--replay-s", type=float, default=25.0, help="simulated seconds of the demo to replay")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    run = Run(arguments.bin.resolve(), arguments.out.resolve())
    run.replay_s = arguments.replay_s
    failed = 0
    for function in CHECKS:
        if arguments.only and function.__name__ not in arguments.only:
            continue
        begun = time.monotonic()
        try:
            function(run)
            print(f"ok    {function.__name__}: {function.__doc__} ({time.monotonic() - begun:.0f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL  {function.__name__}: {function.__doc__}\n{traceback.format_exc()}", flush=True)
        run.clear()
    run.router.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
