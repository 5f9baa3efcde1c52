"""dora: a node of a dataflow, with its Python interface and its default settings. What it says goes into the file PEERS_OUT: the daemon
keeps what nodes print."""
import os
import shlex
import sys

import numpy
import pyarrow
from dora import Node

import harness

sys.argv[1:] = shlex.split(os.environ["PEERS_WORDS"])
plan = harness.options()
out = open(os.environ["PEERS_OUT"], "w")
node = Node()
if plan.command == "publish":
    sample = numpy.full(plan.bytes, 7, numpy.uint8)

    def send(head: bytes) -> None:
        sample[: len(head)] = numpy.frombuffer(head, numpy.uint8)
        node.send_output("sample", pyarrow.array(sample))

    harness.publish(plan, send, out)
else:
    listening = harness.Listening(plan, out)
    for event in node:
        if event["type"] == "INPUT" and not listening.take(memoryview(event["value"].to_numpy(zero_copy_only=True))):
            listening.report()
            break
