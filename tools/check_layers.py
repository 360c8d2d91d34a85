#!/usr/bin/env python3
"""Checks every #include below src/ against src/LAYERS; prints file:line for each that its folder may not have.

A folder may include itself, the folders its line names (each listed above it, so there are no cycles), the outside
libraries its line names, and the C++ standard library and the operating system. Tests may include GoogleTest,
benchmarks Google Benchmark.
"""

from __future__ import annotations

import pathlib
import re
import sys
from dataclasses import dataclass

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Headers of the operating system and the compiler: a folder of theirs, or a name.
SYSTEM_FOLDERS = {"arpa", "asm", "linux", "net", "netinet", "sys"}
SYSTEM_HEADERS = {
    "arm_acle",
    "arm_neon",
    "cpuid",
    "cxxabi",
    "dirent",
    "dlfcn",
    "errno",
    "execinfo",
    "fcntl",
    "getopt",
    "immintrin",
    "limits",
    "malloc",
    "math",
    "netdb",
    "nmmintrin",
    "poll",
    "pthread",
    "sched",
    "semaphore",
    "signal",
    "spawn",
    "stdarg",
    "stddef",
    "stdint",
    "stdio",
    "stdlib",
    "string",
    "strings",
    "time",
    "unistd",
    "x86intrin",
}


@dataclass(frozen=True)
class Layer:
    folders: frozenset[str]
    libraries: frozenset[str]


def read_layers(path: pathlib.Path) -> tuple[dict[str, Layer], list[str]]:
    """The lines of LAYERS by folder, and what is wrong with them."""
    layers: dict[str, Layer] = {}
    errors = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+):([^|]*)\|([^|]*)", line)
        if not match:
            errors.append(f"{path}:{number}: not of the form 'folder: folders | libraries'")
            continue
        name, folders, libraries = match[1], match[2].split(), match[3].split()
        for folder in folders:
            if folder not in layers:
                errors.append(f"{path}:{number}: {name} names {folder}, which is not listed above it")
        layers[name] = Layer(frozenset(folders), frozenset(libraries))
    return layers, errors


def library_of(header: str) -> str:
    """The name LAYERS has for an outside header: its first folder, or the file's name; "" for std and the system."""
    folder, slash, _ = header.partition("/")
    if header.endswith(".pb.h"):
        return "google" if header.startswith("google/") else "proto"
    if slash:
        return "" if folder in SYSTEM_FOLDERS else folder
    stem, dot, _ = header.partition(".")
    return "" if not dot or stem in SYSTEM_HEADERS else stem


def test_libraries(source: pathlib.Path) -> set[str]:
    """What a file may include more because it is not part of the product: x_test, x_bench, test_x, testing/x."""
    if source.stem.endswith("_bench"):
        return {"benchmark"}
    if source.stem.endswith("_test") or source.stem.startswith("test_") or source.parent.name == "testing":
        return {"gtest", "gmock"}
    return set()


def check_include(source: pathlib.Path, own: str, header: str, quoted: bool, root: pathlib.Path, layer: Layer) -> str:
    """What is wrong with one #include; "" if nothing."""
    folder = header.partition("/")[0]
    if quoted and not header.endswith(".pb.h") and folder not in layer.libraries:
        if (root / header).is_file():
            if folder == own or folder in layer.folders:
                return ""
            return f"{own} may not include {folder} (src/LAYERS)"
        if library_of(header) not in layer.libraries:
            return f"no file {header} below src/ (own headers are named from there)"
    library = library_of(header)
    if library and library not in layer.libraries | test_libraries(source):
        return f"{own} may not include {library} (src/LAYERS)"
    return ""


def check(root: pathlib.Path) -> tuple[int, list[str]]:
    """Number of includes seen and what is wrong, for the tree whose src/ is `root`."""
    layers, errors = read_layers(root / "LAYERS")
    seen = 0
    for source in sorted(path for path in root.rglob("*") if path.suffix in (".h", ".cc", ".inc")):
        own = source.relative_to(root).parts[0]
        if own not in layers:
            errors.append(f"{source}: folder {own} has no line in LAYERS")
            continue
        for number, line in enumerate(source.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            seen += 1
            wrong = check_include(source, own, match[2], match[1] == '"', root, layers[own])
            if wrong:
                errors.append(f"{source}:{number}: {wrong}")
    return seen, errors


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "src")
    seen, errors = check(root)
    print("\n".join(errors) if errors else f"layers: {seen} includes keep to src/LAYERS")
    return 1 if errors or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
