#!/usr/bin/env python3
"""Makes tests/data: pictures of every kind that `decode` meets, and what Pillow sees in each, as PNG beside it.

    pip install pillow numpy && python pictures/tests/fixtures.py
"""
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).parent / "data"
WIDTH, HEIGHT = 24, 16


def colours() -> np.ndarray:
    """A smooth picture, so that lossy formats keep it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 255 // (WIDTH - 1), y * 255 // (HEIGHT - 1), 128 + 60 * np.sin(x / 5)], -1).astype(np.uint8)


def png16(path: pathlib.Path, pixels: np.ndarray, colour_type: int) -> None:
    """A 16-bit PNG (Pillow writes none in colour): the specification's chunks, filter 0."""
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main() -> None:
    OUT.mkdir(exist_ok=True)
    rgb = Image.fromarray(colours())
    alpha = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint8)
    rgba = Image.merge("RGBA", [*rgb.split(), Image.fromarray(alpha)])
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    rgb.save(OUT / "baseline.jpg", quality=95, subsampling=0)
    rgb.save(OUT / "chroma_420.jpg", quality=95, subsampling=2)
    rgb.save(OUT / "progressive.jpg", quality=95, progressive=True, subsampling=0)
    rgb.convert("L").save(OUT / "grey.jpg", quality=95)
    rgb.convert("CMYK").save(OUT / "cmyk.jpg", quality=95)
    rgb.save(OUT / "turned.jpg", quality=95, subsampling=0, exif=turned)
    rgb.save(OUT / "colour.png")
    rgba.save(OUT / "alpha.png")
    rgb.convert("L").save(OUT / "grey.png")
    Image.merge("LA", [rgb.convert("L"), Image.fromarray(alpha)]).save(OUT / "grey_alpha.png")
    rgb.convert("1").save(OUT / "bits.png")
    rgb.quantize(16).save(OUT / "palette.png")
    png16(OUT / "sixteen.png", colours().astype(np.uint32) * 257, 2)
    png16(OUT / "sixteen_grey.png", np.asarray(rgb.convert("L")).astype(np.uint32) * 257, 0)
    rgb.save(OUT / "lossy.webp", quality=95)
    rgba.save(OUT / "alpha.webp", lossless=True, exact=True)
    rgb.save(OUT / "animated.webp", save_all=True, append_images=[rgb.rotate(180)], duration=100, lossless=True)
    rgb.save(OUT / "animated.png", save_all=True, append_images=[rgb.rotate(180)], duration=100)
    rgb.save(OUT / "really_a_png.jpg", format="PNG")
    for file in sorted(OUT.iterdir()):
        if file.name.startswith("seen_"):
            continue
        image = Image.open(file)
        if file.name.startswith("sixteen"):  # Pillow reads 16-bit colour as 8 bits, but clips 16-bit grey
            seen = rgb if file.stem == "sixteen" else rgb.convert("L").convert("RGB")
        elif image.getexif().get(0x0112) == 6:
            seen = image.convert("RGB").transpose(Image.Transpose.ROTATE_270)
        else:
            seen = image.convert("RGB")
        seen.save(OUT / f"seen_{file.name}.png")


if __name__ == "__main__":
    main()
