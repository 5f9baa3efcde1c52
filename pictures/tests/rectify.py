#!/usr/bin/env python3
"""Makes tests/lens: lenses with what OpenCV makes of a picture through each.

    pip install opencv-python-headless numpy && python pictures/tests/rectify.py
"""
import json
import pathlib

import cv2
import numpy as np

OUT = pathlib.Path(__file__).parent / "lens"
WIDTH, HEIGHT = 160, 120
K = [[130.0, 0, 81.5], [0, 132.0, 57.25], [0, 0, 1]]


def lenses() -> dict:
    turn, _ = cv2.Rodrigues(np.array([0.04, -0.08, 0.03]))
    eye, straight = np.eye(3), [[120.0, 0, 79.5, -12.0], [0, 120.0, 59.5, 0], [0, 0, 1, 0]]
    plain = np.hstack([np.array(K), np.zeros((3, 1))])
    bob, rational = [-0.31, 0.12, 0.0012, -0.0008, 0.03], [0.4, -0.2, 0.0011, 0.0007, 0.02, 0.75, -0.25, 0.06]
    return {
        "plumb_bob": ("plumb_bob", bob, eye, plain),
        "plumb_bob_turned": ("plumb_bob", bob, turn, straight),
        "four_numbers": ("plumb_bob", bob[:4], eye, straight),
        "rational": ("rational_polynomial", rational, eye, plain),
        "rational_turned": ("rational_polynomial", rational, turn, straight),
        "equidistant": ("equidistant", [0.02, -0.01, 0.004, -0.001], turn, straight),
    }


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    board = ((x // 10 + y // 10) % 2) * 140
    rng = np.random.default_rng(1)
    picture = np.stack([board + x // 2, 255 - board - y // 2, rng.integers(0, 256, (HEIGHT, WIDTH))], -1).clip(0, 255).astype(np.uint8)
    cv2.imwrite(str(OUT / "bent.png"), picture[:, :, ::-1])
    for name, (model, d, r, p) in lenses().items():
        k, d, r, p = (np.array(v, float) for v in (K, d, r, p))
        if model == "equidistant":
            maps = cv2.fisheye.initUndistortRectifyMap(k, d, r, p[:, :3], (WIDTH, HEIGHT), cv2.CV_32FC1)
        else:
            maps = cv2.initUndistortRectifyMap(k, d, r, p[:, :3], (WIDTH, HEIGHT), cv2.CV_32FC1)
        straight = cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        cv2.imwrite(str(OUT / f"{name}.png"), straight[:, :, ::-1])
        lens = {"model": model, "d": d.tolist(), "k": k.ravel().tolist(), "r": r.ravel().tolist(), "p": p.ravel().tolist()}
        (OUT / f"{name}.json").write_text(json.dumps({"opencv": cv2.__version__, **lens}) + "\n")


if __name__ == "__main__":
    main()
