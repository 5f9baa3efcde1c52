#!/usr/bin/env python3
"""Makes tests/data/tracking.json: scenes with known identities, and what another ByteTrack makes of them.

    pip install supervision==0.25.1 && python3 tests/tracking_reference.py > tests/data/tracking.json

supervision (MIT) has an implementation of ByteTrack of its own lineage; 0.25 is the last line that carries it. Each detection is
[left, top, right, bottom, score in hundredths, truth (0: false detection), number that supervision gave (0: none)], sizes in pixels,
30 frames a second. The same seed gives the same file.
"""
import json
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")
import supervision as sv  # noqa: E402

HIGH, BUFFER = 0.5, 30


class Thing:
    """A box that moves on a straight line; hidden in some frames, of low score in others."""

    def __init__(self, truth, start, speed, size, score=0.8, hidden=(), weak=(), life=(0, 10_000)):
        self.truth, self.start, self.speed, self.size, self.score = truth, start, speed, size, score
        self.hidden, self.weak, self.life = hidden, weak, life

    def at(self, t, rng):
        inside = any(a <= t < b for a, b in self.hidden)
        if inside or not self.life[0] <= t < self.life[1]:
            return None
        weak = any(a <= t < b for a, b in self.weak)
        score = 0.3 + 0.1 * rng.random() if weak else np.clip(self.score + 0.05 * rng.standard_normal(), 0.55, 0.99)
        centre = np.array(self.start) + np.array(self.speed) * (t - max(self.life[0], 0))
        size = np.array(self.size) * (1 + 0.02 * rng.standard_normal(2))
        centre = centre + 0.01 * np.array(self.size) * rng.standard_normal(2)
        edges = np.concatenate([centre - size / 2, centre + size / 2])
        return [*np.round(edges).astype(int).tolist(), int(round(score * 100)), self.truth]


def scene(name, things, frames, seed, false_rate=0.0):
    rng = np.random.default_rng(seed)
    out = []
    for t in range(frames):
        row = [d for d in (thing.at(t, rng) for thing in things) if d]
        for _ in range(rng.poisson(false_rate)):
            x, y, w, h = rng.uniform([0, 0, 20, 20], [600, 440, 80, 80])
            edges = np.round([x, y, x + w, y + h]).astype(int).tolist()
            row.append([*edges, int(rng.integers(20, 75)), 0])
        rng.shuffle(row)
        out.append(row)
    return {"name": name, "frames": out}


def crowd(seed, count, frames):
    rng = np.random.default_rng(seed)
    things = []
    for n in range(count):
        begin = int(rng.integers(0, frames // 2))
        hide = int(rng.integers(begin + 8, begin + 40))
        dim = int(rng.integers(begin + 8, begin + 40))
        things.append(
            Thing(
                n + 1,
                rng.uniform([60, 60], [580, 420]),
                rng.uniform(-4, 4, 2),
                rng.uniform([30, 40], [90, 120]),
                rng.uniform(0.65, 0.9),
                hidden=[(hide, hide + int(rng.integers(1, 12)))],
                weak=[(dim, dim + int(rng.integers(1, 10)))],
                life=(begin, int(rng.integers(begin + 30, frames + 20))),
            )
        )
    return things


def supervised(one):
    """The numbers that supervision gives: detections are told by their place in `class_id`, as the tracker reorders them."""
    tracker = sv.ByteTrack(track_activation_threshold=HIGH, lost_track_buffer=BUFFER, minimum_matching_threshold=0.8, frame_rate=30)
    tracker.det_thresh = HIGH
    tracker.reset()
    for row in one["frames"]:
        boxes = np.array([d[:4] for d in row], dtype=float).reshape(-1, 4)
        scores = np.array([d[4] / 100 for d in row])
        found = tracker.update_with_detections(sv.Detections(xyxy=boxes, confidence=scores, class_id=np.arange(len(row))))
        numbers = dict(zip(found.class_id.tolist(), found.tracker_id.tolist())) if len(found) else {}
        for n, detection in enumerate(row):
            detection.append(max(numbers.get(n, 0), 0))


def main():
    two = [Thing(1, (80, 200), (6, 0), (60, 120)), Thing(2, (560, 230), (-6, 0), (50, 100))]
    hidden = [Thing(1, (80, 200), (4, 1), (60, 120), hidden=[(25, 45)]), Thing(2, (500, 120), (-2, 2), (70, 60), hidden=[(50, 58)])]
    weak = [Thing(1, (80, 200), (4, 1), (60, 120), weak=[(20, 50)]), Thing(2, (500, 120), (-2, 2), (70, 60), weak=[(10, 30)])]
    still = [Thing(1, (150, 200), (0, 0), (90, 90)), Thing(2, (420, 240), (0, 0), (120, 160))]
    scenes = [
        scene("two cross", two, 80, 1),
        scene("hidden for a while", hidden, 90, 2),
        scene("weak for a while", weak, 90, 3),
        scene("false detections", still, 90, 4, false_rate=1.5),
        scene("crowd of 6", crowd(5, 6, 90), 90, 6),
        scene("crowd of 12 with false detections", crowd(7, 12, 90), 90, 8, false_rate=0.7),
    ]
    for one in scenes:
        supervised(one)
    json.dump({"high_score": HIGH, "buffer_frames": BUFFER, "scenes": scenes}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
