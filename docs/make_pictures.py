"""Makes the pictures of the README from what the demo shows. Needs Pillow; the Rerun picture is a screenshot that Rerun takes,
with a blueprint `follow.rbl` that sets the time panel to follow, so that the end of the recording shows and not its beginning.

    tmux new-session -d -s demo -x 120 -y 40 'omnimind demo --seed 1 --rate 2'
    tmux capture-pane -e -p -t demo > screen.txt                  # in the middle of the mission
    python docs/make_pictures.py terminal screen.txt docs/demo_terminal.png

    omnimind launch recording.yaml bag:=recording.mcap rate:=0 --duration 70 --headless     # ends at the picture's moment
    xvfb-run -s '-screen 0 4000x3000x24' rerun replay.rrd follow.rbl --window-size 1280x800 --screenshot-to shot.png
    python docs/make_pictures.py shrink shot.png docs/demo_rerun.png
"""

import argparse
import re
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONTS = ["DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"]
BACKGROUND, FOREGROUND = (24, 27, 33), (208, 212, 220)
# The 16 colours of a terminal, in the order of their numbers.
COLOURS = [
    (24, 27, 33), (224, 85, 97), (108, 190, 99), (222, 177, 74), (86, 146, 232), (190, 110, 214), (66, 183, 199), (171, 178, 191),
    (92, 99, 112), (240, 113, 120), (140, 216, 130), (240, 200, 110), (120, 170, 245), (210, 140, 230), (100, 210, 222), (235, 238, 245),
]  # fmt: skip
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def colour(codes):
    """The colour that follows a code 38 or 48, taken from the front of `codes`."""
    kind = codes.pop(0)
    if kind == 2:
        return tuple(codes.pop(0) for _ in range(3))
    number = codes.pop(0)
    if number < 16:
        return COLOURS[number]
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    level = [0, 95, 135, 175, 215, 255]
    return tuple(level[(number - 16) // step % 6] for step in (36, 6, 1))


def cells(line):
    """Each character of a line with its foreground, background and boldness."""
    style = {"front": FOREGROUND, "back": BACKGROUND, "bold": False, "dim": False, "swap": False}
    plain = dict(style)
    for i, part in enumerate(ESCAPE.split(line)):
        if i % 2 == 0:
            front = style["front"]
            if style["dim"]:
                front = tuple((a + b) // 2 for a, b in zip(front, style["back"]))
            pair = (style["back"], front) if style["swap"] else (front, style["back"])
            yield from ((char, *pair, style["bold"]) for char in part)
            continue
        codes = [int(c or 0) for c in part.split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                style = dict(plain)
            elif code in (1, 2, 7):
                style[{1: "bold", 2: "dim", 7: "swap"}[code]] = True
            elif code == 22:
                style["bold"] = style["dim"] = False
            elif code == 27:
                style["swap"] = False
            elif code in (38, 48):
                style["front" if code == 38 else "back"] = colour(codes)
            elif code in (39, 49):
                key = "front" if code == 39 else "back"
                style[key] = plain[key]
            else:
                for first, key, offset in ((30, "front", 0), (40, "back", 0), (90, "front", 8), (100, "back", 8)):
                    if first <= code < first + 8:
                        style[key] = COLOURS[code - first + offset]


def terminal(source, target, size=15):
    lines = Path(source).read_text().rstrip("\n").split("\n")
    fonts = [ImageFont.truetype(name, size) for name in FONTS]
    width, height = round(fonts[0].getlength("M")), sum(fonts[0].getmetrics())
    columns = max(sum(1 for _ in cells(line)) for line in lines)
    margin = size
    image = Image.new("RGB", (columns * width + 2 * margin, len(lines) * height + 2 * margin), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        for column, (char, front, back, bold) in enumerate(cells(line)):
            x, y = margin + column * width, margin + row * height
            if back != BACKGROUND:
                draw.rectangle((x, y, x + width - 1, y + height - 1), fill=back)
            if char == "█":
                draw.rectangle((x, y, x + width - 1, y + height - 1), fill=front)
            elif 0x2800 <= ord(char) < 0x2900:
                braille(draw, ord(char) - 0x2800, x, y, width, height, front)
            elif char != " ":
                draw.text((x, y), char, font=fonts[bold], fill=front)
    save(image.quantize(256, dither=Image.Dither.NONE), target)


def braille(draw, bits, x, y, width, height, fill):
    """Dots of a canvas: drawn here, because few monospace fonts have them in their own width."""
    for bit, (column, row) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]):
        if bits >> bit & 1:
            left, top = x + column * width / 2, y + row * height / 4
            draw.rectangle((left + 0.5, top + 0.5, left + width / 2 - 1.5, top + height / 4 - 1.5), fill=fill)


def shrink(source, target, width=1280):
    image = Image.open(source).convert("RGB")
    save(image.resize((width, image.height * width // image.width), Image.Resampling.LANCZOS), target)


def save(image, target):
    image.save(target, optimize=True)
    print(f"{target}: {image.width} x {image.height}, {Path(target).stat().st_size / 1000:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["terminal", "shrink"])
    parser.add_argument("source")
    parser.add_argument("target")
    arguments = parser.parse_args()
    {"terminal": terminal, "shrink": shrink}[arguments.kind](arguments.source, arguments.target)
