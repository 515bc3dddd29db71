"""Small SVG plots, made of text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, BAR, GAP, LABEL = 720, 22, 8, 250
COLORS = ("#1f6feb", "#2da44e", "#9a6700", "#8250df", "#cf222e", "#57606a")


def bars(title: str, values: Mapping[str, float], unit: str) -> str:
    """Draw one bar for each value, the largest as wide as the plot."""
    most = max(values.values(), default=0) or 1
    room = WIDTH - LABEL - 90
    parts = [_text(8, 20, title, weight="bold")]
    for place, (name, value) in enumerate(values.items()):
        top = 36 + place * (BAR + GAP)
        width = max(1.0, value / most * room)
        parts += [
            _text(8, top + 15, name),
            f'<rect x="{LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" rx="3" '
            f'fill="{COLORS[place % len(COLORS)]}"/>',
            _text(LABEL + width + 6, top + 15, f"{value:.3g} {unit}"),
        ]
    return _svg(44 + len(values) * (BAR + GAP), parts)


def lines(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_unit: str, y_unit: str
) -> str:
    """Draw points joined by lines; both axes begin at 0."""
    points = [point for line in series.values() for point in line]
    x_most = max((x for x, _ in points), default=0) or 1
    y_most = max((y for _, y in points), default=0) or 1
    left, top, width, height = 60, 36, WIDTH - 290, 220

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x / x_most * width, top + height - y / y_most * height

    parts = [
        _text(8, 20, title, weight="bold"),
        f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#57606a"/>',
        _text(8, top + 6, f"{y_most:.3g} {y_unit}"),
        _text(left + width - 20, top + height + 18, f"{x_most:.3g} {x_unit}"),
    ]
    for place, (name, line) in enumerate(series.items()):
        color = COLORS[place % len(COLORS)]
        drawn = [at(x, y) for x, y in sorted(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in drawn]
        legend = top + 10 + place * 20
        parts.append(f'<rect x="{left + width + 24}" y="{legend}" width="10" height="10" '
                     f'fill="{color}"/>')  # fmt: skip
        parts.append(_text(left + width + 40, legend + 9, name))
    return _svg(top + height + 30, parts)


def _text(x: float, y: float, text: str, *, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{escape(text)}</text>'


def _svg(height: int, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" font-family="sans-serif" font-size="13">'
    )
    paper = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, paper, *parts, "</svg>", ""])
