"""Write what the stream `skills` embeds: spoken digits as log-mel bands, and sentences with their intents.

    python scripts/embed_skills.py FOLDER-WITH-spoken-digits-AND-clinc150

Of each speaker and digit the recordings 5 … 14 are to train on and 0 … 2, of the official test, to be examined; of each
of twelve intents all 100 training and 30 test sentences. The archive holds bytes only: `train_bands` (600, 20, 32),
`train_digit`, `test_bands` (180, 20, 32), `test_digit`, `train_text` (lines), `train_intent`, `test_text`,
`test_intent` and `intents` (lines).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong.streams.skills import SKILLS_FILE, recordings

INTENTS = (
    "alarm", "weather", "translate", "calories", "uber", "pay_bill",
    "card_declined", "play_music", "tire_pressure", "meaning_of_life", "next_holiday", "flight_status",
)  # fmt: skip


def letters(lines: list[str]) -> NDArray[np.uint8]:
    """Lines of text as bytes."""
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def main(folder: str) -> None:
    """Read both data sets and write the archive."""
    root = Path(folder)
    with np.load(root / "spoken-digits" / "fsdd.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    bands, digits = recordings(arrays)
    chosen = {"train": (arrays["index"] >= 5) & (arrays["index"] < 15), "test": arrays["index"] < 3}
    embedded: dict[str, NDArray[np.uint8]] = {"intents": letters([name.replace("_", " ") for name in INTENTS])}
    sentences = json.loads((root / "clinc150" / "data_full.json").read_text())
    for part, rows in chosen.items():
        pairs = [(text, INTENTS.index(intent)) for text, intent in sentences[part] if intent in INTENTS]
        embedded |= {
            f"{part}_bands": bands[rows],
            f"{part}_digit": digits[rows],
            f"{part}_text": letters([text for text, _ in pairs]),
            f"{part}_intent": np.array([intent for _, intent in pairs], dtype=np.uint8),
        }
    np.savez_compressed(SKILLS_FILE, **embedded)  # pyrefly: ignore


if __name__ == "__main__":
    main(sys.argv[1])
