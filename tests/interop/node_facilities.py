"""What every ROS 2 node has besides its topics: parameters with events, a log with thresholds. CDR by rosbags, over a plain Zenoh session."""
import queue

import zenoh
from raw_zenoh import LIMIT, STORE, attachment, key, wait_for
from rosbags.typesys import get_types_from_msg

REQUESTS = {
    "rcl_interfaces/msg/SetParameters_Request": "rcl_interfaces/Parameter[] parameters",
    "rcl_interfaces/msg/SetParameters_Response": "rcl_interfaces/SetParametersResult[] results",
    "rcl_interfaces/msg/SetLoggerLevels_Request": "rcl_interfaces/LoggerLevel[] levels",
    "rcl_interfaces/msg/SetLoggerLevels_Response": "rcl_interfaces/SetLoggerLevelsResult[] results",
    "rcl_interfaces/msg/LoggerLevel": "string name\nuint32 level",
    "rcl_interfaces/msg/SetLoggerLevelsResult": "bool successful\nstring reason",
}
for name, definition in REQUESTS.items():
    if name not in STORE.fielddefs:
        STORE.register(get_types_from_msg(definition, name))
T = STORE.types


def checks(endpoint, _binary, _environment):
    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", f'["{endpoint}"]')
    config.insert_json5("connect/timeout_ms", "60000")
    config.insert_json5("scouting/multicast/enabled", "false")
    session = zenoh.open(config)

    def tokens(kind, name):
        """Tokens of a kind whose topic or service is `name`, in chunks, by node."""
        split = [str(r.ok.key_expr).split("/") for r in session.liveliness().get("@ros2_lv/0/**", timeout=3.0) if r.ok]
        return {t[8]: t for t in split if t[5] == kind and len(t) > 9 and t[9] == name.replace("/", "%")}

    def call(service, ros_type, *arguments):
        # rosbags knows messages only, so a request is one.
        message = ros_type.replace("/srv/", "/msg/")
        request = T[f"{message}_Request"](*arguments)
        payload = bytes(STORE.serialize_cdr(request, f"{message}_Request"))
        replies = list(session.get(key(service, ros_type), payload=payload, attachment=attachment(1), timeout=LIMIT))
        assert len(replies) == 1 and replies[0].ok, replies
        return STORE.deserialize_cdr(bytes(replies[0].ok.payload), f"{message}_Response").results

    def double(name, value):
        import numpy

        none = numpy.array([], dtype=numpy.uint8)
        value = T["rcl_interfaces/msg/ParameterValue"](
            type=3, bool_value=False, integer_value=0, double_value=value, string_value="", byte_array_value=none,
            bool_array_value=none.astype(bool), integer_array_value=none.astype("int64"), double_array_value=none.astype("float64"),
            string_array_value=[],
        )
        return T["rcl_interfaces/msg/Parameter"](name=name, value=value)

    def announced():
        """each node has its own /rosout, transient local of depth 1000, and parameter services of depth 1000"""
        rosout = wait_for("both publishers on /rosout", lambda: (t := tokens("MP", "/rosout")) and "battery" in t and len(t) > 1 and t)
        for token in rosout.values():
            assert token[12].startswith(":1:,1000:"), token
        for service in ("get_parameters", "set_parameters_atomically", "describe_parameters"):
            token = tokens("SS", f"/battery/{service}")["battery"]
            assert token[12] == "::,1000:,:,:,,", token
        assert tokens("MP", "/parameter_events")["battery"][12] == "::,1000:,:,:,,"

    def parameter_events():
        """a parameter that is set is an event; one that is refused has a reason and is none"""
        heard = queue.Queue()
        event_type = "rcl_interfaces/msg/ParameterEvent"
        subscriber = session.declare_subscriber(key("parameter_events", event_type), lambda s: heard.put(bytes(s.payload)))
        refused = call("battery/set_parameters", "rcl_interfaces/srv/SetParameters", [double("low", 7.0)])[0]
        assert not refused.successful and "7 is outside" in refused.reason, refused
        unknown = call("battery/set_parameters", "rcl_interfaces/srv/SetParameters", [double("lou", 0.3)])[0]
        assert "did you mean `low`" in unknown.reason, unknown
        assert call("battery/set_parameters", "rcl_interfaces/srv/SetParameters", [double("low", 0.25)])[0].successful
        event = STORE.deserialize_cdr(heard.get(timeout=LIMIT), event_type)
        assert event.node == "/battery" and not event.new_parameters and not event.deleted_parameters, event
        assert [(p.name, p.value.double_value) for p in event.changed_parameters] == [("low", 0.25)], event
        assert heard.empty(), "what was refused is no event"
        subscriber.undeclare()

    def log_levels():
        """the threshold of a logger is set by service, an unknown one is refused"""
        level = T["rcl_interfaces/msg/LoggerLevel"]
        levels = [level(name="battery", level=40), level(name="nobody", level=20), level(name="battery", level=41), level(name="battery", level=0)]
        results = call("battery/set_logger_levels", "rcl_interfaces/srv/SetLoggerLevels", levels)
        assert [r.successful for r in results] == [True, False, False, True], results
        assert "no logger `nobody`" in results[1].reason and "41" in results[2].reason, results

    def close():
        """the session closes"""
        session.close()

    return [announced, parameter_events, log_levels, close]
