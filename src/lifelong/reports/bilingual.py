"""Words in English and Chinese, and figures lettered in either."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib import font_manager, rc_context

from lifelong.evaluation import score_title
from lifelong.reports.vector import LETTERING

__all__ = ["MISSING", "Language", "Text", "lettering", "readable", "score_name"]

Language = Literal["en", "zh"]

#: families that hold the simplified Chinese letters, in the order of choice
FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "SimHei",
    "Noto Sans Mono CJK SC",
)
#: what the names of their files contain
FILES = ("cjk", "notosanssc", "sourcehansans", "pingfang", "msyh", "wqy", "droidsansfallback", "simhei")
#: the scores of the objectives in Chinese; others are written as they are in English
SCORES = {
    "accuracy": "准确率",
    "macro_f1": "宏平均 F1",
    "micro_f1": "微平均 F1",
    "top5": "前 5 准确率",
    "calibration_error": "校准误差",
    "r2_clipped": "R²（下限 0）",
    "mean_average_precision": "平均精度均值",
    "exact_match": "完全匹配率",
    "token_accuracy": "词元准确率",
    "sequence_accuracy": "序列准确率",
    "perplexity": "困惑度",
}
#: how to get one
MISSING = (
    "pictures in Chinese are lettered in English, as no font has Chinese letters; "
    "install one: pip install 'lifelong[cjk]', or apt-get install fonts-noto-cjk"
)


class Text(NamedTuple):
    """The same words in both languages.

    >>> Text("forgetting", "遗忘").of("zh")
    '遗忘'
    """

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """The words in `language`."""
        return self.zh if language == "zh" else self.en


def score_name(score: str, language: Language = "en") -> str:
    """How a score is called; several, of tasks that differ, are joined by `/`.

    >>> score_name("accuracy/rmse", "zh"), score_name("macro_f1")
    ('准确率 / RMSE', 'macro-F1')
    """
    if language == "en":
        return score_title(score)
    return " / ".join(SCORES.get(part, score_title(part)) for part in score.split("/"))


def readable(language: Language) -> Language:
    """The language that figures can be lettered in: `language`, or English where no font has its letters.

    >>> readable("en")
    'en'
    """
    return "zh" if language == "zh" and _chinese_family() else "en"


@contextmanager
def lettering(language: Language) -> Iterator[Language]:
    """Inside the block figures are drawn with a font for `language`; gives the language that their labels must have.

    Where no font has the letters the labels are English, so that no figure shows empty boxes.

    >>> with lettering("en") as language:
    ...     language
    'en'
    """
    family = _chinese_family() if language == "zh" else None
    # the font has one weight: bold words are drawn in it, and there is nothing to be told about that
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with rc_context({**LETTERING, "font.family": ["DejaVu Sans", *([family] if family else [])]}):
        yield "zh" if family else "en"


@lru_cache(maxsize=1)
def _chinese_family() -> str | None:
    """A font of this machine, or of the package mplfonts (extra `cjk`), that has Chinese letters.

    The list that matplotlib keeps of fonts may be older than a font, so files are looked for where it has none.
    """
    spec = find_spec("mplfonts")  # only its files are used: importing it would change matplotlib's settings
    for folder in spec.submodule_search_locations or () if spec else ():
        for file in sorted((Path(folder) / "fonts").glob("*CJK*[rR]egular*")):
            font_manager.fontManager.addfont(file)
    family = _known_family()
    if family is None:
        known = {font.fname for font in font_manager.fontManager.ttflist}
        for name in sorted({*font_manager.findSystemFonts()} - known):
            if any(part in re.sub(r"[^a-z]", "", Path(name).stem.lower()) for part in FILES):
                with suppress(OSError, RuntimeError):  # a damaged file is no font
                    font_manager.fontManager.addfont(name)
        family = _known_family()
    return family


def _known_family() -> str | None:
    known = {font.name for font in font_manager.fontManager.ttflist}
    return next((family for family in FAMILIES if family in known), None)
