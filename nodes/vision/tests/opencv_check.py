#!/usr/bin/env python3
"""Holds this crate's numbers against those of others on real pictures: OpenCV (edges, hue, symmetry, layout), scikit-image (local binary patterns,
co-occurrence, SSIM, Lab), scikit-learn (k-means), OpenCV's RANSAC (places), ImageHash (hashes), OpenCV's warps (motion), and XFeat's published post-processing in numpy.
Prints a line for each comparison and ends with 1 if one is outside its tolerance.

usage: opencv_check.py --tool <target>/release/examples/vision_numbers [--only features,motion,...]
packages: opencv-python-headless==5.0.0.93 scikit-image==0.26.0 scikit-learn==1.9.1 ImageHash==4.3.2 onnxruntime==1.31.1
"""
import argparse
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import cv2
import imagehash
import numpy as np
import onnxruntime
import skimage.data
from PIL import Image
from scipy.spatial import cKDTree
from scipy.stats import entropy
from skimage.color import rgb2lab
from skimage.feature import graycomatrix, local_binary_pattern
from skimage.metrics import structural_similarity
from sklearn.cluster import KMeans

DATA = pathlib.Path(__file__).resolve().parents[3] / "models/data"
NAMES = [
    "astronaut", "coffee", "chelsea", "rocket", "brick", "camera", "coins", "grass", "gravel", "moon", "page", "text", "clock", "horse",
    "colorwheel", "retina", "hubble_deep_field", "immunohistochemistry", "logo", "cell", "motorcycle",
]
ENVIRONMENT = os.environ | {"ORT_DISABLE_TELEMETRY": "1", "OMNIMIND_ROOT": str(DATA.parents[1])}
failures = []


def check(what, worst, limit, note=""):
    good = worst <= limit
    print(f"{'ok  ' if good else 'FAIL'} {what:<58} worst {worst:.5g}, tolerated {limit:g} {note}")
    if not good:
        failures.append(what)


def pictures():
    found = {}
    for name in NAMES:
        picture = skimage.data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(skimage.data, name)()
        if picture.dtype == bool:
            picture = picture.astype(np.uint8) * 255
        if picture.ndim == 2:
            picture = np.stack([picture] * 3, axis=2)
        found[name] = np.ascontiguousarray(picture[..., :3])
    return found


def luma(rgb):
    return rgb.astype(np.float64) @ [0.299, 0.587, 0.114]


class Bench:
    def __init__(self, tool, folder):
        self.tool, self.folder = tool, folder

    def save(self, name, rgb):
        path = self.folder / f"{name}.png"
        Image.fromarray(rgb).save(path)
        return str(path)

    def run(self, what, *arguments):
        out = subprocess.run([self.tool, what, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT).stdout
        return [json.loads(line) for line in out.splitlines()]


def edge_density(gray):
    # The kernel 1 4 6 4 1 is OpenCV's Gaussian of size 5 with the default deviation; thresholds are per eight, as Sobel's sums.
    smooth = cv2.sepFilter2D(gray, cv2.CV_64F, np.array([1, 4, 6, 4, 1]) / 16, np.array([1, 4, 6, 4, 1]) / 16, borderType=cv2.BORDER_REPLICATE)
    # Canny takes 16-bit derivatives: thirty-two times finer than whole levels, to lose little.
    dx, dy = (cv2.Sobel(smooth, cv2.CV_64F, *d, borderType=cv2.BORDER_REPLICATE) for d in ((1, 0), (0, 1)))
    dx, dy = (np.round(d * 16).astype(np.int16) for d in (dx, dy))
    return cv2.Canny(dx, dy, 6 * 8 * 16, 14 * 8 * 16, L2gradient=True).mean() / 255


def textbook_patterns(gray):
    """Ojala's 3 x 3 patterns from scikit-image: the axes' bits with radius 1, the diagonals' with the square root of 2."""
    axes = local_binary_pattern(gray, 8, 1, "default").astype(int) & 0b01010101
    diagonals = local_binary_pattern(gray, 8, np.sqrt(2), "default").astype(int) & 0b10101010
    codes = (axes | diagonals)[1:-1, 1:-1]
    return entropy(np.bincount(codes.ravel(), minlength=256), base=2) / 8


def published_patterns(gray):
    """What the node publishes: a neighbour counts if it is brighter than the middle by more than two levels."""
    # Brightness is a sum of thousandths: half of one more, so that rounding never decides.
    middle = gray[1:-1, 1:-1] + 2.0005
    around = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    (h, w), codes = middle.shape, np.zeros(middle.shape, int)
    for bit, (y, x) in enumerate(around):
        codes |= (gray[y:y + h, x:x + w] > middle).astype(int) << bit
    return entropy(np.bincount(codes.ravel(), minlength=256), base=2) / 8


def cooccurrence(gray):
    steps = (gray // 16).astype(np.uint8)
    matrix = graycomatrix(steps, [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=16, symmetric=True, normed=True)
    return np.mean([entropy(matrix[:, :, 0, n].ravel(), base=2) for n in range(4)]) / 8


def hue_diversity(rgb):
    pixels = rgb.reshape(-1, 3)
    pixels = pixels[:: max(-(-len(pixels) // 8192), 1) | 1]
    hsv = cv2.cvtColor((pixels.astype(np.float32) / 255)[None], cv2.COLOR_RGB2HSV)[0]
    # OpenCV divides by a little more than the spread: a hue on a bin's border would fall below it.
    hue = hsv[(hsv[:, 1] > 0.1) & (hsv[:, 2] > 0.1), 0] + 1e-3
    hue = np.where(hue >= 360, hue - 360, hue)
    return entropy(np.histogram(hue, 36, (0, 360))[0], base=2) / np.log2(36) if len(hue) else 0.0


def layout(gray):
    dx, dy = (cv2.Sobel(gray, cv2.CV_64F, *d, borderType=cv2.BORDER_REPLICATE) for d in ((1, 0), (0, 1)))
    mass = np.hypot(dx, dy)
    (h, w), third = mass.shape, lambda s: (-(-s // 3), -(-2 * s // 3))
    (t, b), (l, r) = third(h), third(w)
    parts = [mass[:t], mass[b:], mass[t:b, :l], mass[t:b, r:], mass[t:b, l:r]]
    return np.array([p.sum() for p in parts]) / max(mass.sum(), 1e-9)


def features(bench, all_pictures):
    # 320 pixels wide is what the statistics look at, so that both see the same pixels.
    small = {}
    for name, rgb in all_pictures.items():
        height = max(round(rgb.shape[0] * 320 / rgb.shape[1]), 1)
        small[name] = cv2.resize(rgb, (320, height), interpolation=cv2.INTER_AREA)
    ours = bench.run("features", *[bench.save(f"small_{n}", rgb) for n, rgb in small.items()])
    worst = {}
    for row, (name, rgb) in zip(ours, small.items()):
        gray = luma(rgb)
        whole = np.floor(gray + 0.5).astype(np.uint8)
        mirrored = cv2.matchTemplate(gray.astype(np.float32), gray[:, ::-1].astype(np.float32).copy(), cv2.TM_CCOEFF_NORMED)[0, 0]
        for what, a, b in [
            ("edge density, OpenCV's Canny", row["edge_density"], edge_density(gray)),
            ("local binary patterns' entropy, scikit-image", row["lbp_textbook"], textbook_patterns(whole)),
            ("patterns above two levels' entropy as published, numpy", row["texture"], published_patterns(gray)),
            ("co-occurrence entropy, scikit-image", row["glcm_whole"], cooccurrence(whole)),
            ("hue entropy, OpenCV's HSV", row["color_diversity"], hue_diversity(rgb)),
            ("symmetry, OpenCV's matchTemplate", row["symmetry"], mirrored / 2 + 0.5),
            ("layout, OpenCV's Sobel", 0, np.abs(np.array(row["layout"]) - layout(gray)).max()),
            ("Lab of a pixel, scikit-image", 0, np.abs(np.array(row["middle_lab"]) - rgb2lab(np.array(row["middle"], np.uint8)[None, None])).max()),
        ]:
            worst[what] = max(worst.get(what, (0, "")), (float(abs(a - b)), name))
    limits = {"edge": 0.004, "local": 0.002, "patt": 1e-4, "co-o": 1e-4, "hue": 0.002, "symm": 1e-4, "layo": 1e-4, "Lab ": 0.02}
    for what, (value, name) in worst.items():
        check(what, value, next(l for k, l in limits.items() if what.startswith(k)), f"({name})")
    # k-means: the mean squared distance of all pixels to the nearest of our colours against the best of ten runs with as many clusters.
    worst = (0, "")
    for row, (name, rgb) in zip(ours, small.items()):
        lab = rgb2lab(rgb).reshape(-1, 3)
        centres = rgb2lab(np.array([c["rgb"] for c in row["colors"]], np.uint8)[None])[0]
        mine = np.min(((lab[:, None] - centres[None]) ** 2).sum(2), axis=1).mean()
        best = KMeans(len(centres), n_init=10, random_state=0).fit(lab).inertia_ / len(lab)
        worst = max(worst, (float((mine + 1) / (best + 1)), name))
    check("dominant colours' squared error over scikit-learn's", worst[0], 1.4, f"({worst[1]})")


def hashes(bench, all_pictures):
    ours = bench.run("features", *[bench.save(f"full_{n}", rgb) for n, rgb in all_pictures.items()])
    for kind, reference in [("phash", imagehash.phash), ("dhash", imagehash.dhash)]:
        apart = []
        for row, rgb in zip(ours, all_pictures.values()):
            theirs = int(str(reference(Image.fromarray(rgb))), 16)
            apart.append(bin(theirs ^ int(row[kind], 16)).count("1"))
        check(f"{kind}, bits apart from ImageHash", max(apart), 2, f"({apart.count(0)} of {len(apart)} are equal)")


def ssim(bench, all_pictures):
    worst, arguments, truth = 0, [], []
    for name in ["astronaut", "coffee", "motorcycle", "page"]:
        rgb = all_pictures[name]
        noisy = np.clip(rgb + np.random.default_rng(3).normal(0, 20, rgb.shape), 0, 255).astype(np.uint8)
        for other in (noisy, cv2.GaussianBlur(rgb, (9, 9), 2), rgb[:, ::-1].copy()):
            arguments += [bench.save("a", rgb).replace("a.png", f"ssim_{len(truth)}a.png"), ""]
            arguments[-2] = bench.save(f"ssim_{len(truth)}a", rgb)
            arguments[-1] = bench.save(f"ssim_{len(truth)}b", other)
            truth.append(structural_similarity(luma(rgb), luma(other), data_range=255))
    for row, wanted in zip(bench.run("pairs", *arguments), truth):
        worst = max(worst, abs(row["ssim"] - wanted))
    check("SSIM, scikit-image", worst, 1e-4)


def motion(bench, all_pictures):
    """A camera that moves over photographs, and a square patch that moves before a still one."""
    arguments, truth, patches = [], [], []
    for name in ["astronaut", "coffee", "motorcycle", "rocket", "gravel"]:
        rgb = all_pictures[name]
        rgb = cv2.resize(rgb, (800, 600), interpolation=cv2.INTER_AREA)
        for n, (dx, dy, turn, zoom) in enumerate([(12, 0, 0, 1), (-31, 18, 0, 1), (60.5, -22, 0, 1), (5, 3, 0.03, 1), (-6, 2, -0.02, 1.03)]):
            # A pixel z from the middle of the new view was at zoom * turned(z) + shift.
            c, s = zoom * np.cos(turn), zoom * np.sin(turn)
            middle = np.array([399.5, 299.5])
            matrix = np.array([[c, -s, 0], [s, c, 0]])
            matrix[:, 2] = middle + [dx, dy] - matrix[:, :2] @ middle
            moved = cv2.warpAffine(rgb, matrix, (800, 600), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            view = (slice(60, 540), slice(80, 720))
            arguments += [bench.save(f"m_{name}_{n}a", rgb[view].copy()), bench.save(f"m_{name}_{n}b", moved[view].copy())]
            truth.append((dx / 640, dy / 640, turn, zoom))
        for side in (60, 120):
            pair = []
            for x, y in ((40, 50), (400, 250)):
                patch = rgb[:480, :640].copy()
                patch[y:y + side, x:x + side] = 255
                pair.append(bench.save(f"p_{name}_{side}_{x}", patch))
            arguments += pair
            patches.append(2 * side * side / (640 * 480))
            truth.append(None)
    rows = bench.run("pairs", *arguments)
    moving = [(row, t) for row, t in zip(rows, truth) if t]
    check("motion score of a camera that pans, turns, zooms", max(r["motion"] for r, _ in moving), 0.06, "(fine gravel; half a pixel of 160 blurs it)")
    shift = max(np.hypot(r["shift"][0] - t[0], r["shift"][1] - t[1]) for r, t in moving)
    check("camera's shift, in parts of the width", shift, 0.003)
    check("camera's turn and zoom", max(max(abs(r["turn"] - t[2]), abs(r["zoom"] - t[3])) for r, t in moving), 0.004)
    still = [(row["motion"], share) for row, share in zip([r for r, t in zip(rows, truth) if not t], patches)]
    check("score of a patch that moves, over its share, less 1", max(abs(m / s - 1) for m, s in still), 0.4)


def sample(values, x, y, width, height, kind):
    """torch's grid_sample without align_corners, for values [channels,h,w] and pixels of width x height."""
    _, h, w = values.shape
    ix, iy = (((2 * x / (width - 1)) * w - 1) / 2, ((2 * y / (height - 1)) * h - 1) / 2)

    def at(row, column):
        inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
        return values[:, np.clip(row, 0, h - 1), np.clip(column, 0, w - 1)] * inside

    if kind == "nearest":
        return at(np.round(iy).astype(int), np.round(ix).astype(int))
    left, top = np.floor(ix).astype(int), np.floor(iy).astype(int)
    tx, ty = ix - left, iy - top
    if kind == "bilinear":
        wx, wy, first = [1 - tx, tx], [1 - ty, ty], 0
    else:
        near, far = (lambda v: (1.25 * v - 2.25) * v * v + 1), (lambda v: ((-0.75 * v + 3.75) * v - 6) * v + 3)
        wx, wy = [[far(t + 1), near(t), near(1 - t), far(2 - t)] for t in (tx, ty)]
        first = -1
    return sum(wy[j] * wx[i] * at(top + first + j, left + first + i) for j in range(len(wy)) for i in range(len(wx)))


def xfeat(session, rgb, top=4096):
    gray = rgb.astype(np.float32).mean(2)
    h, w = (s // 32 * 32 for s in gray.shape)
    small = cv2.resize(gray, (w, h), interpolation=cv2.INTER_LINEAR)
    feats, logits, reliability = (o[0] for o in session.run(["feats", "kp_logits", "reliability"], {"gray": small[None, None]}))
    feats = feats / np.linalg.norm(feats, axis=0)
    p = np.exp(logits - logits.max(0))
    p = (p / p.sum(0))[:64].reshape(8, 8, h // 8, w // 8).transpose(2, 0, 3, 1).reshape(h, w)
    y, x = np.nonzero((p == cv2.dilate(p, np.ones((5, 5)))) & (p > 0.05))
    score = sample(p[None], x, y, w, h, "nearest")[0] * sample(reliability, x, y, w, h, "bilinear")[0]
    order = np.argsort(-score, kind="stable")[:top]
    x, y, score = x[order], y[order], score[order]
    descriptors = sample(feats, x, y, w, h, "bicubic").T
    points = np.stack([x * gray.shape[1] / w, y * gray.shape[0] / h], axis=1)
    return points, score, descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)


def keypoints(bench, all_pictures):
    session = onnxruntime.InferenceSession(str(DATA / "xfeat.onnx"))
    names = ["astronaut", "coffee", "motorcycle"]
    ours = bench.run("keypoints", *[bench.save(f"full_{n}", all_pictures[n]) for n in names])
    missing, far, turned = 0, 0, 0
    for row, name in zip(ours, names):
        points, score, descriptors = xfeat(session, all_pictures[name])
        mine, vectors = np.array(row["points"]), np.array(row["descriptors"]).reshape(-1, 64)
        apart, near = cKDTree(mine[:, :2]).query(points)
        both = [(n, near[n]) for n in range(len(points)) if apart[n] < 0.01]
        missing = max(missing, 1 - len(both) / max(len(points), len(mine)))
        far = max(far, max(abs(score[n] - mine[m, 2]) for n, m in both))
        turned = max(turned, max(1 - descriptors[n] @ vectors[m] for n, m in both))
    # The two resize a little differently: a score at the threshold, or at the end of the best 4096, may fall to the other side.
    check("XFeat keypoints that only one has, share", missing, 0.02)
    check("XFeat score of the others", far, 0.01)
    check("XFeat descriptors, 1 - cosine", turned, 0.001)
    left, right, _ = skimage.data.stereo_motorcycle()
    row = bench.run("matches", bench.save("left", left), bench.save("right", right))[0]
    found = np.array(row["matches"])
    level = (np.abs(found[:, 1] - found[:, 3]) <= 2).mean()
    check("stereo motorcycle: 500 over the mutual matches", 500 / len(found), 1, f"({len(found)} matches)")
    check("stereo motorcycle: matches farther than 2 px vertically", 1 - level, 0.2, f"({100 * level:.1f} % are within)")
    same = len(found)
    other = bench.run("matches", bench.save("left", left), bench.save("full_coffee", all_pictures["coffee"]))[0]
    check("matches with another place over those with the same", len(other["matches"]) / same, 0.15)


def ranks(bench, all_pictures):
    """Each picture's re-encoded, cropped and brightened copies against all other pictures."""
    files, names = [], list(all_pictures)
    for name, rgb in all_pictures.items():
        h, w = rgb.shape[:2]
        dy, dx = round(h * 0.075), round(w * 0.075)
        packed = io.BytesIO()
        Image.fromarray(rgb).save(packed, "JPEG", quality=40)
        copies = {
            "": rgb, "jpeg 40": np.array(Image.open(packed)), "crop 85 %": rgb[dy:h - dy, dx:w - dx].copy(),
            "brighter": np.clip(rgb * 1.35 + 10, 0, 255).astype(np.uint8),
        }
        files += [bench.save(f"r_{name}_{kind}".replace(" ", "_").replace("%", ""), copy) for kind, copy in copies.items()]
    scores = np.array(bench.run("similarity", *files)[0]["scores"])
    print(f"     {'picture':<22} {'itself':>7} {'jpeg 40':>8} {'crop 85%':>9} {'brighter':>9}   nearest other")
    worst = -1
    for n, name in enumerate(names):
        own = scores[4 * n, 4 * n:4 * n + 4]
        others = {names[m]: scores[4 * n, 4 * m] for m in range(len(names)) if m != n}
        nearest = max(others, key=others.get)
        worst = max(worst, others[nearest] - min(own))
        print(f"     {name:<22} {own[0]:>7.3f} {own[1]:>8.3f} {own[2]:>9.3f} {own[3]:>9.3f}   {others[nearest]:.3f} {nearest}")
    check("a copy's similarity is above any other picture's, by", worst, -0.1, "(negative: above)")
    check("a picture's similarity to itself, 1 less it", float(1 - np.diag(scores).min()), 0)


def places(bench, all_pictures):
    """Which two pictures show the same place: each photograph and what another camera would show of it as a plane, and a stereo pair. No other
    two pictures share a place. The points that fit are counted against OpenCV's RANSAC on the same matches."""
    pictures, truth = [], {}
    for name in NAMES:
        pictures.append((name, all_pictures[name]))
        if name in ("logo", "colorwheel", "horse", "cell", "moon", "clock", "motorcycle"):
            continue
        rgb = all_pictures[name]
        h, w = rgb.shape[:2]
        corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        seen = np.array([[0.08 * w, 0.02 * h], [0.93 * w, 0.1 * h], [0.9 * w, 0.95 * h], [0.03 * w, 0.87 * h]], np.float32)
        matrix = cv2.getPerspectiveTransform(corners, seen)
        truth[len(pictures) - 1, len(pictures)] = matrix
        darker = np.clip(cv2.warpPerspective(rgb, matrix, (w, h)) * 0.8 + 10, 0, 255).astype(np.uint8)
        pictures.append((f"{name}_seen", darker))
    truth[len(pictures) - 1, len(pictures)] = None
    pictures.append(("motorcycle_right", np.ascontiguousarray(skimage.data.stereo_motorcycle()[1])))
    rows = bench.run("places", *[bench.save(f"place_{name}", rgb) for name, rgb in pictures])[0]
    missed, wrong, fewer, corner, others = [], [], 0.0, 0.0, 0
    for row in rows:
        a, b = row["a"], row["b"]
        name, pairs = f"{pictures[a][0]} and {pictures[b][0]}", np.array(row["matches"])
        if (a, b) not in truth:
            others = max(others, row["common"])
            wrong += [f"{name} ({row['common']} of {len(pairs)}, {row['kind']})"] if row["same"] else []
            continue
        tolerance = 0.0025 * max(row["side"])
        kinds = {
            "plane": lambda: cv2.findHomography(pairs[:, 0], pairs[:, 1], cv2.RANSAC, 1.5 * tolerance, maxIters=5000, confidence=0.9999),
            "motion": lambda: cv2.findFundamentalMat(pairs[:, 0], pairs[:, 1], cv2.FM_RANSAC, tolerance, 0.9999, 5000),
        }
        theirs = int(kinds[row["kind"]]()[1].sum()) if row["kind"] else 0
        print(f"     {name:<48} {row['common']:>4} of {len(pairs):>4} fit ({row['kind']}), OpenCV's {theirs:>4}   {'' if row['same'] else 'not told'}")
        missed += [] if row["same"] else [name]
        fewer = max(fewer, 1 - row["common"] / max(theirs, 1))
        if row["kind"] == "plane" and truth[a, b] is not None:
            h, w = pictures[a][1].shape[:2]
            scale = max(row["side"]) / max(h, w)
            size = np.diag([scale, scale, 1])
            wanted = size @ truth[a, b] @ np.linalg.inv(size)
            points = np.array([[0, 0], [w, 0], [w, h], [0, h]]) * scale
            move = lambda m: cv2.perspectiveTransform(points[None].astype(float), np.array(m, float).reshape(3, 3))[0]
            corner = max(corner, np.linalg.norm(move(row["matrix"]) - move(wanted), axis=1).max() / max(row["side"]))
    print(f"     {len(rows) - len(truth)} pairs of different pictures: at most {others} points fit {'; told as one place: ' + ', '.join(wrong) if wrong else ''}")
    check("different pictures told as one place", len(wrong), 0, f"(of {len(rows) - len(truth)})")
    check("views of one picture that are not told", len(missed), 1, f"(of {len(truth)}; {', '.join(missed)})")
    check("points that fit, fewer than OpenCV's RANSAC finds, share", fewer, 0.05)
    check("corners by our homography, off in parts of the side", corner, 0.01)


def scenes(bench, all_pictures):
    """No truth: printed to look at."""
    for row in bench.run("scenes", *[bench.save(f"full_{n}", rgb) for n, rgb in all_pictures.items()]):
        print(f"     {pathlib.Path(row['file']).stem[5:]:<22} {row['scene']:<12} {row['confidence']:.2f}  {row['lighting']:<8} {row['description']}")


def search(bench, all_pictures):
    wanted = {
        "a cat": "chelsea", "a person in a space suit": "astronaut", "a mug of espresso": "coffee", "a missile ready for launch": "rocket",
        "a motorbike": "motorcycle", "what time is it": "clock", "a man with a camera": "camera",
    }
    files = [bench.save(f"full_{n}", all_pictures[n]) for n in ["astronaut", "coffee", "chelsea", "rocket", "motorcycle", "clock", "camera", "brick", "coins", "moon"]]
    right = 0
    for answer in bench.run("search", "|".join(wanted), *files)[0]:
        best = pathlib.Path(answer["hits"][0]["file"]).stem[5:]
        good = best == wanted[answer["words"]]
        right += good
        print(f"     {answer['words']:<30} {best:<12} {answer['hits'][0]['similarity']:.2f} {answer['hits'][0]['reason']} {'' if good else '(wanted ' + wanted[answer['words']] + ')'}")
    check("searches by words that miss their picture", len(wanted) - right, 2, f"({right} of {len(wanted)} hit)")


def main():
    parts = {f.__name__: f for f in (features, hashes, ssim, motion, keypoints, places, ranks, scenes, search)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--only", default=",".join(parts))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    all_pictures = pictures()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.tool, pathlib.Path(folder))
        for name in options.only.split(","):
            print(f"-- {name}")
            parts[name](bench, all_pictures)
    if failures:
        sys.exit(f"{len(failures)} comparisons are outside their tolerance: {', '.join(failures)}")


if __name__ == "__main__":
    main()
