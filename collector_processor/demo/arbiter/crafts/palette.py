"""Design: moving a brand's colours just far enough from the background to be legible.

Legible means the contrast ratio of the Web Content Accessibility Guidelines, at least 4.5.
"""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from random import Random

from collector_processor.demo.arbiter.model import Files
from collector_processor.demo.arbiter.policy import Manner, Policy, Report, Use

BRIEF = "brief.json"
PALETTE = "palette.json"
LEGIBLE = 4.5
BISECTIONS = 4
COLOURS = {"trivial": 1, "standard": 2, "complex": 3}


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0..255, of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """Relative luminance, 0..1, as WCAG 2 defines it."""
    shares = [channel / 255 for channel in channels(colour)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1..21."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, pole: str, share: float) -> str:
    """Mix a colour with another, which takes the given share."""
    pairs = zip(channels(colour), channels(pole), strict=True)
    return "#" + "".join(f"{round(own + (other - own) * share):02x}" for own, other in pairs)


def distance(first: str, second: str) -> float:
    """Distance of two colours in the RGB cube, 0..1."""
    pairs = zip(channels(first), channels(second), strict=True)
    return math.sqrt(sum((own - other) ** 2 for own, other in pairs) / 3) / 255


def best_pole(background: str) -> str:
    """Black or white: what stands out more."""
    return max(("#000000", "#ffffff"), key=lambda pole: contrast(pole, background))


@dataclass(frozen=True, slots=True)
class Palette:
    """Make every colour legible on the background, and keep it as close to the brand's as that allows."""

    background: str
    colours: tuple[str, ...]

    def files(self) -> Files:
        """The brief."""
        return {BRIEF: json.dumps({"background": self.background, "colours": self.colours})}

    def check(self, files: Files) -> float:
        """Mean over the colours: 0 where it is illegible, else 1 less the needless part of its move, at least 0.6."""
        try:
            answer = [str(colour) for colour in json.loads(files.get(PALETTE, "[]"))]
            pairs = list(zip(self.colours, answer, strict=True))
            return statistics.fmean(self._score(brand, chosen) for brand, chosen in pairs)
        except ValueError:
            return 0.0

    def _score(self, brand: str, chosen: str) -> float:
        if contrast(chosen, self.background) < LEGIBLE:
            return 0.0
        pole = best_pole(self.background)
        needed = next(
            step / 100 for step in range(101) if contrast(mixed(brand, pole, step / 100), self.background) >= LEGIBLE
        )
        needless = distance(brand, chosen) - distance(brand, mixed(brand, pole, needed))
        return max(0.6, 1 - max(0.0, needless))


def draw_palette(complexity: str, random: Random) -> Palette:
    """Draw a background and brand colours that are too close to it."""
    background = random.choice(("#ffffff", "#f4f1ea", "#10141a", "#e8eef7"))
    colours = [
        mixed(f"#{random.randrange(1 << 24):06x}", background, random.uniform(0.3, 0.7))
        for _ in range(COLOURS[complexity])
    ]
    return Palette(background, tuple(colours))


def colour(manner: Manner) -> Policy:
    """Measure each colour and mix it with black or white: by bisection, all the way, or one step."""
    brief = yield Use("read_file", {"path": BRIEF})
    content = json.loads(str(brief.data["text"]))
    background = content["background"]
    pole = best_pole(background)
    chosen, legible = [], True
    for brand in content["colours"]:
        measured = yield Use("measure_contrast", {"colour": brand, "background": background})
        share, answer = 0.0, brand
        if measured.data["contrast"] < LEGIBLE:
            share, answer = (1.0, pole) if manner.colouring != "one step" else (0.35, mixed(brand, pole, 0.35))
            if manner.colouring == "bisect":
                low, high = 0.0, 1.0
                for _ in range(BISECTIONS):
                    share = (low + high) / 2
                    measured = yield Use(
                        "measure_contrast", {"colour": mixed(brand, pole, share), "background": background}
                    )
                    low, high = (low, share) if measured.data["contrast"] >= LEGIBLE else (share, high)
                answer = mixed(brand, pole, high)
        if share:
            measured = yield Use("measure_contrast", {"colour": answer, "background": background})
        legible = legible and measured.data["contrast"] >= LEGIBLE
        chosen.append(answer)
    yield Use("write_file", {"path": PALETTE, "text": json.dumps(chosen)})
    if legible:
        return Report(success=True, reflection=f"{len(chosen)} colours are legible.")
    return Report(
        success=False,
        partial_success=len(chosen) > 1,
        failure_reason=f"a colour stays below the contrast of {LEGIBLE}",
        reflection="One step was not enough.",
    )
