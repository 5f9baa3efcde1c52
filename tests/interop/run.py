#!/usr/bin/env python3
"""Starts a node of `omnimind` and lets programs that others wrote talk to it. usage: run.py --binary <path to omnimind>"""
import argparse
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import traceback

# pyzeros compiles its serialisers, with a C compiler, into a folder below the working directory: not into the repository.
os.environ.setdefault("CYDR_CACHE_DIR", f"{tempfile.gettempdir()}/omnimind-interop-cydr")

import actions
import clock_and_enclave
import command_line
import example_programs
import facilities
import foreign_type
import hostile
import humble
import node_facilities
import pamoja_keys
import pyzeros_peer
import raw_zenoh
import zenoh_sdk_peer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="names of modules, with commas")
    arguments = parser.parse_args()
    binary, only = arguments.binary.resolve(), arguments.only.split(",") if arguments.only else []
    endpoint = f"tcp/127.0.0.1:{free_port()}"
    environment = dict(os.environ, ROS_DOMAIN_ID="0", ZENOH_CONFIG_OVERRIDE=f'connect/endpoints=["{endpoint}"]')
    failed = 0
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w+") as log:
        node = subprocess.Popen([binary, "run", "battery"], env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            modules = (
                raw_zenoh, node_facilities, actions, facilities, clock_and_enclave, hostile, pyzeros_peer, pamoja_keys, zenoh_sdk_peer,
                command_line, foreign_type, humble, example_programs
            )
            for module in modules:
                if only and module.__name__ not in only:
                    continue
                for check in module.checks(endpoint, binary, environment):
                    try:
                        check()
                        print(f"ok    {module.__name__}: {check.__doc__}")
                    except Exception:
                        failed += 1
                        print(f"FAIL  {module.__name__}: {check.__doc__}\n{traceback.format_exc()}")
                    if node.poll() is not None:
                        raise SystemExit(f"the node ended with {node.returncode}")
        finally:
            node.terminate()
            try:
                node.wait(10)
            except subprocess.TimeoutExpired:
                node.kill()
                print("FAIL  the node did not end within 10 s of SIGTERM")
                failed += 1
            if failed:
                log.seek(0)
                print("--- the node said:\n" + log.read())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
