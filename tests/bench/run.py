#!/usr/bin/env python3
"""OmniMind's edges beside its peers', measured by one harness in one run.

    cargo build --release --manifest-path tests/bench/Cargo.toml
    python3 tests/bench/run.py --peers target/release/peers --out docs/bench

Method: a publishing process and its listening processes; every wait blocks; a sample's time runs from when it was meant to be sent to
when the listener has it (and, with `--touch`, has read every byte). Closed loop: the next sample goes when all listeners have confirmed
the last (over a socket of the harness, outside the measured time) and 2 ms have passed, so that everybody waits in the system again. Open
loop: samples go at a fixed rate, and a late one counts from when it was due. Every row is measured in `--restarts` rounds with new processes, the
rows of a round in an order drawn anew. The figures are the median over rounds of each round's p50 and p99, with a bootstrap interval of the p50.
"""
import argparse
import csv
import json
import os
import pathlib
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SIZES = [64, 4096, 65536, 1 << 20, 6220800, 8294400]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]


class Router:
    """rmw_zenoh's router for those that want one: eclipse-zenoh in router mode."""

    def __enter__(self):
        import zenoh

        self.endpoint = f"tcp/127.0.0.1:{free_port()}"
        config = zenoh.Config()
        config.insert_json5("mode", '"router"')
        config.insert_json5("listen/endpoints", json.dumps([self.endpoint]))
        config.insert_json5("scouting/multicast/enabled", "false")
        config.insert_json5("transport/shared_memory/enabled", "false")
        config.insert_json5("adminspace/enabled", "true")
        self.session = zenoh.open(config)
        return self

    def __exit__(self, *_):
        self.session.close()


def command(peer: str, options) -> list[str]:
    if peer == "rclpy-fastdds":
        return [options.ros_python, str(HERE / "python/rclpy_peer.py")]
    return [str(options.peers)]


def times_of(said: str) -> list[float]:
    return [int(line.split()[1]) / 1e3 for line in said.splitlines() if line[:1].isdigit()]


def dora(words: list[str], listeners: int, folder: str, options) -> tuple[list[float], str]:
    """A dataflow of the same two programs, run by dora itself."""

    def node(verb: str, number: int, ports: dict) -> dict:
        environment = {"PEERS_WORDS": " ".join([verb, *words, "--id", str(number)]), "PEERS_OUT": f"{folder}/{verb}{number}", "PYTHONPATH": str(HERE / "python")}
        return {"id": f"{verb}{number}", "path": options.dora_python, "args": str(HERE / "python/dora_peer.py"), "env": environment} | ports

    nodes = [node("publish", 0, {"outputs": ["sample"]})]
    nodes += [node("listen", number, {"inputs": {"sample": "publish0/sample"}}) for number in range(listeners)]
    # JSON is YAML.
    pathlib.Path(f"{folder}/dataflow.yml").write_text(json.dumps({"nodes": nodes}))
    program = pathlib.Path(options.dora_python).with_name("dora")
    run = subprocess.run([program, "run", "dataflow.yml"], cwd=folder, capture_output=True, text=True, timeout=options.patience)
    if run.returncode:
        return [], (run.stderr or run.stdout).strip()[-300:]
    times = []
    for number in range(listeners):
        times += times_of(pathlib.Path(f"{folder}/listen{number}").read_text())
    return times, ""


def measure(peer: str, size: int, listeners: int, loop: str, touch: bool, options, router: str) -> tuple[list[float], str]:
    """Times in microseconds, and what went wrong."""
    with tempfile.TemporaryDirectory(prefix="peers") as folder:
        # Plain Zenoh's publisher listens there itself: no router between.
        endpoint = f"tcp/127.0.0.1:{free_port()}" if peer.startswith("zenoh") else router
        count = max(30, min(options.count, int(options.count * 2e6 / size))) if size > 2e6 else options.count
        hz = "closed" if loop == "closed" else str(options.hz if size < 1e6 else min(options.hz, 30))
        words = ["--peer", peer, "--bytes", str(size), "--count", str(count), "--listeners", str(listeners), "--hz", hz]
        words += ["--touch", "yes" if touch else "no", "--acks", f"{folder}/acks", "--router", endpoint]
        if peer == "dora":
            try:
                times, trouble = dora(words, listeners, folder, options)
            except (OSError, subprocess.TimeoutExpired) as error:
                return [], str(error)[-200:]
            missing = count * listeners - len(times)
            return times, trouble or (f"{missing} of {count * listeners} lost" if missing else "")
        start = lambda verb, number: subprocess.Popen(  # noqa: E731
            [*command(peer, options), verb, *words, "--id", str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        publisher = start("publish", 0)
        processes = [publisher]
        try:
            if publisher.stdout.readline().strip() != "ready":
                return [], publisher.communicate(timeout=10)[1].strip()[-300:]
            ears = [start("listen", number) for number in range(listeners)]
            processes += ears
            times = []
            said, complaint = publisher.communicate(timeout=options.patience)
            if publisher.returncode:
                return [], complaint.strip()[-300:]
            for ear in ears:
                try:
                    out, _ = ear.communicate(timeout=5)
                except subprocess.TimeoutExpired:
                    # The last sample was lost: it waits for ever.
                    return [], f"a listener missed the last sample ({said.strip()})"
                times += times_of(out)
            wanted = count * listeners
            return times, "" if len(times) == wanted else f"{wanted - len(times)} of {wanted} lost"
        except subprocess.TimeoutExpired:
            return [], f"not done within {options.patience} s"
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()


def machine() -> dict:
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()}


def bootstrap(values: list[float]) -> tuple[float, float]:
    generator = random.Random(1)
    medians = sorted(statistics.median(generator.choices(values, k=len(values))) for _ in range(1000))
    return medians[25], medians[974]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=pathlib.Path, required=True, help="the `peers` program")
    parser.add_argument("--ros-python", default="", help="Python with rclpy on Fast DDS (the wheels of PyPI); empty: left out")
    parser.add_argument("--dora-python", default="", help="Python with dora-rs and dora-rs-cli; empty: left out")
    parser.add_argument("--only", default="", help="peers, separated by commas")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--listeners", default="1,4,8")
    parser.add_argument("--loops", default="closed,open")
    parser.add_argument("--touch", default="no,yes", help="whether listeners read every byte")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--hz", type=float, default=100, help="open loop: samples per second (30 from 1 MB on)")
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for peers.csv and machine.json")
    options = parser.parse_args()
    peers = subprocess.run([options.peers, "list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    if options.ros_python:
        peers.append("rclpy-fastdds")
    if options.dora_python:
        peers.append("dora")
    if options.only:
        peers = options.only.split(",")
    plan = [
        (peer, int(size), int(listeners), loop, touch == "yes")
        for peer in peers
        for size in options.sizes.split(",")
        for listeners in options.listeners.split(",")
        for loop in options.loops.split(",")
        for touch in options.touch.split(",")
    ]
    rounds: dict[tuple, list[tuple[float, float]]] = {row: [] for row in plan}
    troubles: dict[tuple, list[str]] = {row: [] for row in plan}
    with Router() as router:
        for restart in range(options.restarts):
            random.Random(restart).shuffle(plan)
            for row in plan:
                times, trouble = measure(*row, options, router.endpoint)
                if times:
                    rounds[row].append((quantile(times, 0.5), quantile(times, 0.99)))
                if trouble:
                    troubles[row].append(trouble)
                    print(f"{row}: {trouble}", file=sys.stderr)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "machine.json").write_text(json.dumps({"machine": machine(), "options": {k: str(v) for k, v in vars(options).items() if k not in ("peers", "ros_python", "dora_python", "out")}}, indent=1) + "\n")
    with open(options.out / "peers.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["peer", "bytes", "listeners", "loop", "read", "rounds", "p50_us", "p50_low_us", "p50_high_us", "p99_us", "trouble"])
        for row in sorted(rounds, key=lambda row: (row[1], row[2], row[3], row[4], peers.index(row[0]))):
            figures = rounds[row]
            if figures:
                p50s, p99s = [f[0] for f in figures], [f[1] for f in figures]
                low, high = bootstrap(p50s)
                cells = [f"{value:.1f}" for value in (statistics.median(p50s), low, high, statistics.median(p99s))]
            else:
                cells = ["", "", "", ""]
            table.writerow([*row[:4], "yes" if row[4] else "no", len(figures), *cells, "; ".join(sorted(set(troubles[row])))])
    print(f"{options.out}/peers.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
