#!/usr/bin/env python3
"""Listens to the robot's camera and sends it a goal, as a plain ROS 2 node: nothing here is special to OmniMind.

    colcon build --packages-select omnimind_msgs && . install/setup.sh    # from msgs/interfaces/omnimind_msgs
    RMW_IMPLEMENTATION=rmw_zenoh_cpp python camera_and_goal_rclpy.py --ros-args -p room:=kitchen
"""
import rclpy
from omnimind_msgs.msg import Goal
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image


class CameraAndGoal(Node):
    def __init__(self) -> None:
        super().__init__("camera_and_goal")
        self.room = self.declare_parameter("room", "kitchen").value
        self.goals = self.create_publisher(Goal, "planner/goal", 10)
        self.create_subscription(Image, "camera/image_raw", self.on_image, qos_profile_sensor_data)
        self.asked = False

    def on_image(self, image: Image) -> None:
        if self.asked or self.goals.get_subscription_count() == 0:
            return
        self.get_logger().info(f"a picture of {image.width} x {image.height} ({image.encoding})")
        self.goals.publish(Goal(kind=Goal.GO_TO, room=self.room, description=f"go to the {self.room}", priority=0.5))
        self.get_logger().info(f"asked to go to the {self.room}")
        self.asked = True


def main() -> None:
    rclpy.init()
    node = CameraAndGoal()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
