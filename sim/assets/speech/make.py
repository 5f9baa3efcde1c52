#!/usr/bin/env python3
"""Makes the spoken requests of this folder.

    make.py                        speaks every line of recipes.tsv with flite (or espeak-ng), writes *.wav and index.yaml
    make.py --candidates DIR       speaks every object x room x voice x pace x sentence into DIR, with DIR/candidates.tsv
    make.py --choose RESULTS.tsv   picks recipes.tsv from what the recogniser understood (see README.md)

Needs the Debian package flite (and espeak-ng for a recipe that names it), nothing else. The sounds are 16 kHz, mono, 16 bit, at a peak of half
of full scale, with 50 ms of silence at both ends.
"""
import argparse
import array
import pathlib
import re
import subprocess
import sys
import tempfile
import wave

HERE = pathlib.Path(__file__).resolve().parent
RATE = 16000
SENTENCES = [
    "Hey Omni, bring the {o} to the {r}.",
    "Please bring me the {o} to the {r}.",
    "Take the {o} to the {r}.",
    "Bring the {o} to the {r}, please.",
    "Please take the {o} to the {r}.",
    "Hey Omni, take the {o} to the {r}, please.",
]
VOICES = [("flite", v, p) for v in ("slt", "rms", "awb", "kal16") for p in (1.1, 1.25)]
PER_REQUEST = 3
MAX_SECONDS = 4.0


def yaml_list(path, key, pattern):
    """The labels of a list of flow mappings; reading YAML proper would need a package."""
    text = path.read_text().split(key, 1)[1]
    block = re.split(r"\n\S", text, maxsplit=1)[0]
    return [m.strip().strip("\"'") for m in re.findall(pattern, block)]


def objects():
    return yaml_list(HERE.parent / "objects.yaml", "objects:", r"- *\{ *label: *([^,}]+)")


def rooms():
    return yaml_list(HERE.parent.parent.parent / "config" / "home.yaml", "rooms:", r"label: *([^,}]+)")


def speak(engine, voice, pace, text, path):
    with tempfile.TemporaryDirectory() as folder:
        raw = pathlib.Path(folder) / "raw.wav"
        if engine == "flite":
            command = ["flite", "-voice", voice, "--setf", f"duration_stretch={pace}", "-t", text, "-o", str(raw)]
        else:
            command = ["espeak-ng", "-v", voice, "-s", str(round(165 / float(pace))), "-w", str(raw), text]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with wave.open(str(raw)) as w:
            rate, data = w.getframerate(), array.array("h", w.readframes(w.getnframes()))
    samples = [s / 32768.0 for s in data]
    if rate != RATE:
        samples = to_16k(samples, rate)
    loud = [i for i, s in enumerate(samples) if abs(s) > 0.003]
    samples = samples[loud[0] : loud[-1] + 1]
    peak = max(abs(s) for s in samples)
    pad = [0.0] * (RATE // 20)
    out = array.array("h", (round(s / peak * 16383) for s in pad + samples + pad))
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(out.tobytes())
    return len(out) / RATE


def to_16k(samples, rate):
    """Windowed-sinc interpolation (32 taps, Hann), low-passed at 7.6 kHz."""
    import math

    cut = 2 * 7600.0 / rate
    half, out = 16, []
    for i in range(int(len(samples) * RATE / rate)):
        t = i * rate / RATE
        centre, total = int(t), 0.0
        for k in range(max(0, centre - half + 1), min(len(samples), centre + half + 1)):
            x = t - k
            sinc = cut if x == 0 else math.sin(math.pi * x * cut) / (math.pi * x)
            total += samples[k] * sinc * (0.5 + 0.5 * math.cos(math.pi * x / half))
        out.append(total)
    return out


def candidates(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for o in objects():
        for r in rooms():
            for engine, voice, pace in VOICES:
                for sentence in SENTENCES:
                    text = sentence.format(o=o, r=r)
                    path = folder / f"{len(rows):05}.wav"
                    seconds = speak(engine, voice, pace, text, path)
                    rows.append([path.name, text, o, r, f"{engine}:{voice}:{pace}", f"{seconds:.2f}"])
    (folder / "candidates.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    print(len(rows), "candidates")


def choose(results):
    """RESULTS: the columns of candidates.tsv, then conditions understood, conditions, mean confidence."""
    by_request = {}
    for line in results.read_text().splitlines():
        _, text, o, r, voice, seconds, understood, conditions, confidence = line.split("\t")
        if understood == conditions and float(seconds) <= MAX_SECONDS:
            by_request.setdefault((o, r), []).append((-float(confidence), voice, text))
    lines, use = [], {}
    for o in objects():
        for r in rooms():
            taken = []
            pool = sorted(by_request.get((o, r), []))
            # Best confidence, but each time another speaker and another sentence, the rarest first.
            while pool and len(taken) < PER_REQUEST:
                name = lambda row: row[1].rsplit(":", 1)[0]
                kind = lambda row: row[2].replace(o, "{o}").replace(r, "{r}")
                free = [row for row in pool if name(row) not in map(name, taken)]
                free = [row for row in free if kind(row) not in map(kind, taken)] or free
                if not free:
                    break
                row = min(free, key=lambda row: (use.get(name(row), 0) + use.get(kind(row), 0), row))
                use[name(row)] = use.get(name(row), 0) + 1
                use[kind(row)] = use.get(kind(row), 0) + 1
                taken.append(row)
            if not taken:
                print("no candidate was understood:", o, "->", r, file=sys.stderr)
            for _, voice, text in taken:
                stem = f"{o}_{r}".replace(" ", "_")
                lines.append("\t".join([f"{stem}_{1 + sum(stem + '_' in x for x in lines)}.wav", text, o, r, voice]))
    (HERE / "recipes.tsv").write_text("".join(x + "\n" for x in lines))
    print(len(lines), "recipes")


def make():
    for old in HERE.glob("*.wav"):
        old.unlink()
    index = ["# Spoken requests; made by make.py from recipes.tsv. voice = program:voice:pace.\n"]
    total = 0
    for line in (HERE / "recipes.tsv").read_text().splitlines():
        name, text, o, r, voice = line.split("\t")
        speak(*voice.split(":"), text, HERE / name)
        total += (HERE / name).stat().st_size
        index.append(f'- {{file: {name}, text: "{text}", object: {o}, room: {r}, voice: "{voice}"}}\n')
    (HERE / "index.yaml").write_text("".join(index))
    print(len(index) - 1, "files,", total, "bytes")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--candidates", type=pathlib.Path)
parser.add_argument("--choose", type=pathlib.Path)
arguments = parser.parse_args()
if arguments.candidates:
    candidates(arguments.candidates)
elif arguments.choose:
    choose(arguments.choose)
else:
    make()
