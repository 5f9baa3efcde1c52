"""rclpy on Fast DDS: a std_msgs/UInt8MultiArray from node to node."""
import array
import os
import sys

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
import rclpy  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from std_msgs.msg import UInt8MultiArray  # noqa: E402

import harness  # noqa: E402

plan = harness.options()
rclpy.init()
node = rclpy.create_node(f"peers_{plan.command}_{plan.id}")
if plan.command == "publish":
    publisher = node.create_publisher(UInt8MultiArray, "peers", 10)
    message = UInt8MultiArray()
    message.data = array.array("B", bytes([7]) * plan.bytes)

    def send(head: bytes) -> None:
        message.data[: len(head)] = array.array("B", head)
        publisher.publish(message)

    harness.publish(plan, send, sys.stdout)
else:
    listening = harness.Listening(plan, sys.stdout)
    more = True

    def take(message) -> None:
        global more
        more = listening.take(memoryview(message.data))

    node.create_subscription(UInt8MultiArray, "peers", take, 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while more:
        executor.spin_once()
    listening.report()
os._exit(0)
