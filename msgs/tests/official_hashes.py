#!/usr/bin/env python3
"""Writes official_hashes.txt from the type descriptions (share/*/{msg,srv,action}/*.json) of a ROS 2 installation.

usage: official_hashes.py <share folder> <name of the source> > official_hashes.txt
"""
import json
import pathlib
import sys


def main() -> None:
    share, source = pathlib.Path(sys.argv[1]), sys.argv[2]
    hashes = {}
    for path in share.glob("*/*/*.json"):
        if path.parent.name in ("msg", "srv", "action"):
            for entry in json.loads(path.read_text())["type_hashes"]:
                hashes[entry["type_name"]] = entry["hash_string"]
    print(f"# Official type hashes. Source: {source}")
    for name, value in sorted(hashes.items()):
        print(name, value)


if __name__ == "__main__":
    main()
