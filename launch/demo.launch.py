"""The demo: a simulated home and a robot in it. One process hosts every node, in lock-step."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

SHARE = FindPackageShare("omnimind")
ARGUMENTS = [
    ("seed", "1", "scenario and every noise"),
    ("rate", "0", "simulated seconds per second; 0: as fast as possible"),
    ("speech", [SHARE, "/sim/assets/speech"], "recorded requests; empty: the request is text only"),
    ("record", "true", "write MCAP and .rrd files"),
    ("replay", "false", "record raw what vision, fusion and planner take in: replay.yaml replays it"),
    ("rerun_url", "", "running Rerun viewer; empty: none"),
]


def generate_launch_description():
    whole = ["--headless"]
    whole += [PathJoinSubstitution([SHARE, "launch", "demo.yaml"])]
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
