"""Links with a secret, and their QR codes."""

from __future__ import annotations

import io

import segno


def link(door: str, page: str, secret: str) -> str:
    """Return a link of the door with the secret in its fragment, which browsers send to no server."""
    return f"{door}/{page}#{secret}"


def svg(text: str) -> str:
    """Return the QR code of a text as an SVG image, black on white for scanners."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", scale=4, light="#fff", xmldecl=False)
    return out.getvalue().decode()
