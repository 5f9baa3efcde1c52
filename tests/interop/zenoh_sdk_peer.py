"""zenoh-ros2-sdk: an implementation of ROS 2 over Zenoh that shares no code with this one. It reads our definition files and computes
type hashes of its own: with another hash it would not be heard."""
import pathlib
import queue
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTERFACES = ROOT / "msgs/interfaces"
LIMIT = 60.0
# Of these it makes another hash than rosidl's own: `char`, and bounded sequences.
KNOWN_OTHERWISE = {"service_msgs/msg/ServiceEventInfo", "shape_msgs/msg/SolidPrimitive", "std_msgs/msg/Char"}


def checks(endpoint, binary, environment):
    # Imported late: it opens its one session with the environment's settings.
    import zenoh_ros2_sdk as sdk
    from zenoh_ros2_sdk.message_registry import get_registry

    get_registry(str(INTERFACES))
    host, port = endpoint.removeprefix("tcp/").split(":")
    where = {"router_ip": host, "router_port": int(port)}
    battery = "sensor_msgs/msg/BatteryState"

    def texts(srv_type):
        """The two parts of a service's definition; without them it would look for them on the network."""
        request, response = (INTERFACES / f"{srv_type}.srv").read_text().split("---\n")
        return {"request_definition": request, "response_definition": response}

    def omnimind(*words):
        return subprocess.run([binary, *words], env=environment, capture_output=True, text=True, timeout=60)

    def hashes():
        """its hash of every standard message is the official one"""
        from zenoh_ros2_sdk.utils import get_type_hash, load_dependencies_recursive
        from raw_zenoh import HASHES

        compared, other = 0, set()
        for path in sorted(INTERFACES.glob("*_msgs/msg/*.msg")):
            name, text = f"{path.parent.parent.name}/msg/{path.stem}", path.read_text()
            # What it cannot: types without fields, and defaults.
            if name not in HASHES or not text.strip():
                continue
            own = get_type_hash(name, msg_definition=text, dependencies=load_dependencies_recursive(name, text, get_registry()))
            compared += 1
            if own != HASHES[name]:
                other.add(name)
        assert other == KNOWN_OTHERWISE, f"other hashes for {sorted(other)}"
        assert compared >= 100, f"only {compared} hashes were compared"

    def topics():
        """it is heard, and hears the answer"""
        heard = queue.Queue()
        listener = sdk.ROS2Subscriber("/battery_state", battery, heard.put, **where)
        talker = sdk.ROS2Publisher("/device/battery", battery, **where)
        import numpy

        types, empty, nan = talker.session_mgr.store.types, numpy.array([], dtype=numpy.float32), float("nan")
        stamp = types["builtin_interfaces/msg/Time"](sec=1, nanosec=0)
        sample = dict.fromkeys(["charge", "capacity", "design_capacity", "percentage"], nan) | {
            "header": types["std_msgs/msg/Header"](stamp=stamp, frame_id="base_link"), "voltage": 15.0, "current": -1.0,
            "temperature": 25.0, "power_supply_status": 2, "power_supply_health": 1, "power_supply_technology": 2, "present": True,
            "cell_voltage": empty, "cell_temperature": empty, "location": "", "serial_number": "sdk",
        }
        until, message = time.monotonic() + LIMIT, None
        while time.monotonic() < until:
            # Best effort is the topic's own choice: until discovery is through, samples go nowhere.
            talker.publish(**sample)
            try:
                message = heard.get(timeout=0.2)
            except queue.Empty:
                continue
            if message.serial_number == "sdk":
                break
        assert message is not None and message.serial_number == "sdk", message
        assert 0.0 <= message.percentage <= 1.0
        listed = omnimind("node", "list").stdout
        assert f"/{talker.node_name}" in listed.splitlines(), listed
        talker.close()
        listener.close()

    def calls():
        """it calls a service"""
        client = sdk.ROS2ServiceClient(
            "/battery/get_parameter_types", "rcl_interfaces/srv/GetParameterTypes", **texts("rcl_interfaces/srv/GetParameterTypes"), **where
        )
        response = client.call(names=["capacity_wh", "no_such"])
        # PARAMETER_DOUBLE, PARAMETER_NOT_SET.
        assert response is not None and list(response.types) == [3, 0], response
        client.close()

    def serves():
        """it serves a service that `omnimind service call` calls"""
        asked = queue.Queue()

        def answer(request):
            asked.put(request.data)
            return server.response_msg_class(success=request.data, message="from the SDK: Grüße")

        server = sdk.ROS2ServiceServer("/sdk/switch", "std_srvs/srv/SetBool", callback=answer, **texts("std_srvs/srv/SetBool"), **where)
        done = omnimind("service", "call", "/sdk/switch", "data: true")
        assert done.returncode == 0 and "from the SDK: Grüße" in done.stdout, done.stdout + done.stderr
        assert asked.get(timeout=1.0) is True
        server.close()

    return [hashes, topics, calls, serves]
