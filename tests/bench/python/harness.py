"""The two sides of a measurement for peers in Python: the same words, waits and output as `peers publish|listen`."""
import argparse
import socket
import struct
import sys
import time

HEAD = 12
WARM_UP = 0xFFFFFFFF


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["publish", "listen"])
    for name in ("peer", "hz", "touch", "acks", "router"):
        parser.add_argument(f"--{name}")
    for name in ("bytes", "count", "listeners", "id"):
        parser.add_argument(f"--{name}", type=int)
    return parser.parse_args()


def publish(plan, send, out) -> None:
    """Calls `send(head)` as planned."""
    acks = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    acks.bind(plan.acks)
    print("ready", file=out, flush=True)
    heard = [0] * plan.listeners
    acks.settimeout(0.05)
    until = time.monotonic() + 20
    while min(heard) < 10:
        if time.monotonic() > until:
            sys.exit(f"listeners heard: {heard}")
        send(struct.pack("<QI", time.monotonic_ns(), WARM_UP))
        try:
            while True:
                heard[acks.recv(5)[0]] += 1
        except TimeoutError:
            pass
    lost = 0
    following = time.monotonic_ns()
    for number in range(plan.count):
        if plan.hz == "closed":
            time.sleep(0.002)
            send(struct.pack("<QI", time.monotonic_ns(), number))
            missing = plan.listeners
            acks.settimeout(2)
            try:
                while missing:
                    if acks.recv(5)[1:] == struct.pack("<I", number):
                        missing -= 1
            except TimeoutError:
                lost += 1
        else:
            following += int(1e9 / float(plan.hz))
            time.sleep(max(0, following - time.monotonic_ns()) * 1e-9)
            send(struct.pack("<QI", following, number))
    # What is under way may still arrive.
    time.sleep(1)
    print(f"lost {lost}", file=out, flush=True)


class Listening:
    """Takes samples and notes how long each was under way."""

    def __init__(self, plan, out) -> None:
        self.plan, self.out, self.times = plan, out, []
        self.acks = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        print("ready", file=out, flush=True)

    def take(self, sample: memoryview) -> bool:
        """Whether more are wanted."""
        if self.plan.touch == "yes":
            sum(sample[: len(sample) // 8 * 8].cast("Q"))
        arrived = time.monotonic_ns()
        at, number = struct.unpack("<QI", sample[:HEAD])
        if number != WARM_UP:
            self.times.append((number, arrived - at))
        # In an open loop nobody takes confirmations once the listeners are found, and a full socket would hold this one up.
        if self.plan.hz != "closed" and number != WARM_UP:
            return number + 1 != self.plan.count
        try:
            self.acks.sendto(bytes([self.plan.id]) + struct.pack("<I", number), self.plan.acks)
        except OSError:
            pass  # The publisher has ended.
        return number + 1 != self.plan.count

    def report(self) -> None:
        print("".join(f"{number} {duration}\n" for number, duration in self.times) + "end", file=self.out, flush=True)
