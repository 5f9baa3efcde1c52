#!/usr/bin/env python3
"""Draws the error curves of speaker recognition from the scores of `hearing speakers --scores FILE`.

    plot_speakers.py SCORES.csv CURVE.svg

Left: how often a voice is missed and a stranger accepted, by the threshold of the cosine; right: misses against false accepts (DET) for the cosine
and for the score normalised by the cohort.
"""
import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def main():
    rows = list(csv.DictReader(open(sys.argv[1])))
    for title, keep in [("all voices", lambda r: True),
                        ("without espeak-ng's variants", lambda r: "espeak" not in r["learnt"] + r["tested"])]:
        part = [r for r in rows if keep(r)]
        for name, t in [("cosine", 0.75), ("score", 1.0)]:
            same = np.array([float(r[name]) for r in part if r["same"] == "1"])
            other = np.array([float(r[name]) for r in part if r["same"] == "0"])
            thresholds = np.unique(np.concatenate([same, other]))
            miss, accept = np.array([[(same < x).mean(), (other >= x).mean()] for x in thresholds]).T
            k = np.abs(miss - accept).argmin()
            print(f"{title}, {name}: {len(same)} same, {len(other)} other, equal error {50 * (miss[k] + accept[k]):.1f} % at {thresholds[k]:.3f}; "
                  f"at {t}: {100 * (same < t).mean():.1f} % missed, {100 * (other >= t).mean():.1f} % accepted")
    matplotlib.rcParams["svg.hashsalt"] = "omnimind"
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
    for name, label, colour in [("cosine", "cosine", "#1f6f8b"), ("score", "normalised by the cohort", "#c0562b")]:
        same = np.array([float(r[name]) for r in rows if r["same"] == "1"])
        other = np.array([float(r[name]) for r in rows if r["same"] == "0"])
        thresholds = np.unique(np.concatenate([same, other]))
        miss = np.array([(same < t).mean() for t in thresholds])
        accept = np.array([(other >= t).mean() for t in thresholds])
        k = np.abs(miss - accept).argmin()
        rate = (miss[k] + accept[k]) / 2
        print(f"{label}: equal error rate {100 * rate:.1f} % at {thresholds[k]:.3f}")
        if name == "cosine":
            left.plot(thresholds, 100 * miss, color=colour, label="voice missed")
            left.plot(thresholds, 100 * accept, color="#888888", label="other voice accepted")
            left.axvline(thresholds[k], color="black", linewidth=0.6)
            left.axvline(0.75, color="black", linewidth=0.6, linestyle=":")
            left.set(xlabel="threshold of the cosine (line: equal errors, dotted: default 0.75)", ylabel="%")
            left.legend(frameon=False)
        right.plot(100 * accept, 100 * miss, color=colour, label=f"{label}, {100 * rate:.1f} %")
    right.plot([0, 50], [0, 50], color="black", linewidth=0.5)
    right.set(xlabel="other voice accepted, %", ylabel="voice missed, %", xlim=(0, 50), ylim=(0, 50))
    right.legend(frameon=False, title="equal error rate")
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None} if sys.argv[2].endswith("svg") else None)


if __name__ == "__main__":
    main()
