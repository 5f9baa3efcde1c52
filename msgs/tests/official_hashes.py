#!/usr/bin/env python3
"""Writes official_hashes.txt from the type descriptions (share/*/{msg,srv,action}/*.json) of ROS 2 installations.

usage: official_hashes.py <name of the source> <share folder>... > official_hashes.txt
"""
import json
import pathlib
import sys


def main() -> None:
    source, hashes = sys.argv[1], {}
    for share in map(pathlib.Path, sys.argv[2:]):
        for path in share.glob("*/*/*.json"):
            if path.parent.name in ("msg", "srv", "action"):
                for entry in json.loads(path.read_text())["type_hashes"]:
                    name, value = entry["type_name"], entry["hash_string"]
                    if hashes.setdefault(name, value) != value:
                        raise SystemExit(f"{name} has two hashes")
    print(f"# Official type hashes. Source: {source}")
    for name, value in sorted(hashes.items()):
        print(name, value)


if __name__ == "__main__":
    main()
