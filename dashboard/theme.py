"""The colours of the house, for the page and for charts, in daylight and at night."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours that a chart draws with; shares run from ``low`` to ``high``."""

    ink: str
    soft: str
    line: str
    ground: str
    accent: str
    low: tuple[int, int, int]
    high: tuple[int, int, int]
    on_low: str
    on_high: str
    unseen: str
    hatch: str
    categories: tuple[str, ...]

    def tone(self, share: float) -> str:
        """Return the colour of a share of one, the steps wider where shares are small."""
        red, green, blue = self._mix(share)
        return f"#{red:02x}{green:02x}{blue:02x}"

    def on_tone(self, share: float) -> str:
        """Return the ink with the higher contrast on the colour of a share."""
        ground = _light(*self._mix(share))
        inks = (self.on_low, self.on_high)
        return max(inks, key=lambda ink: _contrast(ground, _light(*bytes.fromhex(ink[1:]))))

    def _mix(self, share: float) -> tuple[int, ...]:
        part = max(0.0, min(1.0, share)) ** 0.7
        return tuple(
            round(low + (high - low) * part) for low, high in zip(self.low, self.high, strict=True)
        )


def _light(*colour: int) -> float:
    """Return the relative luminance of WCAG 2.2, from 0 to 1."""
    parts = [value / 255 for value in colour]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


DAY = Palette(
    ink="#17292d",
    soft="#55686d",
    line="#dfe6e7",
    ground="#ffffff",
    accent="#0b6b63",
    low=(226, 241, 239),
    high=(8, 94, 87),
    on_low="#000000",
    on_high="#ffffff",
    unseen="#eef0f1",
    hatch="#b6bfc2",
    categories=(
        "#0b6b63", "#3d6fb4", "#8a5a9e", "#b07a1e", "#6b7f2a", "#a3506a",
        "#4a8fa3", "#7a6a58", "#5b5fa8", "#2f8f5b", "#96663a", "#6d7780",
        "#c05f3c", "#1f5f8b", "#8f8a1f", "#b04f9a",
    ),
)  # fmt: skip
NIGHT = Palette(
    ink="#e6eef0",
    soft="#9fb1b6",
    line="#2b3b40",
    ground="#10191c",
    accent="#5cc4b8",
    low=(26, 52, 54),
    high=(110, 214, 201),
    on_low="#ffffff",
    on_high="#000000",
    unseen="#1b262a",
    hatch="#4a5a60",
    categories=(
        "#5cc4b8", "#7fa8e6", "#c39ad6", "#e0b25c", "#b3c765", "#de8fa8",
        "#86c5d8", "#b8a894", "#a2a5e8", "#74cf9d", "#d6a273", "#a9b3bb",
        "#f0957a", "#6fb1dd", "#d3cd66", "#e08fcb",
    ),
)  # fmt: skip

_SIDEBAR = {
    "backgroundColor": "#12262b",
    "secondaryBackgroundColor": "#1c363c",
    "textColor": "#e3ecee",
    "primaryColor": "#6fd0c5",
    "borderColor": "#2c4a51",
    "linkColor": "#8fdcd3",
}


def settings() -> dict[str, Any]:
    """Return the theme as Streamlit settings; day or night follows the reader's system."""
    shared: dict[str, Any] = {
        "baseRadius": "0.4rem",
        "baseFontSize": 15,
        "paddingTop": "0.5rem",
        "paddingBottom": "2rem",
        "metricValueFontSize": "1.7rem",
        "headingFontSizes": ["1.75rem", "1.25rem", "1.05rem"],
        "headingFontWeights": [650, 600, 600],
        "showWidgetBorder": True,
        "showSidebarBorder": False,
    }
    made: dict[str, Any] = {f"theme.{key}": value for key, value in shared.items()}
    for mode, colours, second in (("light", DAY, "#f1f5f5"), ("dark", NIGHT, "#19262a")):
        made |= {
            f"theme.{mode}.primaryColor": colours.accent,
            f"theme.{mode}.backgroundColor": colours.ground,
            f"theme.{mode}.secondaryBackgroundColor": second,
            f"theme.{mode}.textColor": colours.ink,
            f"theme.{mode}.linkColor": colours.accent,
            f"theme.{mode}.borderColor": colours.line,
            f"theme.{mode}.grayColor": colours.soft,
            f"theme.{mode}.grayTextColor": colours.soft,
            f"theme.{mode}.grayBackgroundColor": second,
        }
        made |= {f"theme.{mode}.sidebar.{key}": value for key, value in _SIDEBAR.items()}
    return made
