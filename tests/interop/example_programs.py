"""The programs of examples/python, against a camera and a listener of goals that the `omnimind` command plays."""
import json
import pathlib
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/python"
PICTURE = "{width: 2, height: 1, step: 6, encoding: rgb8, data: [10, 20, 30, 40, 50, 60]}"


def checks(endpoint, binary, environment):
    def camera_and_goal():
        """the Zenoh example sees the picture, and its goal arrives"""
        started = []

        def start(*words):
            started.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
            return started[-1]

        try:
            goals = start(binary, "topic", "echo", "/planner/goal", "--once", "--json", "--timeout", "60")
            start(binary, "topic", "pub", "/camera/image_raw", "sensor_msgs/msg/Image", PICTURE, "--rate", "10")
            program = EXAMPLES / "camera_and_goal_zenoh.py"
            for _ in range(5):
                # The program sends one goal; a listener that came too late hears the next one.
                said = start(sys.executable, program, "--router", endpoint, "--room", "living room")
                said, _ = said.communicate(timeout=60)
                assert "a picture of 2 x 1 (rgb8), mean 35.0" in said and "asked to go to the living room" in said, said
                try:
                    heard, _ = goals.communicate(timeout=5)
                    break
                except subprocess.TimeoutExpired:
                    continue
            else:
                raise AssertionError("no goal was heard")
            goal = json.loads(heard)
            assert (goal["room"], goal["kind"]) == ("living room", 1), goal
        finally:
            for process in started:
                process.terminate()
                process.wait(10)

    return [camera_and_goal]

