"""The progress of `clipsearch train`, from its progress file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

from clipsearch.config import typed_path
from ui import strings_learn as strings

_PROGRESS = Path("training") / "progress.json"
"""Below the output folder of `clipsearch train`, which replaces it atomically."""

_MOST_BYTES = 2**20
_EVERY_S = 2.0


def training() -> None:
    """Ask for the folder, and show the progress."""
    st.write(strings.TRAINING_TEXT)
    folder = st.text_input(strings.TRAINING_FOLDER, key="learn_training_folder", autocomplete="off").strip()
    if folder:
        _progress(typed_path(folder))


@st.fragment(run_every=_EVERY_S)
def _progress(folder: Path) -> None:
    progress = read_progress(folder)
    if progress is None:
        st.info(strings.NO_TRAINING)
        return
    epoch, epochs = int(progress["epoch"]), int(progress["epochs"])
    done = int(progress["step"]) / max(1, int(progress["steps"]))
    share = (max(0, epoch - 1) + done) / max(1, epochs)
    st.progress(min(1.0, share), text=strings.TRAINING_EPOCH.format(epoch=epoch, epochs=epochs))
    losses = [(record["epoch"], record["loss"]) for record in progress["history"] if record["loss"] is not None]
    hits = [(record["epoch"], record["validation"]["at_10"]) for record in progress["history"] if record["validation"]]
    for title, points in ((strings.LOSS, losses), (strings.HIT_RATE, hits)):
        if points:
            st.subheader(title)
            rows = {strings.EPOCH: [x for x, _ in points], title: [y for _, y in points]}
            st.line_chart(rows, x=strings.EPOCH, y=title)


def read_progress(folder: Path) -> dict[str, Any] | None:
    """The content of the progress file; ``None`` if there is no valid one."""
    try:
        with (folder / _PROGRESS).open(encoding="utf-8") as file:
            progress = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError):
        return None
    fields = {"epoch", "epochs", "step", "steps", "history"}
    return progress if isinstance(progress, dict) and fields <= progress.keys() else None
