#!/usr/bin/env python3
"""Makes tests/data: small clips of every kind by ffmpeg, and what ffmpeg sees in each: times by ffprobe, frames as one tall PNG.

    pip install pillow numpy && python video/tests/fixtures.py       # needs ffmpeg with libx264
"""
import json
import pathlib
import subprocess

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).parent / "data"
SIZE = "96x64"
X264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "slow", "-crf", "20"]


def run(*words: str) -> bytes:
    return subprocess.run([str(w) for w in words], check=True, capture_output=True).stdout


def ffmpeg(name: str, *options: str, rate: str = "10", frames: int = 12, size: str = SIZE, source: str = "testsrc2") -> None:
    run("ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", f"{source}=size={size}:rate={rate}", "-frames:v", frames,
        *options, "-fflags", "+bitexact", "-flags:v", "+bitexact", OUT / name)


def clips() -> None:
    ffmpeg("mjpeg.avi", "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj444p")
    ffmpeg("mjpeg_420.avi", "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p", rate="30000/1001")
    ffmpeg("mjpeg.mp4", "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj444p")
    ffmpeg("mjpeg.mov", "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj444p")
    ffmpeg("baseline.mp4", *X264, "-profile:v", "baseline")
    ffmpeg("main_b_frames.mp4", *X264, "-profile:v", "main", "-bf", "3", "-b_strategy", "0")
    ffmpeg("high_odd_size.mp4", *X264, "-profile:v", "high", "-bf", "3", "-x264opts", "b-pyramid=normal:ref=4:slices=2", rate="30000/1001", size="98x66")
    ffmpeg("bt709.mp4", *X264, "-colorspace", "bt709", "-color_range", "tv")
    ffmpeg("full_range.mp4", "-c:v", "libx264", "-pix_fmt", "yuvj420p", "-color_range", "pc")
    ffmpeg("high_422.mp4", "-c:v", "libx264", "-pix_fmt", "yuv422p")
    ffmpeg("high_10.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p10le")
    ffmpeg("interlaced.mp4", *X264, "-flags", "+ildct+ilme")
    ffmpeg("fragmented.mp4", *X264, "-g", "4", "-bf", "2", "-movflags", "frag_keyframe+empty_moov+default_base_moof")
    ffmpeg("faststart.mov", *X264, "-movflags", "faststart", "-g", "5")
    ffmpeg("msmpeg4.avi", "-c:v", "msmpeg4", "-q:v", "2", frames=8)
    ffmpeg("vp8.webm", "-c:v", "libvpx", "-b:v", "400k", frames=8)
    copy = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    # Begins between key frames: the edit list hides what is only there to decode what follows.
    run(*copy, "-ss", "0.45", "-i", OUT / "main_b_frames.mp4", "-c", "copy", "-fflags", "+bitexact", OUT / "edit_list.mp4")
    run(*copy, "-display_rotation", "90", "-i", OUT / "baseline.mp4", "-c", "copy", "-fflags", "+bitexact", OUT / "turned.mp4") \
        if b"display_rotation" in run("ffmpeg", "-hide_banner", "-h", "full") else \
        run(*copy, "-i", OUT / "baseline.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90", "-fflags", "+bitexact", OUT / "turned.mp4")
    # Times that are not evenly spaced.
    run(*copy, "-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate=10", "-vf", "select='not(eq(mod(n,4),1))'", "-frames:v", "12", "-fps_mode", "passthrough",
        *X264, "-bf", "2", "-fflags", "+bitexact", OUT / "uneven.mp4")


def seen() -> None:
    for clip in sorted(OUT.iterdir()):
        if clip.suffix in (".json", ".png") or clip.name.startswith("bad_"):
            continue
        probed = json.loads(run("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_frames", "-show_entries",
                                "frame=best_effort_timestamp_time", "-of", "json", clip))
        times = [float(f["best_effort_timestamp_time"]) for f in probed["frames"]]
        # ffmpeg repeats chroma by default, libjpeg's kind of decoders smooth it: for half-size chroma let ffmpeg smooth too.
        smooth = ["-vf", "scale=flags=bicubic+full_chroma_int+accurate_rnd"] if clip.name == "mjpeg_420.avi" else []
        raw = run("ffmpeg", "-nostdin", "-v", "error", "-i", clip, *smooth, "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "-")
        frames = []
        while raw:
            _, size, _, body = raw.split(b"\n", 3)
            width, height = map(int, size.split())
            frames.append(np.frombuffer(body[: width * height * 3], np.uint8).reshape(height, width, 3))
            raw = body[width * height * 3:]
        # ffprobe also lists frames before the edit list's beginning; ffmpeg does not show them.
        times = [t for t in times if t >= 0][-len(frames):]
        assert len(times) == len(frames), (clip, len(times), len(frames))
        Image.fromarray(np.concatenate(frames)).save(OUT / f"{clip.name}.png", optimize=True)
        (OUT / f"{clip.name}.json").write_text(json.dumps({"times": times, "size": [width, height]}) + "\n")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    clips()
    seen()
