#!/usr/bin/env python3
"""Compares the audio features of `omnimind-audio` with librosa's on speech, tones, chirps, noise and silence.

    cargo build --release -p omnimind-audio --example features_json
    python3 tests/audio/librosa_check.py target/release/examples/features_json [speech.wav ...]

Needs librosa==0.11.0. Speech comes from flite where it is installed and from the files named. Prints the largest deviations and fails
beyond the tolerances below.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import librosa
import numpy as np
import scipy.io.wavfile
from scipy.signal import get_window

RATE, FRAME, HOP, FFT, PITCH = 16000, 400, 160, 512, 1024
# Relative deviation: of a coefficient, of at least 1 (nats times the DCT's scale); of level, centroid.
MFCC, LEVEL, CENTROID = 0.01, 0.01, 0.01
# A sweep leaves most mel filters with nothing but the rounding of our 32-bit transform, 130 dB down (librosa's has 64 bits).
MFCC_SWEEP = 0.1
# Absolute: dB; share of crossings, one in a frame (librosa takes values up to 1e-10 for zero).
DBFS, CROSSINGS = 0.05, 1.01 / (FRAME - 1)
# Pitch: at least this share of the frames voiced here is within 1 % of librosa.yin, an octave's error included (librosa sums over 32 ms, we over 49).
PITCH_SHARE = {"tone": 1.0, "chirp": 0.97, "speech": 0.85}


def signals():
    t = np.arange(2 * RATE) / RATE
    rng = np.random.default_rng(7)
    for hz in (110.0, 220.0, 441.0):
        yield "tone", f"sine {hz:.0f} Hz", 0.4 * np.sin(2 * np.pi * hz * t)
    yield "tone", "harmonics of 150 Hz", sum(0.3 / k * np.sin(2 * np.pi * 150 * k * t) for k in range(1, 9))
    yield "tone", "sine 3 kHz (no pitch of a voice)", 0.4 * np.sin(2 * np.pi * 3000 * t)
    yield "chirp", "chirp 90 to 400 Hz", 0.4 * np.sin(2 * np.pi * (90 * t + 77.5 * t * t))
    yield "sweep", "sweep 100 to 7500 Hz (no pitch of a voice)", 0.4 * np.sin(2 * np.pi * (100 * t + 1850 * t * t))
    yield "noise", "white noise", rng.normal(0, 0.1, len(t))
    yield "noise", "brown noise", np.cumsum(rng.normal(0, 0.002, len(t))) * np.hanning(len(t))
    yield "silence", "silence", np.zeros(RATE)
    if shutil.which("flite"):
        with tempfile.TemporaryDirectory() as folder:
            for voice in ("slt", "rms"):
                path = f"{folder}/{voice}.wav"
                text = "Please bring the red apple from the kitchen to the living room, then come back to me."
                subprocess.run(["flite", "-voice", voice, "-t", text, "-o", path], check=True)
                yield "speech", f"flite {voice}", librosa.load(path, sr=RATE, mono=True)[0]
    for path in sys.argv[2:]:
        yield "speech", pathlib.Path(path).name, librosa.load(path, sr=RATE, mono=True)[0][: 20 * RATE]


def by_librosa(y):
    frames = librosa.util.frame(y, frame_length=FRAME, hop_length=HOP)
    window = get_window("hann", FRAME)
    emphasised = librosa.util.frame(librosa.effects.preemphasis(y, coef=0.97, zi=[0.0]), frame_length=FRAME, hop_length=HOP)
    power = np.abs(np.fft.rfft(emphasised * window[:, None], n=FFT, axis=0)) ** 2
    bank = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=40, htk=True, norm=None)
    plain = np.abs(np.fft.rfft(frames * window[:, None], n=FFT, axis=0))
    rms = librosa.feature.rms(y=y, frame_length=FRAME, hop_length=HOP, center=False)[0]
    return {
        "mfcc": librosa.feature.mfcc(S=np.log(np.maximum(bank @ power, 1e-10)), n_mfcc=13).T,
        "rms": rms,
        "dbfs": librosa.amplitude_to_db(rms, ref=1.0, amin=1e-6, top_db=None),
        "zero_crossing_rate": librosa.zero_crossings(frames, pad=False, axis=0).sum(axis=0) / (FRAME - 1),
        "centroid_hz": librosa.feature.spectral_centroid(S=plain, sr=RATE, n_fft=FFT)[0],
        "pitch_hz": librosa.yin(y, fmin=65, fmax=500, sr=RATE, frame_length=PITCH, hop_length=HOP, trough_threshold=0.15, center=False),
    }


def main():
    failures = []
    print("| signal | frames | MFCC | RMS | dBFS, dB | crossings | centroid | voiced | pitch within 1 % |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, name, y in signals():
        y = np.asarray(y, dtype=np.float32)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            scipy.io.wavfile.write(file.name, RATE, y)
            ours = json.loads(subprocess.run([sys.argv[1], file.name], check=True, capture_output=True).stdout)
        ours = {k: np.array(v) for k, v in ours.items()}
        want = by_librosa(y)
        n = len(ours["rms"])
        assert n == len(want["rms"]) and not any(np.isnan(v).any() for v in ours.values()), name
        relative = lambda key, least: float(np.max(np.abs(ours[key] - want[key][:n]) / np.maximum(np.abs(want[key][:n]), least)))
        mfcc, level, centroid = relative("mfcc", 1.0), relative("rms", 1e-6), relative("centroid_hz", 1.0)
        loud = want["dbfs"] > -110
        decibels = float(np.max(np.abs(ours["dbfs"] - want["dbfs"])[loud], initial=0))
        crossings = float(np.max(np.abs(ours["zero_crossing_rate"] - want["zero_crossing_rate"])))
        voiced = ours["voiced"]
        m = min(len(voiced), len(want["pitch_hz"]))
        close = np.abs(ours["pitch_hz"][:m] / want["pitch_hz"][:m] - 1) < 0.01
        share = float(close[voiced[:m]].mean()) if voiced[:m].any() else 1.0
        print(f"| {name} | {n} | {mfcc:.2%} | {level:.2%} | {decibels:.3f} | {crossings:.1e} | {centroid:.2%} | {voiced.mean():.0%} | {share:.1%} |")
        for what, value, limit in (("MFCC", mfcc, MFCC_SWEEP if kind == "sweep" else MFCC), ("RMS", level, LEVEL), ("dBFS", decibels, DBFS), ("crossings", crossings, CROSSINGS), ("centroid", centroid, CENTROID)):
            if not value <= limit:
                failures.append(f"{name}: {what} deviates by {value:.4g}, more than {limit}")
        if kind in PITCH_SHARE and share < PITCH_SHARE[kind]:
            failures.append(f"{name}: {share:.1%} of the voiced frames agree with librosa.yin, less than {PITCH_SHARE[kind]:.0%}")
        if kind in ("noise", "silence") and name != "brown noise" and voiced.any():
            failures.append(f"{name}: {voiced.mean():.0%} of the frames are voiced")
        if kind == "silence" and (ours["rms"].any() or ours["centroid_hz"].any() or ours["pitch_hz"].any() or (ours["dbfs"] != -120).any()):
            failures.append(f"{name}: silence is not silent")
        if kind == "speech" and not 0.1 < voiced.mean() < 0.95:
            failures.append(f"{name}: {voiced.mean():.0%} voiced")
        if name.startswith("sine 1") or name.startswith("harm"):
            if not voiced.all():
                failures.append(f"{name}: {voiced.mean():.0%} voiced")
    print(f"\nColumns: largest relative deviation of any frame from librosa {librosa.__version__} (dB and crossings: absolute); share of frames that we call voiced; of these, the share within 1 % of librosa.yin.")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
