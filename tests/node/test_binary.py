"""What the binary is linked to, and in which order its symbols are looked up."""

from __future__ import annotations

import pathlib
import re
import subprocess

from longbow_server import binary


def needed(path: pathlib.Path) -> list[str]:
    """The shared libraries of a binary in the order of symbol lookup."""
    listing = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", listing)


def test_our_json_parser_comes_before_the_one_inside_the_arrow_wheel() -> None:
    libraries = needed(binary())
    ours = [i for i, name in enumerate(libraries) if name.startswith("libsimdjson.so")]
    wheel = [i for i, name in enumerate(libraries) if name.startswith(("libparquet.so", "libarrow.so"))]
    assert ours and wheel, libraries
    assert ours[0] < min(wheel), f"symbols of two simdjson versions would mix: {libraries}"
