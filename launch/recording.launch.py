"""A recording instead of a robot: one process plays it through the nodes above the sensors, in lock-step."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

SHARE = FindPackageShare("omnimind")
ARGUMENTS = [
    ("bag", "", "MCAP file; empty: none"),
    ("images", "", "folder of pictures; empty: none"),
    ("loop", "false", "show the pictures or the video again and again"),
    ("video", "", "video file; empty: none"),
    ("wav", "", "WAV file; empty: none"),
    ("rate", "1", "recorded seconds per second; 0: as fast as possible"),
    ("home", [SHARE, "/config/home.yaml"], "rooms, surfaces, dock"),
    ("map", [SHARE, "/config/home_map.yaml"], "map in map_server's format"),
]


def generate_launch_description():
    whole = ["--headless"]
    whole += [PathJoinSubstitution([SHARE, "launch", "recording.yaml"])]
    whole += [[name, ":=", LaunchConfiguration(name)] for name, _, _ in ARGUMENTS]
    actions = [DeclareLaunchArgument(name, default_value=default, description=text) for name, default, text in ARGUMENTS]
    actions.append(
        ExecuteProcess(
            cmd=[ExecutableInPackage(package="omnimind", executable="omnimind"), "launch", *whole],
            output="screen",
            sigterm_timeout="20",
        )
    )
    return LaunchDescription(actions)
