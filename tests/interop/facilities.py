"""Life cycle, composition and type descriptions, called from another process. CDR by rosbags."""
import hashlib
import json

import numpy

from peer import LIMIT, STORE, T, Refused, Wire, attachment, decode, encode, example, official, start, wait_for
from raw_zenoh import BATTERY, HASHES

STATES = {
    0: "unknown", 1: "unconfigured", 2: "inactive", 3: "active", 4: "finalized", 10: "configuring", 11: "cleaningup", 12: "shuttingdown",
    13: "activating", 14: "deactivating", 15: "errorprocessing",
}


def parameter(name, value):
    """A parameter with a floating-point value."""
    none = numpy.array([], dtype=numpy.uint8)
    value = T["rcl_interfaces/msg/ParameterValue"](
        type=3, bool_value=False, integer_value=0, double_value=value, string_value="", byte_array_value=none,
        bool_array_value=none.astype(bool), integer_array_value=none.astype("int64"), double_array_value=none.astype("float64"),
        string_array_value=[],
    )
    return T["rcl_interfaces/msg/Parameter"](name=name, value=value)


def described(description):
    """A type description as the JSON that RIHS01 is taken of, and as the official files have it."""

    def one(individual):
        fields = [
            {"name": f.name, "type": {"type_id": f.type.type_id, "capacity": f.type.capacity, "string_capacity": f.type.string_capacity,
                                      "nested_type_name": f.type.nested_type_name}}
            for f in individual.fields
        ]
        return {"type_name": individual.type_name, "fields": fields}

    return {
        "type_description": one(description.type_description),
        "referenced_type_descriptions": [one(other) for other in description.referenced_type_descriptions],
    }


def rihs01(json_object):
    return "RIHS01_" + hashlib.sha256(json.dumps(json_object, separators=(", ", ": ")).encode()).hexdigest()


def checks(endpoint, binary, environment):
    nodes = start([example(binary)], environment)
    container = start([binary, "run", "component_container"], environment)
    wire = Wire(endpoint)

    def state():
        now = wire.call("/pump/get_state", "lifecycle_msgs/GetState").current_state
        return now.id, now.label

    def change(id_, label=""):
        return wire.call("/pump/change_state", "lifecycle_msgs/ChangeState", T["lifecycle_msgs/msg/Transition"](id_, label)).success

    def life_cycle():
        """a managed node is looked at, configured, refused, activated and shut down, and tells of each step"""
        assert wire.end("SS", "/pump/change_state")[11] == HASHES["lifecycle_msgs/srv/ChangeState"]
        assert state() == (1, "unconfigured")
        events = wire.listen("/pump/transition_event")

        def event():
            told = decode(events.get(timeout=LIMIT).payload, "lifecycle_msgs/msg/TransitionEvent")
            return told.start_state.label, told.goal_state.label

        known = wire.call("/pump/get_available_states", "lifecycle_msgs/GetAvailableStates").available_states
        assert {s.id: s.label for s in known} == STATES, known
        found = wire.call("/pump/get_available_transitions", "lifecycle_msgs/GetAvailableTransitions").available_transitions
        assert sorted((d.transition.id, d.transition.label, d.start_state.label, d.goal_state.label) for d in found) == [
            (1, "configure", "unconfigured", "configuring"), (5, "shutdown", "unconfigured", "shuttingdown")
        ], found
        graph = wire.call("/pump/get_transition_graph", "lifecycle_msgs/GetAvailableTransitions").available_transitions
        assert len(graph) > 20 and {d.start_state.label for d in graph} <= set(STATES.values()), graph
        assert not change(3), "what is not configured is not activated"
        assert state() == (1, "unconfigured") and events.empty()
        assert change(1)
        assert state() == (2, "inactive")
        assert [event(), event()] == [("unconfigured", "configuring"), ("configuring", "inactive")]
        assert not change(3), "the valve is closed"
        assert state() == (2, "inactive")
        assert [event(), event()] == [("inactive", "activating"), ("activating", "inactive")]
        pressure = wire.listen("/pressure")
        valve = wire.key("MS", "/valve")
        wire.session.put(valve, encode(T["std_msgs/msg/Bool"](True)), attachment=attachment(1, b"\x31" * 16))
        assert wait_for("the open valve", lambda: change(0, "activate"))
        assert state() == (3, "active")
        assert decode(pressure.get(timeout=LIMIT).payload, "std_msgs/msg/Float64").data == 1.0
        assert change(0, "deactivate") and state() == (2, "inactive")
        assert not change(7), "that is how an active node is shut down"
        assert change(6) and state() == (4, "finalized")

    def bad_transitions():
        """transitions that there are not, and bytes that are none, are refused and change nothing"""
        assert not change(99) and not change(0, "fly") and not change(1)
        try:
            wire.call_raw("/pump/change_state", b"\xff" * 7)
            raise AssertionError("taken")
        except Refused as why:
            assert "request" in str(why), why
        assert state() == (4, "finalized")

    def composition():
        """a container loads a node with name, namespace, remapping and parameter, lists it, refuses what it does not know, and unloads it"""
        names = {"ListNodes": "list_nodes", "LoadNode": "load_node", "UnloadNode": "unload_node"}

        def call(service, *arguments):
            return wire.call(f"/component_container/_container/{names[service]}", f"composition_interfaces/{service}", *arguments)

        assert call("ListNodes").full_node_names == []
        rest = (0, ["device/battery:=cells"], [parameter("low", 0.4)], [])
        loaded = call("LoadNode", "omnimind", "omnimind::Battery", "spare", "/cellar", *rest)
        assert loaded.success and loaded.full_node_name == "/cellar/spare", loaded
        assert wire.node("spare")[7] == "%cellar"
        assert wire.end("MS", "/cellar/cells")[8] == "spare"
        answer = wire.call("/cellar/spare/get_parameters", "rcl_interfaces/GetParameters", ["low"])
        assert [v.double_value for v in answer.values] == [0.4], answer
        listed = call("ListNodes")
        assert listed.full_node_names == ["/cellar/spare"] and list(listed.unique_ids) == [loaded.unique_id], listed
        for package, plugin, reason in (("nobody", "omnimind::Battery", "no package"), ("omnimind", "omnimind::Batery", "did you mean")):
            answer = call("LoadNode", package, plugin, "", "", 0, [], [], [])
            assert not answer.success and reason in answer.error_message, answer
        answer = call("LoadNode", "omnimind", "battery", "other", "/cellar", 0, [], [parameter("low", 7.0)], [])
        assert not answer.success and "7" in answer.error_message, answer
        answer = call("UnloadNode", loaded.unique_id + 100)
        assert not answer.success and answer.error_message, answer
        assert call("UnloadNode", loaded.unique_id).success
        assert call("ListNodes").full_node_names == []
        wait_for("the node to be gone", lambda: not [t for t in wire.tokens() if t[5] == "NN" and t[8] == "spare"])

    def type_description():
        """a node describes its types: their fields are the official ones, and the hash of the answer is the one that was asked for"""
        for name in (BATTERY, "rcl_interfaces/msg/ParameterEvent", "rcl_interfaces/srv/SetParameters"):
            answer = wire.call("/battery/get_type_description", "type_description_interfaces/GetTypeDescription", name, HASHES[name], True)
            assert answer.successful, answer.failure_reason
            found = described(answer.type_description)
            assert rihs01(found) == HASHES[name], name
            if name in STORE.fielddefs:
                own = [field for field, _ in STORE.fielddefs[name][1]]
                assert [f.name for f in answer.type_description.type_description.fields] == own, name
                assert STORE.hash_rihs01(name) == HASHES[name]
            if (file := official(name)) is not None:
                def bare(one):
                    return {**one, "fields": [{k: v for k, v in f.items() if k != "default_value"} for f in one["fields"]]}

                text = file["type_description_msg"]
                assert found["type_description"] == bare(text["type_description"]), name
                assert found["referenced_type_descriptions"] == [bare(o) for o in text["referenced_type_descriptions"]], name
            assert {s.type_name for s in answer.type_sources} >= {name}, answer.type_sources

    def no_description():
        """a type that the node does not use, and a hash that is none, are refused with rcl's words"""
        ask = lambda *a: wire.call("/battery/get_type_description", "type_description_interfaces/GetTypeDescription", *a, False)
        image = "sensor_msgs/msg/Image"
        answer = ask(image, HASHES[image])
        assert not answer.successful and "not currently in use" in answer.failure_reason, answer
        answer = ask(BATTERY, "RIHS01_zz")
        assert not answer.successful and "Failed to parse type hash" in answer.failure_reason, answer
        answer = ask(BATTERY, "RIHS01_" + "0" * 64)
        assert not answer.successful and HASHES[BATTERY] in answer.failure_reason, answer

    def end():
        """the processes end"""
        wire.close()
        nodes.end()
        container.end()

    return [life_cycle, bad_transitions, composition, type_description, no_description, end]
