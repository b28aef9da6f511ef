"""How a drawing looks: by a light or a dark page, or by whichever the reader has."""

from typing import Literal

Theme = Literal["auto", "light", "dark"]

FONT = "Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', sans-serif"

_PAGE: dict[str, tuple[str, str]] = {
    "svg": ("color:#1f2328", "color:#e6edf3"),
    ".page": ("fill:#ffffff", "fill:#0d1117"),
    "text": ("stroke:#ffffff", "stroke:#0d1117"),
    ".muted": ("fill:#59636e", "fill:#9aa4af"),
    ".life": ("stroke:#c8d0d8", "stroke:#3a424b"),
    ".frame": ("fill:#f4f6f8;stroke:#8c959f", "fill:#151b23;stroke:#6e7681"),
    ".framed": ("stroke:#f4f6f8", "stroke:#151b23"),
    ".bar": ("fill:#e7ebef;stroke:#8c959f", "fill:#262c34;stroke:#6e7681"),
    ".rail": ("stroke:#0969da", "stroke:#58a6ff"),
    ".mark": ("fill:#0969da", "fill:#58a6ff"),
}
"""Rules for a light page and for a dark one."""
_ROLES: dict[str, tuple[str, str]] = {
    "generator": ("fill:#ddf4ff;stroke:#54aeff", "fill:#0c2d6b;stroke:#388bfd"),
    "reviewer": ("fill:#fff4c2;stroke:#d4a72c", "fill:#4b3200;stroke:#bb8009"),
    "debater": ("fill:#f6ebff;stroke:#c297ff", "fill:#3c1e70;stroke:#a371f7"),
    "judge": ("fill:#dafbe1;stroke:#4ac26b", "fill:#04401a;stroke:#2ea043"),
    "moderator": ("fill:#d8f5f1;stroke:#3fb8a9", "fill:#0b3b37;stroke:#2fa198"),
    "peer": ("fill:#ffe9f4;stroke:#ff80c8", "fill:#5e103e;stroke:#db61a2"),
    "other": ("fill:#eaeef2;stroke:#8c959f", "fill:#30363d;stroke:#8b949e"),
}
_SAME = {"juror": "judge", "solver": "generator"}

_FIXED = (
    f"text{{font-family:{FONT};fill:currentColor;paint-order:stroke;stroke-width:4px;stroke-linejoin:round}}"
    ".flat{stroke:none}.bold{font-weight:bold}.italic{font-style:italic}.middle{text-anchor:middle}"
    ".life,.rail{fill:none}.rail{stroke-width:1.5}.later{stroke-dasharray:4 3}.frame,.maybe{stroke-dasharray:5 3}"
)


def role_class(role: str) -> str:
    """Return the class that colours a role."""
    name = _SAME.get(role, role)
    return f"role-{name if name in _ROLES else 'other'}"


def css(theme: Theme) -> str:
    """Return the style sheet of a theme."""
    rules = {**_PAGE, **{f".role-{name}": looks for name, looks in _ROLES.items()}}
    light, dark = ("".join(f"{where}{{{looks[page]}}}" for where, looks in rules.items()) for page in (0, 1))
    if theme == "auto":
        return f"{light}@media(prefers-color-scheme:dark){{{dark}}}{_FIXED}"
    return (light if theme == "light" else dark) + _FIXED
