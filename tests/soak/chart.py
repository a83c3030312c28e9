"""Charts of a run as one SVG: what belongs together over time, one chart below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from soak.sampling import Sample
from soak.verdict import WARM_UP

Series = Mapping[str, Sequence[float]]

WIDTH, HEIGHT, GAP = 640, 120, 64
LEFT, TOP, RIGHT = 64, 56, 168
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which the colour-blind tell apart."""


def charts(samples: Sequence[Sample], title: str) -> str:
    """An SVG document; the warm-up is shaded."""
    at = [each.at for each in samples]
    groups: dict[str, Series] = {
        "memory, MiB": {
            part: [each.memory[part] for each in samples]
            for part in samples[-1].memory
            if any(each.memory[part] for each in samples)
        },
        "journal, MiB": {
            "live": [each.journal_live for each in samples],
            "file": [each.journal_file for each in samples],
        },
        "age, s": {
            "oldest open task": [each.oldest_open for each in samples],
            "oldest sealed batch": [each.oldest_sealed for each in samples],
            "sender behind": [each.behind for each in samples],
        },
        "spans a second": {
            "received": _rates(at, [each.received for each in samples]),
            "stored": _rates(at, [each.stored for each in samples]),
        },
    }
    height = TOP + len(groups) * (HEIGHT + GAP)
    drawn = [_chart(name, series, at, TOP + n * (HEIGHT + GAP)) for n, (name, series) in enumerate(groups.items())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"',
            'font-family="sans-serif" font-size="12" fill="#333">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
            *drawn,
            "</svg>\n",
        ]
    )


def _chart(name: str, series: Series, at: Sequence[float], top: int) -> str:
    most = max((value for values in series.values() for value in values), default=0.0) or 1.0
    end = at[-1] or 1.0
    foot = top + HEIGHT
    lines = [
        f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{escape(name)}</text>',
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH * WARM_UP:.1f}" height="{HEIGHT}" fill="#f3f3f3"/>',
        f'<path d="M{LEFT} {top}V{foot}H{LEFT + WIDTH}" fill="none" stroke="#999"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        y, x = foot - share * HEIGHT, LEFT + share * WIDTH
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:,.4g}</text>')
        lines.append(f'<text x="{x:.1f}" y="{foot + 16}" text-anchor="middle">{_clock(end * share)}</text>')
    for number, (label, values) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{LEFT + x / end * WIDTH:.1f},{foot - y / most * HEIGHT:.1f}" for x, y in zip(at, values, strict=True)
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        lines.append(
            f'<text x="{LEFT + WIDTH + 12}" y="{top + 12 + 18 * number}" fill="{colour}">{escape(label)}</text>'
        )
    return "\n".join(lines)


def _rates(at: Sequence[float], counts: Sequence[int]) -> list[float]:
    """A second, between each sample and the one before."""
    pairs = zip(at, at[1:], counts, counts[1:], strict=False)
    rates = [(after - before) / (now - then) for then, now, before, after in pairs]
    return [*rates[:1], *rates] if rates else [0.0]


def _clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes}:{left:02}"
