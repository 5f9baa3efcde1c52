#!/usr/bin/env python3
"""Runs the program as a user would and looks at what comes out. usage: run.py --bin <omnimind> --out <folder> [--seeds 1,2,3]

Every check prints a line; the last line counts them. Oracles that nobody here wrote: the Python packages mcap, rosbags, rerun-sdk,
eclipse-zenoh and PIL.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Run:
    """What the checks share."""

    def __init__(self, binary, out, seeds):
        self.binary, self.out, self.seeds = binary, out, seeds
        self.results = {}

    def omnimind(self, *arguments, env=None, timeout=1200, cwd=None):
        done = subprocess.run([self.binary, *map(str, arguments)], cwd=cwd or self.out, env={**os.environ, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout, done.stderr


def end(process):
    """Ends a process as Ctrl-C does; one that does not end is killed, so that it does not disturb what follows."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


class Skipped(Exception):
    """A check that cannot be made here, and why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_mcap(path):
    """Messages per topic and type, by the `mcap` package."""
    from mcap.reader import make_reader

    counts, types = collections.Counter(), {}
    with open(path, "rb") as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == "ros2"
        for schema, channel, _ in reader.iter_messages():
            counts[channel.topic] += 1
            types[channel.topic] = schema.name
            assert schema.encoding == "ros2msg" and channel.message_encoding == "cdr"
    return counts, types


@check
def missions(run):
    """the mission is achieved on every seed, nothing is hit, the robot docks"""
    for seed in run.seeds:
        code, stdout, stderr = run.omnimind("demo", "--seed", seed, "--headless", "--json", "--rate", 0, "--out", run.out / f"seed{seed}")
        result = json.loads(stdout.strip().splitlines()[-1])
        run.results[seed] = result
        assert (code == 0) == (result["mission"]["result"] == "achieved")
        assert result["mission"]["result"] == "achieved", f"seed {seed}: {result['mission']}\n{stderr[-3000:]}"
        assert result["mission"]["docked"] and result["collisions"] == 0, result["mission"]
        assert result["energy"]["used_wh"] > 0 and abs(sum(result["energy"]["by_consumer"].values()) - result["energy"]["used_wh"]) < 1e-3
        assert sum(result["detections"].values()) > 0
        assert result["transcript"]["wer"] is not None and result["transcript"]["wer"] < 0.6, result["transcript"]
        assert all(node["restarts"] == 0 for node in result["nodes"]), result["nodes"]
        print(f"      seed {seed}: {result['mission']['asked']!r}, {result['mission']['duration_s']:.0f} s simulated, "
              f"{result['real_time_factor']:.1f}x real time, {result['energy']['used_wh']:.2f} Wh")


@check
def seeds(run):
    """the script of docs/missions.md runs a seed and tells of it in a table"""
    done = subprocess.run([sys.executable, ROOT / "tests/e2e/seeds.py", "--bin", run.binary, "--out", run.out / "seeds", "--first", "4", "--count", "1"],
                          capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0 and "| 4 |" in done.stdout and "1 of 1 achieved" in done.stdout, done.stdout + done.stderr


@check
def recordings(run):
    """the recording is read by the packages mcap and rosbags, every sense and every conclusion is in it"""
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore, get_types_from_msg

    path = pathlib.Path(run.results[run.seeds[0]]["recording"]["mcap"])
    counts, types = read_mcap(path)
    for topic in ["/camera/camera_info", "/scan", "/odom", "/imu", "/joint_states", "/battery_state", "/touch/contacts", "/wrist/wrench",
                  "/temperature", "/microphone/audio", "/vision/detections", "/speech/transcript", "/fusion/belief", "/planner/plan",
                  "/cmd_vel", "/safety/state", "/gpu/devices", "/tf", "/tf_static", "/map", "/diagnostics", "/rosout", "/graph/statistics"]:
        assert counts[topic] > 0, f"nothing on {topic}"
    assert types["/scan"] == "sensor_msgs/msg/LaserScan"
    store = get_typestore(Stores.ROS2_JAZZY)
    for file in (ROOT / "msgs/interfaces").glob("*/msg/*.msg"):
        name = f"{file.parent.parent.name}/msg/{file.stem}"
        if name not in store.fielddefs:
            store.register(get_types_from_msg(file.read_text(), name))
    seen = collections.Counter()
    with AnyReader([path], default_typestore=store) as reader:
        for connection, _, raw in reader.messages():
            if seen[connection.topic] < 3:
                message = reader.deserialize(raw, connection.msgtype)
                seen[connection.topic] += 1
                if connection.topic == "/scan":
                    assert len(message.ranges) == 360
    assert len(seen) == len(counts)
    # Every message, with the types that the recording itself brings.
    done = subprocess.run([sys.executable, ROOT / "tests/recording/check.py", path, "--expect", "/scan", "/planner/plan"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@check
def rerun_recording(run):
    """the Rerun recording is whole, by Rerun's own tool"""
    path = run.results[run.seeds[0]]["recording"]["rrd"]
    tool = pathlib.Path(sys.executable).parent / "rerun"
    done = subprocess.run([tool, "rrd", "verify", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    stats = subprocess.run([tool, "rrd", "stats", path], capture_output=True, text=True).stdout
    assert re.search(r"num_chunks\s*=\s*[1-9]", stats) or stats, stats


@check
def live_view(run):
    """`--rerun` shows the demo live: Rerun's own server receives it"""
    tool, received = pathlib.Path(sys.executable).parent / "rerun", run.out / "live.rrd"
    log = run.out / "live.txt"
    with log.open("w") as stream:
        # The tool starts the server as a process of its own.
        server = subprocess.Popen([tool, "--save", received], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while "Saving" not in log.read_text():
            assert time.monotonic() < deadline and server.poll() is None, log.read_text()
            time.sleep(0.1)
        run.omnimind("demo", "--rerun", "--headless", "--rate", 0, "--duration", 10, "--no-wire", "--out", run.out / "live")
        deadline = time.monotonic() + 60
        while received.stat().st_size < 100_000:
            assert time.monotonic() < deadline, f"{received.stat().st_size} bytes came"
            time.sleep(0.1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
    stats = subprocess.run([tool, "rrd", "stats", received], capture_output=True, text=True).stdout
    assert int(re.search(r"num_rows = (\d+)", stats).group(1)) > 100, stats


@check
def same_seed(run):
    """the same seed gives the same world, step by step"""
    hashes = []
    for attempt in range(2):
        out = run.out / f"again{attempt}"
        run.omnimind("demo", "--seed", 7, "--headless", "--json", "--rate", 0, "--duration", 20, "--no-wire", "--out", out)
        path = next(out.rglob("*.mcap"))
        from mcap.reader import make_reader
        with open(path, "rb") as stream:
            hashes.append([m.data[-8:] for _, c, m in make_reader(stream).iter_messages(topics=["/sim/state"])])
    assert len(hashes[0]) > 100 and hashes[0] == hashes[1]


@check
def interrupted(run):
    """Ctrl-C at any moment ends the demo in order: no process is left, the recording is readable"""
    for delay in (0.3, 1.5, 5.0):
        out = run.out / f"interrupted{delay}"
        demo = subprocess.Popen([run.binary, "demo", "--seed", "1", "--headless", "--rate", "2", "--no-wire", "--out", out], cwd=run.out,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        time.sleep(delay)  # the moment of the interruption, not a wait for something
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=30)
        assert demo.returncode != 0, "an interrupted mission is not an achieved one"
        left = subprocess.run(["pgrep", "-s", str(demo.pid)], capture_output=True, text=True).stdout
        assert not left, f"processes left: {left}"
        for path in out.rglob("*.mcap"):
            read_mcap(path)
    demo = subprocess.Popen([run.binary, "demo", "--headless", "--rate", "1", "--out", run.out / "on_the_wire"], cwd=run.out, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while "/planner" not in run.omnimind("node", "list", timeout=60)[1]:
        assert time.monotonic() < deadline and demo.poll() is None, "the demo never showed up"
    # Its own only: other programs of this machine may use Zenoh's shared memory too.
    segments = set(re.findall(r"/dev/shm/\S+\.zenoh", pathlib.Path(f"/proc/{demo.pid}/maps").read_text()))
    end(demo)
    left = [segment for segment in segments if pathlib.Path(segment).exists()]
    assert segments and not left, f"shared memory left: {left} of {segments}"


@check
def cut_recording(run):
    """a recording that was cut in the middle plays up to the cut, and says so"""
    whole = pathlib.Path(run.results[run.seeds[0]]["recording"]["mcap"])
    cut = run.out / "cut.mcap"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 4])
    code, stdout, stderr = run.omnimind("launch", "recording.yaml", f"bag:={cut}", "--headless", "--json", "--no-wire", "--out", run.out / "cut")
    assert "cut off" in stderr + stdout, stderr
    result = json.loads(stdout.strip().splitlines()[-1])
    assert result["detections"], "the same nodes saw the recorded pictures"


@check
def photographs(run):
    """`run vision --source` finds on photographs what is on them"""
    photos = run.out / "photos"
    photos.mkdir(exist_ok=True)
    for path in (ROOT / "nodes/vision/tests/data").glob("*.jpg"):
        shutil.copy(path, photos)
    code, stdout, stderr = run.omnimind("run", "vision", "--source", photos, "--out", run.out / "annotated")
    assert code == 0, stderr
    from PIL import Image
    pictures = list((run.out / "annotated").rglob("*.png"))
    assert len(pictures) == len(list(photos.iterdir()))
    for picture in pictures:
        Image.open(picture).verify()
    assert "person" in stdout and "cup" in stdout, stdout


@check
def wrong_words(run):
    """what is wrong is said in a sentence, with the name of what is wrong, and without a panic"""
    bad = {
        "unknown_node.yaml": ("nodes: [{type: visoin}]", "vision"),
        "unknown_parameter.yaml": ("nodes: [{type: vision, parameters: {confidence_treshold: 0.5}}]", "confidence_threshold"),
        "out_of_range.yaml": ("nodes: [{type: vision, parameters: {confidence_threshold: 7.0}}]", "confidence_threshold"),
        "wrong_type.yaml": ("nodes: [{type: battery, parameters: {capacity_wh: [1]}}]", "capacity_wh"),
        "no_yaml.yaml": ("nodes: [", "no_yaml.yaml"),
        "cycle.yaml": ("include: [cycle.yaml]", "cycle"),
    }
    for name, (text, word) in bad.items():
        path = run.out / name
        path.write_text(text)
        code, stdout, stderr = run.omnimind("launch", path, "--headless", "--no-wire", timeout=60)
        assert code not in (0, 101) and word in stderr and "panicked" not in stderr, f"{name}: {code}: {stderr}"
    for arguments in (["launch", "none.yaml"], ["run", "visoin"], ["demo", "--launch", "none.yaml"], ["models", "verify", "none"]):
        code, stdout, stderr = run.omnimind(*arguments, timeout=60)
        assert code not in (0, 101) and (stdout + stderr).strip() and "panicked" not in stderr, f"{arguments}: {code}: {stderr}"


@check
def taken_port(run):
    """a port that somebody else uses, and a second demo on the same machine, are said and do not disturb"""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stranger.bind(("127.0.0.1", 7447))
        except OSError:
            print("      port 7447 is in use on this machine: only the second demo is tried")
        else:
            stranger.listen()
            code, _, stderr = run.omnimind("demo", "--seed", "1", "--headless", "--rate", "0", "--duration", "1", timeout=120)
            assert "7447" in stderr and "panicked" not in stderr, stderr
    demo = ["demo", "--headless", "--rate", "1", "--duration", "30", "--out"]
    first = subprocess.Popen([run.binary, *demo, run.out / "first"], cwd=run.out, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not run.omnimind("node", "list", timeout=60)[1].strip():
            assert time.monotonic() < deadline and first.poll() is None, "the first demo never showed up"
        code, stdout, stderr = run.omnimind(*demo, run.out / "second", timeout=120)
        assert code not in (0, 101) and "already" in stderr, f"{code}: {stderr}"
        assert first.poll() is None, "the first demo was disturbed"
    finally:
        end(first)


def shown_commands():
    """The commands for a running demo that the README shows, those in its comments too, with a word that each must print."""
    page = (ROOT / "README.md").read_text()
    block = re.search(r"## From another terminal.*?```sh\n(.*?)```", page, re.S).group(1)
    commands = []
    for line in block.splitlines():
        command, _, comment = line.partition("#")
        commands.append(command.strip())
        if "also:" in comment:
            commands += [f"omnimind {also.strip()}" for also in comment.split("also:")[1].split(",")]
    return [command for command in commands if command]


@check
def own_picture_and_voice(run):
    """every command that the README shows for one's own picture and voice gives the right answer, and its file can be read by others"""
    import cv2

    words = {"vision analyze": "cup", "vision compare": "the same picture", "vision video": "frames", "vision search": "coffee.jpg", "audio transcribe": "kitchen",
             "audio speak": "spoken by", "audio enroll": "anna"}
    folder = run.out / "own"
    (folder / "photos").mkdir(parents=True)
    pictures, speech = ROOT / "nodes/vision/tests/data", ROOT / "sim/assets/speech"
    for picture in ("coffee.jpg", "astronaut.jpg"):
        shutil.copy(pictures / picture, folder / "photos")
    for name in ("photo.jpg", "a.jpg", "b.jpg"):
        shutil.copy(pictures / "coffee.jpg", folder / name)
    shutil.copy(ROOT / "video/tests/data/baseline.mp4", folder / "clip.mp4")
    for name, sentence in {"speech.wav": "cup_kitchen_1", "anna1.wav": "cup_hall_1", "anna2.wav": "cup_hall_1"}.items():
        shutil.copy(speech / f"{sentence}.wav", folder / name)
    page = (ROOT / "README.md").read_text()
    block = re.search(r"## On your own picture and voice.*?```sh\n(.*?)```", page, re.S).group(1)
    commands = [line.partition("#")[0].strip() for line in block.splitlines()]
    seen = set()
    for command in commands:
        arguments = shlex.split(command)[1:]
        start = " ".join(arguments[:2])
        book = ["--book", "book.json"] if start == "audio enroll" else []  # not the user's own
        code, stdout, stderr = run.omnimind(*arguments, *book, timeout=120, cwd=folder)
        assert code == 0 and words[start] in stdout, f"{command}: {code}: {stdout}{stderr}"
        seen.add(start)
    assert seen == set(words), seen ^ set(words)
    assert cv2.imread(str(folder / "seen.png")).shape == cv2.imread(str(folder / "photo.jpg")).shape
    assert cv2.VideoCapture(str(folder / "seen.avi")).read()[0] and cv2.imread(str(folder / "speech.png")) is not None
    code, stdout, _ = run.omnimind("audio", "transcribe", "answer.ogg", "--json", timeout=120, cwd=folder)
    assert code == 0 and "cup" in json.loads(stdout)["text"].lower(), stdout


@check
def documented_commands(run):
    """every command that the README shows for a running demo does what it says"""
    words = {"node list": "/planner", "topic list": "/scan", "topic echo": "percentage", "topic hz": "Hz", "param get": "0.", "graph": "/camera",
             "top": "MiB", "goal": "accepted", "doctor": "running graph"}
    commands = shown_commands()
    assert {"node", "topic", "param", "graph", "top", "goal", "doctor"} <= {shlex.split(command)[1] for command in commands}, commands
    demo = subprocess.Popen([run.binary, "demo", "--headless", "--rate", "1", "--duration", "120", "--out", run.out / "documented"], cwd=run.out,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while "/planner" not in run.omnimind("node", "list", timeout=60)[1]:
            assert time.monotonic() < deadline and demo.poll() is None, "the demo never showed up"
        for command in commands:
            arguments = shlex.split(command)[1:]
            word = next(word for start, word in words.items() if " ".join(arguments).startswith(start))
            once = ["--once"] if arguments[:2] == ["topic", "echo"] else []  # it goes on until it is told to stop
            code, stdout, stderr = run.omnimind(*arguments, *once, timeout=60)
            assert code == 0 and word.lower() in stdout.lower() and "panicked" not in stderr, f"{command}: {code}: {stdout}{stderr}"
        assert run.omnimind("param", "set", "/vision", "confidence_threshold", "0.6", timeout=60)[0] == 0
        assert "0.6" in run.omnimind("param", "get", "/vision", "confidence_threshold", timeout=60)[1]
    finally:
        end(demo)


@check
def plain_zenoh_client(run):
    """while the demo runs, a plain Zenoh client hears camera, scan and battery, publishes a goal and sees it taken up"""
    import queue

    import zenoh
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    sys.path.insert(0, str(ROOT / "tests/interop"))
    from raw_zenoh import attachment

    store = get_typestore(Stores.ROS2_JAZZY)
    for file in (ROOT / "msgs/interfaces/omnimind_msgs/msg").glob("*.msg"):
        store.register(get_types_from_msg(file.read_text(), f"omnimind_msgs/msg/{file.stem}"))
    hashes = dict(line.split() for line in (ROOT / "msgs/tests/independent_hashes.txt").read_text().splitlines() if not line.startswith("#"))
    port = free_port()
    router = {"ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["tcp/127.0.0.1:{port}"]'}
    demo = subprocess.Popen([run.binary, "demo", "--headless", "--rate", "1", "--duration", "120", "--out", run.out / "plain"], cwd=run.out,
                            env={**os.environ, **router}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        config = zenoh.Config()
        config.insert_json5("mode", '"client"')
        config.insert_json5("connect/endpoints", f'["tcp/127.0.0.1:{port}"]')
        config.insert_json5("connect/timeout_ms", "60000")
        config.insert_json5("scouting/multicast/enabled", "false")
        with zenoh.open(config) as session:
            def first(topic, message_type, wanted=lambda message: True):
                """The first message on a topic that is as wanted."""
                heard = queue.Queue()
                subscriber = session.declare_subscriber(f"0/{topic}/**", heard.put)
                until = time.monotonic() + 60
                while True:
                    message = store.deserialize_cdr(bytes(heard.get(timeout=max(0.1, until - time.monotonic())).payload), message_type)
                    if wanted(message):
                        subscriber.undeclare()
                        return message

            image = first("camera/image_raw", "sensor_msgs/msg/Image")
            assert image.encoding == "rgb8" and len(image.data) == image.step * image.height > 0 and image.data.std() > 5, (image.width, image.height)
            scan = first("scan", "sensor_msgs/msg/LaserScan")
            assert len(scan.ranges) == 360 and 0.1 < min(scan.ranges) < 5, min(scan.ranges)
            assert 0 < first("battery_state", "sensor_msgs/msg/BatteryState").percentage <= 1
            types = store.types
            stamp = types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
            pose = types["geometry_msgs/msg/PoseStamped"](
                header=types["std_msgs/msg/Header"](stamp=stamp, frame_id=""),
                pose=types["geometry_msgs/msg/Pose"](position=types["geometry_msgs/msg/Point"](x=0.0, y=0.0, z=0.0),
                                                     orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)))
            goal = types["omnimind_msgs/msg/Goal"](goal_id="from-outside", kind=1, description="go to the study", object_label="", room="study",
                                                   pose=pose, priority=0.9, deadline=types["builtin_interfaces/msg/Duration"](sec=0, nanosec=0))
            name = "omnimind_msgs/msg/Goal"
            session.put(f"0/planner/goal/omnimind_msgs::msg::dds_::Goal_/{hashes[name]}", bytes(store.serialize_cdr(goal, name)), attachment=attachment(1))
            first("planner/goal_status", "omnimind_msgs/msg/GoalStatus", lambda status: status.goal.goal_id == "from-outside" and status.status == 1)
    finally:
        end(demo)


@check
def other_sources(run):
    """pictures, sound and a film drive the same nodes; a robot without hardware runs degraded and says what is missing"""
    photos, sound = ROOT / "nodes/vision/tests/data", ROOT / "sim/assets/speech/apple_bedroom_1.wav"
    film = run.out / "film.mp4"
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", "-loop", "1", "-i", photos / "coffee.jpg", "-t", "3", "-r", "5", "-vf", "scale=640:480",
                    "-pix_fmt", "yuv420p", film], check=True)
    # A film is decoded at its own pace.
    for argument, rate, wanted in ((f"images:={photos}", 0, "detections"), (f"video:={film}", 1, "detections"), (f"wav:={sound}", 0, "transcript")):
        code, stdout, stderr = run.omnimind("launch", "recording.yaml", argument, f"rate:={rate}", "--headless", "--json", "--no-wire", "--duration", "12",
                                            "--out", run.out / argument.split(":")[0])
        result = json.loads(stdout.strip().splitlines()[-1])
        found = result["detections"] if wanted == "detections" else result["transcript"]["text"]
        assert code == 0 and found and "panicked" not in stderr, f"{argument}: {code}: {stderr[-2000:]}"
        # A folder is over after its last picture.
        assert ("pictures are shown" in result["ended"]) == argument.startswith("images"), result["ended"]
    code, stdout, stderr = run.omnimind("launch", "robot.yaml", "record:=false", "safety_process:=", "--headless", "--json", "--no-wire", "--duration", "3", "--out", run.out / "robot")
    states = {node["name"]: node["state"] for node in json.loads(stdout.strip().splitlines()[-1])["nodes"]}
    assert "panicked" not in stderr and states["/planner"] in ("running", "stopped") and "v4l2" in stderr.lower(), stderr[-3000:]


@check
def full_disk(run):
    """a disk that is full during set-up is said, and nothing broken is left behind"""
    small = run.out / "small"
    small.mkdir(exist_ok=True)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode != 0:
        raise Skipped("no small disk can be made here")
    try:
        environment = {"OMNIMIND_CACHE": str(small / "omnimind"), "TMPDIR": str(small)}
        code, stdout, stderr = run.omnimind("models", "fetch", env=environment, timeout=600)
        assert code not in (0, 101) and "panicked" not in stderr and "no room" in stderr, f"{code}: {stdout}{stderr}"
        code, stdout, stderr = run.omnimind("models", "verify", env=environment)
        assert code != 0 and "tampered" not in stdout, stdout
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@check
def no_telemetry(run):
    """nothing is told to anybody: ONNX Runtime makes neither a device identifier nor a store of events"""
    home = run.out / "no_telemetry"
    home.mkdir(exist_ok=True)
    cache = os.environ.get("OMNIMIND_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "omnimind"
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "OMNIMIND_CACHE": str(cache)}
    code, stdout, stderr = run.omnimind("run", "vision", "--source", ROOT / "nodes/vision/tests/data", "--out", home / "annotated", "--no-wire", env=environment)
    assert code == 0 and "nanodet" in stdout, stderr
    left = [path for path in home.iterdir() if path.name != "annotated"]
    assert not left, left


@check
def worlds(run):
    """the worlds are sound SDF: libsdformat, which Gazebo parses with too, reads them (through Drake)"""
    program = """
import sys, xml.etree.ElementTree as tree
from pydrake.multibody.parsing import Parser
from pydrake.multibody.plant import MultibodyPlant
plant = MultibodyPlant(0.001)
Parser(plant).AddModels(sys.argv[1])
plant.Finalize()
world = tree.parse(sys.argv[1]).getroot().find("world")
assert plant.num_model_instances() == 2 + len(world.findall("model")) + len(world.findall("include")), plant.num_model_instances()
robot = plant.GetModelInstanceByName("omni")
for joint in ("wheel_left_joint", "wheel_right_joint", "lift_joint", "extend_joint", "finger_left_joint", "finger_right_joint"):
    assert plant.HasJointNamed(joint, robot), joint
print(sum(plant.get_body(body).default_mass() for body in plant.GetBodyIndices(robot)))
"""
    folder = ROOT / "sim/worlds"
    done = subprocess.run([sys.executable, "-c", program, "home.sdf"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 3 < float(done.stdout.split()[-1]) < 30, done.stdout


@check
def foreign_clients(run):
    """programs that others wrote talk to it over the wire"""
    done = subprocess.run([sys.executable, ROOT / "tests/interop/run.py", "--binary", run.binary], timeout=600)
    assert done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--only", default="", help="names of checks, with commas")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    run = Run(arguments.bin.resolve(), arguments.out.resolve(), [int(seed) for seed in arguments.seeds.split(",")])
    failed = passed = skipped = 0
    for function in CHECKS:
        if arguments.only and function.__name__ not in arguments.only.split(","):
            continue
        begun = time.monotonic()
        try:
            function(run)
            passed += 1
            print(f"ok    {function.__name__}: {function.__doc__} ({time.monotonic() - begun:.0f} s)", flush=True)
        except Skipped as why:
            skipped += 1
            print(f"skip  {function.__name__}: {why}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL  {function.__name__}: {function.__doc__}\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
