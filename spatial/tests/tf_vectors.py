#!/usr/bin/env python3
"""Writes tf_vectors.txt: trees of frames that move, and where each frame stands in each other at some times, computed with SciPy
(rotation matrices, Slerp), which shares no code with this project.

usage, with scipy 1.16.3 installed: tf_vectors.py

Lines: `tree`; `static PARENT CHILD x y z qx qy qz qw`; `move PARENT CHILD stamp_ns x y z qx qy qz qw`;
`at TARGET SOURCE stamp_ns x y z qx qy qz qw`; `through TARGET target_ns SOURCE source_ns FIXED x y z qx qy qz qw`.
"""
import pathlib

import numpy
from scipy.spatial.transform import Rotation, Slerp

S = 1_000_000_000


def matrix(position, rotation):
    m = numpy.eye(4)
    m[:3, :3] = rotation.as_matrix()
    m[:3, 3] = position
    return m


class Edge:
    def __init__(self, rng, parent, child, moves):
        self.parent, self.child, self.moves = parent, child, moves
        count = 12 if moves else 1
        self.stamps = numpy.sort(rng.choice(numpy.arange(0, 8 * S, 1_000_003), count, replace=False)) if moves else numpy.array([0])
        self.stamps[0] = 0
        if moves:
            self.stamps[-1] = 8 * S
        self.positions = rng.uniform(-5, 5, (count, 3))
        quaternions = rng.normal(size=(count, 4))
        self.rotations = Rotation.from_quat(quaternions / numpy.linalg.norm(quaternions, axis=1)[:, None])

    def at(self, stamp):
        if not self.moves:
            return matrix(self.positions[0], self.rotations[0])
        position = [numpy.interp(stamp, self.stamps, self.positions[:, axis]) for axis in range(3)]
        # Times from zero in seconds: large numbers would cost digits.
        return matrix(position, Slerp(self.stamps / S, self.rotations)([stamp / S])[0])


class Tree:
    def __init__(self, rng, edges):
        self.edges = {child: Edge(rng, parent, child, moves) for parent, child, moves in edges}

    def in_root(self, frame, stamp):
        m = numpy.eye(4)
        while frame in self.edges:
            m = self.edges[frame].at(stamp) @ m
            frame = self.edges[frame].parent
        return m

    def pose(self, target, target_ns, source, source_ns):
        return numpy.linalg.inv(self.in_root(target, target_ns)) @ self.in_root(source, source_ns)


def numbers(position, rotation):
    return " ".join(repr(float(v)) for v in [*position, *rotation.as_quat()])


def answer(m):
    return numbers(m[:3, 3], Rotation.from_matrix(m[:3, :3]))


def main():
    rng = numpy.random.default_rng(7)
    shapes = [
        [("odom", "base", True)],
        [("map", "odom", True), ("odom", "base", True), ("base", "camera", False), ("camera", "optical", False)],
        [("world", "a", True), ("a", "b", True), ("b", "c", True), ("world", "d", False), ("d", "e", True), ("e", "f", False)],
    ]
    lines = ["# Made by tf_vectors.py with scipy 1.16.3."]
    for shape in shapes:
        tree = Tree(rng, shape)
        lines.append("tree")
        for edge in tree.edges.values():
            for index, stamp in enumerate(edge.stamps):
                where = numbers(edge.positions[index], edge.rotations[index])
                head = f"move {edge.parent} {edge.child} {int(stamp)}" if edge.moves else f"static {edge.parent} {edge.child}"
                lines.append(f"{head} {where}")
        frames = sorted({edge.parent for edge in tree.edges.values()} | set(tree.edges))
        root = shape[0][0]
        for _ in range(40):
            target, source = rng.choice(frames, 2)
            stamp, other = (int(v) for v in rng.integers(0, 8 * S + 1, 2))
            lines.append(f"at {target} {source} {stamp} {answer(tree.pose(target, stamp, source, stamp))}")
            # In the root everything that stands still stands still, so it is the fixed frame.
            lines.append(f"through {target} {stamp} {source} {other} {root} {answer(tree.pose(target, stamp, source, other))}")
    (pathlib.Path(__file__).parent / "tf_vectors.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
