"""The nodes of a robot whose body is in Gazebo. Neither Gazebo nor ros_gz_bridge is started; not tried with Gazebo, see gazebo.yaml."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo
from launch.conditions import IfCondition
from launch.substitutions import AndSubstitution, AnonName, EqualsSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

SHARE = FindPackageShare("omnimind")
ARGUMENTS = [
    ("record", "true", "write MCAP and .rrd files"),
    ("home", [SHARE, "/config/home.yaml"], "rooms, surfaces, dock"),
    ("map", [SHARE, "/config/home_map.yaml"], "map in map_server's format"),
    ("robot", "", "namespace of every node; empty: none"),
    ("safety_process", "safety", "process of safety; empty: the others'"),
    ("layout", "process", "process: one for all; processes: one for each node"),
    ("out", ["omnimind-runs/", AnonName("run")], "folder for recordings"),
]


def text(value):
    """A parameter that is text, whatever it looks like."""
    return ParameterValue(value, value_type=str)


# Executable, and the parameters that differ from config/<executable>.yaml.
NODES = [
    ("camera", {"source": text("topic"), "path": text("")}),
    ("microphone", {"source": text("topic")}),
    ("touch", {}),
    ("proprioception", {}),
    ("force", {}),
    ("temperature", {}),
    ("lidar", {}),
    ("battery", {}),
    ("vision", {}),
    ("audio", {"wake_phrase": text(""), "vocabulary": ["omni", "cup", "bottle", "bowl", "apple", "teddy bear", "kitchen", "living room", "bedroom", "hall", "study"]}),
    ("fusion", {"home": text(LaunchConfiguration("home"))}),
    ("planner", {"home": text(LaunchConfiguration("home"))}),
    ("motion", {"home": text(LaunchConfiguration("home")), "map": text(LaunchConfiguration("map"))}),
    ("gpu_manager", {}),
    ("safety", {}),
    ("recorder", {"path": text(PathJoinSubstitution([LaunchConfiguration("out"), "recording.mcap"]))}),
    ("viewer", {"path": text(PathJoinSubstitution([LaunchConfiguration("out"), "recording.rrd"])), "url": text("")}),
]


def generate_launch_description():
    whole = ["--headless", "--out", LaunchConfiguration("out")]
    whole += [PathJoinSubstitution([SHARE, "launch", "gazebo.yaml"])]
    whole += [[name, ":=", LaunchConfiguration(name)] for name, _, _ in ARGUMENTS[:-2]]
    actions = [DeclareLaunchArgument(name, default_value=default, description=about) for name, default, about in ARGUMENTS]
    actions.append(LogInfo(msg="Gazebo and ros_gz_bridge are not started by this file: the device/... topics have to come from elsewhere (gazebo.yaml says which)."))
    actions.append(
        ExecuteProcess(
            cmd=[ExecutableInPackage(package="omnimind", executable="omnimind"), "launch", *whole],
            output="screen",
            sigterm_timeout="20",
            condition=IfCondition(EqualsSubstitution(LaunchConfiguration("layout"), "process")),
        )
    )
    each = IfCondition(EqualsSubstitution(LaunchConfiguration("layout"), "processes"))
    recording = IfCondition(AndSubstitution(EqualsSubstitution(LaunchConfiguration("layout"), "processes"), LaunchConfiguration("record")))
    for executable, parameters in NODES:
        actions.append(
            Node(
                package="omnimind",
                executable=executable,
                name=executable,
                namespace=LaunchConfiguration("robot"),
                parameters=[PathJoinSubstitution([SHARE, "config", executable + ".yaml"]), parameters],
                output="screen",
                sigterm_timeout="20",
                condition=recording if executable in ("recorder", "viewer") else each,
            )
        )
    return LaunchDescription(actions)
