#!/usr/bin/env python3
"""Counts the word errors of `hearing words|readings --transcripts FILE` again with jiwer, and prints both rates per voice and condition.

    check_word_errors.py FILE

The words of both sides are those that omnimind_audio::wer::normalised made; jiwer aligns them by itself. Ends with status 1 if a rate differs.
"""
import sys
from collections import defaultdict

import jiwer


def own(reference, heard):
    row = list(range(len(heard) + 1))
    for i, r in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, h in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(diagonal + (r != h), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def main():
    groups = defaultdict(lambda: ([], []))
    for line in open(sys.argv[1], encoding="utf-8"):
        voice, condition, _, reference, heard, _ = line.rstrip("\n").split("\t")
        groups[voice, condition][0].append(reference)
        groups[voice, condition][1].append(heard)
    bad = 0
    for (voice, condition), (references, heard) in groups.items():
        theirs = jiwer.wer(references, heard)
        ours = sum(own(r.split(), h.split()) for r, h in zip(references, heard)) / sum(len(r.split()) for r in references)
        bad += abs(theirs - ours) > 1e-9
        print(f"{voice:14} {condition:10} {len(references):4} sentences  jiwer {100 * theirs:6.2f} %  plain {100 * ours:6.2f} %")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
