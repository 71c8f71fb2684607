"""Values as pages show them: energy, distance, times, each with its unit and in the reader's language."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

FILTERS: dict[str, Any] = {}
KWH_FROM_WH = 1_000


def _filter(function: Any) -> Any:
    FILTERS[function.__name__] = function
    return function


def decimal(context: Context, number: float, digits: int) -> str:
    """A number with so many digits after the point, which is a comma elsewhere."""
    return f"{number:.{digits}f}".replace(".", str(context["t"]("decimal_point")))


@_filter
@pass_context
def energy(context: Context, energy_wh: int | None) -> str:
    """840 -> "840 Wh", 12345 -> "12.35 kWh"; a dash for what nobody knows."""
    if energy_wh is None:
        return "–"
    if abs(energy_wh) < KWH_FROM_WH:
        return f"{energy_wh} Wh"
    return f"{decimal(context, energy_wh / 1000, 2)} kWh"


@_filter
@pass_context
def distance(context: Context, distance_m: int | None) -> str:
    """340 -> "340 m", 2340 -> "2.3 km", 23400 -> "23 km"."""
    if distance_m is None:
        return ""
    if distance_m < 1000:
        return f"{distance_m} m"
    return f"{decimal(context, distance_m / 1000, 1 if distance_m < 10_000 else 0)} km"


@_filter
def when(moment: datetime | None, style: str = "datetime") -> Markup:
    """A time that the page's script shows in the reader's zone; without it, UTC. `style` is datetime, time or since."""
    if moment is None:
        return Markup("–")
    written = moment.astimezone(UTC)
    return Markup('<time datetime="{}" data-when="{}">{}</time>').format(
        written.isoformat(timespec="milliseconds").replace("+00:00", "Z"), style, f"{written:%Y-%m-%d %H:%M:%S} UTC"
    )


@_filter
def left(moment: datetime | None) -> Markup:
    """The time that is left until then, counted down by the page's script."""
    if moment is None:
        return Markup("")
    written = moment.astimezone(UTC)
    return Markup('<time class="left" datetime="{}" data-when="left">{}</time>').format(
        written.isoformat(timespec="milliseconds").replace("+00:00", "Z"), f"{written:%H:%M:%S} UTC"
    )


@_filter
def lasting(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: 4000 -> "1:06:40"."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@_filter
def lines(value: object) -> Markup:
    """Text with its line breaks."""
    return Markup("<br>").join(escape(line) for line in str(value).splitlines())
