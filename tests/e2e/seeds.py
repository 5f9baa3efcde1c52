#!/usr/bin/env python3
"""Runs the demo's mission on many seeds and prints a table in Markdown. usage: seeds.py --bin <omnimind> --out <folder> [--first 101] [--count 20]

Exit code 0 when at least 19 of 20 missions were achieved, every run ended with a result, and nothing was hit faster than 0.1 m/s.
"""
import argparse
import json
import pathlib
import subprocess
import sys


def mission(binary, seed, out):
    """The result of one seed's run, or None if it ended without one."""
    command = [binary, "demo", "--seed", str(seed), "--headless", "--json", "--rate", "0", "--no-wire", "--out", str(out), "record:=true"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800)
        (out / "log.txt").write_text(done.stderr)
        result = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError, subprocess.TimeoutExpired):
        return None
    # A run that says one thing and ends as another has no result.
    good = result["mission"]["result"] == "achieved" and result["mission"]["docked"]
    return result if done.returncode == (0 if good else 1) else None


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bin", required=True)
    options.add_argument("--out", required=True, type=pathlib.Path)
    options.add_argument("--first", type=int, default=101)
    options.add_argument("--count", type=int, default=20)
    options = options.parse_args()
    assert options.count > 0
    achieved = crashed = 0
    worst = 0.0
    print("| seed | asked | result | docked | simulated s | distance m | energy Wh | collisions | worst m/s | word errors |")
    print("| ---: | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for seed in range(options.first, options.first + options.count):
        out = options.out / f"seed{seed}"
        out.mkdir(parents=True, exist_ok=True)
        result = mission(options.bin, seed, out)
        if result is None:
            crashed += 1
            print(f"| {seed} | | no result: {out / 'log.txt'} | | | | | | | |", flush=True)
            continue
        (out / "result.json").write_text(json.dumps(result, indent=1))
        outcome, wer = result["mission"], result["transcript"]["wer"]
        good = outcome["result"] == "achieved"
        achieved += good
        worst = max(worst, result["worst_collision_speed"])
        print(f"| {seed} | {outcome['asked']} | {'achieved' if good else 'failed: ' + outcome['reason']} | {'yes' if outcome['docked'] else 'no'} "
              f"| {outcome['duration_s']:.0f} | {result['distance_m']:.1f} | {result['energy']['used_wh']:.2f} | {result['collisions']} "
              f"| {result['worst_collision_speed']:.3f} | {'' if wer is None else f'{wer:.0%}'} |", flush=True)
        if good and result["collisions"] == 0:  # Kept only where there is something to find out.
            for path in [*out.rglob("*.mcap"), *out.rglob("*.rrd")]:
                path.unlink()
    print(f"\n{achieved} of {options.count} achieved; {crashed} without a result; fastest collision {worst:.3f} m/s")
    sys.exit(0 if achieved >= 0.95 * options.count and crashed == 0 and worst <= 0.1 else 1)


if __name__ == "__main__":
    main()
