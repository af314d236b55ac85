"""What the pages say after something was done; the address names which, so that nobody can put words on our pages."""

from __future__ import annotations

__all__ = ["SAID"]

SAID = {
    "promoted": "The version is the champion now.",
    "rejected": "The candidate was rejected.",
    "rolled-back": "The champion was rolled back.",
    "asked": "An update was asked for; a worker will learn what waits.",
    "cancelled": "The update was cancelled.",
    "accepted": "The label was accepted; the next update learns it.",
    "all-accepted": "The labels were accepted; the next update learns them.",
    "all-refused": "The labels were refused; they are kept out of every lot.",
    "refused": "The label was refused; it is kept out of every lot.",
}
