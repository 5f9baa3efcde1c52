"""What several checks share: a plain Zenoh session with CDR by rosbags, and the processes that they start."""
import atexit
import collections
import json
import os
import pathlib
import queue
import subprocess
import tempfile

import zenoh
from raw_zenoh import LIMIT, STORE, attachment, wait_for
from rosbags.typesys import get_types_from_msg

# rosbags knows messages only, so a request is one. What is empty has one byte.
EMPTY = "uint8 structure_needs_at_least_one_member"
FIBONACCI = "int32[] sequence"
DEFINITIONS = {
    "example_interfaces/msg/Fibonacci_SendGoal_Request": "unique_identifier_msgs/UUID goal_id\nint32 order",
    "example_interfaces/msg/Fibonacci_SendGoal_Response": "bool accepted\nbuiltin_interfaces/Time stamp",
    "example_interfaces/msg/Fibonacci_GetResult_Request": "unique_identifier_msgs/UUID goal_id",
    "example_interfaces/msg/Fibonacci_GetResult_Response": f"int8 status\n{FIBONACCI}",
    "example_interfaces/msg/Fibonacci_FeedbackMessage": f"unique_identifier_msgs/UUID goal_id\n{FIBONACCI}",
    "action_msgs/msg/CancelGoal_Request": "action_msgs/GoalInfo goal_info",
    "action_msgs/msg/CancelGoal_Response": "int8 return_code\naction_msgs/GoalInfo[] goals_canceling",
    "lifecycle_msgs/msg/GetState_Request": EMPTY,
    "lifecycle_msgs/msg/GetState_Response": "lifecycle_msgs/State current_state",
    "lifecycle_msgs/msg/GetAvailableStates_Request": EMPTY,
    "lifecycle_msgs/msg/GetAvailableStates_Response": "lifecycle_msgs/State[] available_states",
    "lifecycle_msgs/msg/GetAvailableTransitions_Request": EMPTY,
    "lifecycle_msgs/msg/GetAvailableTransitions_Response": "lifecycle_msgs/TransitionDescription[] available_transitions",
    "lifecycle_msgs/msg/ChangeState_Request": "lifecycle_msgs/Transition transition",
    "lifecycle_msgs/msg/ChangeState_Response": "bool success",
    "composition_interfaces/msg/ListNodes_Request": EMPTY,
    "composition_interfaces/msg/ListNodes_Response": "string[] full_node_names\nuint64[] unique_ids",
    "composition_interfaces/msg/LoadNode_Request": "string package_name\nstring plugin_name\nstring node_name\nstring node_namespace\n"
    "uint8 log_level\nstring[] remap_rules\nrcl_interfaces/Parameter[] parameters\nrcl_interfaces/Parameter[] extra_arguments",
    "composition_interfaces/msg/LoadNode_Response": "bool success\nstring error_message\nstring full_node_name\nuint64 unique_id",
    "composition_interfaces/msg/UnloadNode_Request": "uint64 unique_id",
    "composition_interfaces/msg/UnloadNode_Response": "bool success\nstring error_message",
    "rcl_interfaces/msg/GetParameters_Request": "string[] names",
    "rcl_interfaces/msg/GetParameters_Response": "rcl_interfaces/ParameterValue[] values",
    "type_description_interfaces/msg/GetTypeDescription_Request": "string type_name\nstring type_hash\nbool include_type_sources",
    "type_description_interfaces/msg/GetTypeDescription_Response": "bool successful\nstring failure_reason\n"
    "type_description_interfaces/TypeDescription type_description\ntype_description_interfaces/TypeSource[] type_sources\n"
    "type_description_interfaces/KeyValue[] extra_information",
}
for name, definition in DEFINITIONS.items():
    if name not in STORE.fielddefs:
        STORE.register(get_types_from_msg(definition, name))
T = STORE.types


def encode(message):
    return bytes(STORE.serialize_cdr(message, message.__msgtype__))


def decode(data, name):
    return STORE.deserialize_cdr(bytes(data), name)


class Refused(Exception):
    """A server answered with an error."""


class Wire:
    """A plain Zenoh session in domain 0."""

    def __init__(self, endpoint):
        config = zenoh.Config()
        settings = {"mode": '"client"', "connect/endpoints": f'["{endpoint}"]', "connect/timeout_ms": "60000", "scouting/multicast/enabled": "false"}
        for path, value in settings.items():
            config.insert_json5(path, value)
        self.session = zenoh.open(config)
        self.calls = 0
        self.held = []

    def close(self):
        self.session.close()

    def tokens(self):
        """All tokens of the domain, in chunks."""
        return [str(r.ok.key_expr).split("/") for r in self.session.liveliness().get("@ros2_lv/0/**", timeout=3.0) if r.ok]

    def node(self, name):
        """The token of a node, as soon as it is there."""
        return wait_for(f"node {name}", lambda: [t for t in self.tokens() if t[5] == "NN" and t[8] == name])[0]

    def end(self, kind, name):
        """The token of an end of the kind MP, MS, SS or SC, as soon as it is there."""
        mangled = name.replace("/", "%")
        return wait_for(f"{kind} {name}", lambda: [t for t in self.tokens() if len(t) > 12 and t[5] == kind and t[9] == mangled])[0]

    def key(self, kind, name):
        """Where its samples or requests go."""
        chunks = self.end(kind, name)
        return f"0{name}/{chunks[10]}/{chunks[11]}"

    def listen(self, name, kind="MP"):
        """A queue of what is published from now on."""
        heard = queue.Queue()
        # Not what a stranger puts on everything.
        take = lambda sample: "*" in str(sample.key_expr) or heard.put(sample)
        self.held.append(self.session.declare_subscriber(self.key(kind, name), take))
        return heard

    def call_raw(self, name, payload):
        self.calls += 1
        replies = list(self.session.get(self.key("SS", name), payload=payload, attachment=attachment(self.calls), timeout=LIMIT))
        assert len(replies) == 1, replies
        if not replies[0].ok:
            raise Refused(replies[0].err.payload.to_string())
        return bytes(replies[0].ok.payload)

    def call(self, name, service, *arguments):
        """Calls a service of a type such as lifecycle_msgs/GetState."""
        message = service.replace("/", "/msg/")
        empty = DEFINITIONS[f"{message}_Request"] == EMPTY
        request = T[f"{message}_Request"](*((0,) if empty else arguments))
        return decode(self.call_raw(name, encode(request)), f"{message}_Response")


Process = collections.namedtuple("Process", "pid end")


def start(words, environment, **more):
    """Starts a program; its output is shown when it does not end well."""
    log = tempfile.TemporaryFile("w+")
    process = subprocess.Popen([str(word) for word in words], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
    # Where a check fails before it ends what it has started.
    atexit.register(process.kill)

    def end():
        early = process.poll()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            early = "no reaction to SIGTERM"
        log.seek(0)
        said = log.read()
        log.close()
        assert early is None and "panicked" not in said, f"{words} ended early ({early}):\n{said}"

    return Process(process.pid, end)


def example(binary):
    """The nodes of wire/examples/peer.rs. `cargo test` and `cargo build --example peer -p omnimind-wire` build them."""
    path = pathlib.Path(os.environ.get("OMNIMIND_PEER", binary.parent / "examples/peer"))
    assert path.exists(), f"{path} is not there: cargo build --release -p omnimind-wire --example peer"
    return path


def official(name):
    """The official type description of an interface, from the ROS 2 wheels, if they are installed."""
    package, kind, short = name.split("/")
    share = os.environ.get("OMNIMIND_ROS_SHARE") or pathlib.Path(zenoh.__file__).parents[4] / "share"
    path = pathlib.Path(share) / package / kind / f"{short}.json"
    return json.loads(path.read_text()) if path.exists() else None
