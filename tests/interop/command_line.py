"""The `omnimind` command against the running node, as a user types it."""
import json
import statistics
import subprocess
import time


def checks(_endpoint, binary, environment):
    def run(*words):
        done = subprocess.run([binary, *words], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def lists():
        """lists show the node, its topics and its services"""
        assert "/battery" in run("node", "list").splitlines()
        topics = run("topic", "list").splitlines()
        assert "/battery_state" in topics and "/device/battery" in topics, topics
        assert "/battery/list_parameters" in run("service", "list")

    def echo():
        """echo shows the latched sample"""
        assert "serial_number: \"" in run("topic", "echo", "/battery_state", "--once")

    def parameters():
        """parameters are read and set over the parameter services"""
        assert "0.2" in run("param", "get", "/battery", "low")
        run("param", "set", "/battery", "low", "0.3")
        assert "0.3" in run("param", "get", "/battery", "low")

    def at_once():
        """the graph with what its processes count and what is wrong with it is told without waiting for their next report"""
        for words in (("node", "list"), ("graph",), ("graph", "--json"), ("graph", "--dot"), ("doctor",)):
            took = []
            for _ in range(7):
                begun = time.monotonic()
                done = subprocess.run([binary, *words], env=environment, capture_output=True, text=True, timeout=60)
                took.append(time.monotonic() - begun)
                assert done.returncode in (0, 1), done.stderr
                if words == ("graph", "--json"):
                    told = json.loads(done.stdout)
                    states = {node["name"]: node.get("state") for node in told["nodes"]}
                    assert states["/battery"] == "running", states
            print(f"      omnimind {' '.join(words)}: median {1e3 * statistics.median(took):.0f} ms of {len(took)}")

    def unreachable():
        """without a system the error says so and the exit status is not 0"""
        lonely = dict(environment, ZENOH_CONFIG_OVERRIDE='connect/endpoints=["tcp/127.0.0.1:1"]')
        done = subprocess.run([binary, "node", "list"], env=lonely, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "router" in done.stderr, done.stderr

    return [lists, echo, parameters, at_once, unreachable]
