#!/usr/bin/env python3
"""Prints peers.csv as Markdown tables, p50 / p99 in microseconds. usage: table.py peers.csv"""
import csv
import sys


def size(bytes_: int) -> str:
    for unit, factor in (("MB", 1e6), ("KB", 1024)):
        if bytes_ >= factor:
            return f"{bytes_ / factor:.3g} {unit}"
    return f"{bytes_} B"


def cell(row: dict | None) -> str:
    if row is None:
        return ""
    if not row["p50_us"]:
        return "failed"
    p50, p99 = float(row["p50_us"]), float(row["p99_us"])
    text = " / ".join(f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in (p50, p99))
    return text + (" *" if row["trouble"] else "")


def main() -> None:
    rows = list(csv.DictReader(open(sys.argv[1])))
    unique = lambda key: list(dict.fromkeys(row[key] for row in rows))  # noqa: E731
    sizes, peers = sorted(unique("bytes"), key=int), unique("peer")
    for loop in unique("loop"):
        for listeners in sorted(unique("listeners"), key=int):
            for read in unique("read"):
                chosen = {(r["peer"], r["bytes"]): r for r in rows if (r["loop"], r["listeners"], r["read"]) == (loop, listeners, read)}
                if not chosen:
                    continue
                how = "every byte is read" if read == "yes" else "the head is read"
                print(f"\n{loop} loop, {listeners} listening process{'es' if listeners != '1' else ''}, {how}\n")
                print("| | " + " | ".join(size(int(s)) for s in sizes) + " |\n|" + " --- |" * (len(sizes) + 1))
                for peer in peers:
                    print(f"| {peer} | " + " | ".join(cell(chosen.get((peer, s))) for s in sizes) + " |")
    if any(row["trouble"] for row in rows):
        print("\n`*`: not every sample arrived, or not every round could be measured; see the last column of the CSV.")


if __name__ == "__main__":
    main()
