"""The demo for `ros2 launch omnimind demo.launch.py seed:=3`: one process, which hosts every node."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import FindExecutable, LaunchConfiguration


def generate_launch_description():
    seed = LaunchConfiguration("seed")
    rate = LaunchConfiguration("rate")
    return LaunchDescription(
        [
            DeclareLaunchArgument("seed", default_value="1", description="scenario and every noise"),
            DeclareLaunchArgument("rate", default_value="1.0", description="simulated seconds per second; 0: as fast as possible"),
            ExecuteProcess(
                cmd=[FindExecutable(name="omnimind"), "launch", "--headless", "demo.yaml", ["seed:=", seed], ["rate:=", rate]],
                output="screen",
                sigterm_timeout="20",
            ),
        ]
    )
