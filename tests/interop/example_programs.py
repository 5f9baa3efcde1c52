"""The programs of examples/python, against a camera and a listener of goals that the `omnimind` command plays."""
import json
import pathlib
import subprocess
import sys
import time

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/python"
PICTURE = "{width: 2, height: 1, step: 6, encoding: rgb8, data: [10, 20, 30, 40, 50, 60]}"


def checks(endpoint, binary, environment):
    def camera_and_goal():
        """the Zenoh example sees the picture, and its goal arrives"""
        started, program = [], EXAMPLES / "camera_and_goal_zenoh.py"

        def start(*words):
            started.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
            return started[-1]

        def announced(topics):
            until = time.monotonic() + 60
            while time.monotonic() < until:
                done = subprocess.run([binary, "topic", "list"], env=environment, capture_output=True, text=True, timeout=60)
                if topics <= set(done.stdout.split()):
                    return
            raise AssertionError(f"waited in vain for {topics}")

        try:
            start(binary, "topic", "pub", "/camera/image_raw", "sensor_msgs/msg/Image", PICTURE, "--rate", "10")
            # Somebody must have the topic before it can be listened to.
            start(binary, "topic", "pub", "/planner/goal", "omnimind_msgs/msg/Goal", "{room: attic}", "--rate", "5")
            announced({"/camera/image_raw", "/planner/goal"})
            goals = start(binary, "topic", "echo", "/planner/goal", "--json", "--timeout", "60")
            rooms = [json.loads(goals.stdout.readline())["room"]]
            assert rooms == ["attic"]
            said = start(sys.executable, program, "--router", endpoint, "--room", "living room")
            said, _ = said.communicate(timeout=60)
            assert "a picture of 2 x 1 (rgb8), mean 35.0" in said and "asked to go to the living room" in said, said
            while (goal := json.loads(goals.stdout.readline()))["room"] == "attic":
                rooms.append("attic")
                assert len(rooms) < 300, "the goal was not heard"
            assert (goal["room"], goal["kind"]) == ("living room", 1), goal
        finally:
            for process in started:
                process.terminate()
                process.wait(10)

    return [camera_and_goal]

