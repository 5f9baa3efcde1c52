"""pyzeros: an implementation of ROS 2 over Zenoh that shares no code with this one."""
import asyncio

import asyncio_for_robotics as afor
import pyzeros
import zenoh
from ros2_pyterfaces.cyclone.all_msgs import BatteryState
from ros2_pyterfaces.cyclone.rcl_interfaces.srv import ListParameters, ListParameters_Request

# It compiles its serialisers at first use, which takes tens of seconds.
LIMIT = 180.0


def open_session(endpoint):
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("connect/endpoints", f'["{endpoint}"]')
    config.insert_json5("connect/timeout_ms", "60000")
    config.insert_json5("connect/exit_on_failure", "true")
    config.insert_json5("listen/endpoints", '["tcp/127.0.0.1:0"]')
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("timestamping/enabled", "true")
    return zenoh.open(config)


def checks(endpoint, _binary, _environment):
    def inside(function):
        """Runs a coroutine in a session and scope of pyzeros of its own."""
        with open_session(endpoint) as session, pyzeros.auto_context(node="peer", zenoh_session=session, namespace="/pyzeros"):
            asyncio.run(asyncio.wait_for(afor.scoped(function)(), LIMIT))

    def topics():
        """it is heard, and hears the answer"""

        async def talk():
            heard = asyncio.get_running_loop().create_future()

            async def listen():
                async for message in pyzeros.Sub(BatteryState, "/battery_state").listen_reliable():
                    if message.serial_number == "pyzeros" and not heard.done():
                        heard.set_result(message)

            listener = asyncio.create_task(listen())
            publisher = pyzeros.Pub(BatteryState, "/device/battery")
            while not heard.done():
                # Until discovery is through, samples go nowhere: best effort is the topic's own choice.
                publisher.publish(BatteryState(voltage=15.0, current=-1.0, serial_number="pyzeros", present=True))
                await asyncio.wait([heard], timeout=0.1)
            listener.cancel()
            message = heard.result()
            assert 0.0 <= message.percentage <= 1.0 and message.present

        inside(talk)

    def service():
        """it calls a service"""

        async def call():
            client = pyzeros.Client(ListParameters, "/battery/list_parameters")
            await client.wait_for_service()
            response = await client.call_async(ListParameters_Request())
            assert "capacity_wh" in response.result.names, response

        inside(call)

    return [topics, service]
