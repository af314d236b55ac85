"""The closed vocabulary of all twenty tasks: the simulator prints no other word, and neither do the official files.

Checked against the files of version 1.2: the words are the same 145. Among the answers, two of the 16 possible lists of
task 8, `football,milk,apple` and `milk,apple,football`, are in none of the 2,000 questions of the files with 1,000
questions each; both are in those with 10,000.
"""

from __future__ import annotations

from itertools import permutations

__all__ = [
    "ACTORS",
    "ANSWERS",
    "COLOURS",
    "CROWD",
    "GIVERS",
    "GIVING",
    "HOUSE",
    "MOVING",
    "NAMES",
    "NEEDS",
    "NUMBERS",
    "PUTTING",
    "SPECIES",
    "TAKING",
    "THINGS",
    "TOWN",
    "WORDS",
]

ACTORS = ("Mary", "John", "Daniel", "Sandra")
GIVERS = ("Mary", "Bill", "Fred", "Jeff")
CROWD = ("Mary", "Bill", "Fred", "Julie")
HOUSE = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
TOWN = ("bedroom", "cinema", "kitchen", "office", "park", "school")
THINGS = ("apple", "football", "milk")
MOVING = ("went to", "went back to", "moved to", "journeyed to", "travelled to")
TAKING = ("got", "grabbed", "picked up", "took")
PUTTING = ("discarded", "dropped", "left", "put down")
GIVING = ("gave", "handed", "passed")
NUMBERS = ("none", "one", "two", "three")
SPECIES = {"cat": "cats", "mouse": "mice", "sheep": "sheep", "wolf": "wolves"}
COLOURS = ("gray", "green", "white", "yellow")
NEEDS = {
    "bored": ("garden", "football"),
    "hungry": ("kitchen", "apple"),
    "thirsty": ("kitchen", "milk"),
    "tired": ("bedroom", "pajamas"),
}
"""need → where it sends somebody, and what they get there."""

_WORDS = """
a above afraid after afternoon afterwards and antoine apple are back bathroom bedroom before below bernhard bigger
bill blue bored box brian carrying cat cats chest chocolate chocolates cinema color container daniel did discarded
do does down dropped east either emily evening fit fits following football fred frog from garden gave gertrude get
give go got grabbed gray green greg hallway handed he how hungry in inside is jason jeff jessica john journeyed
julie julius kitchen left lily lion longer many mary mice milk morning mouse moved no north not objects of office or
pajamas park passed picked pink put received rectangle red rhino right sandra school she sheep south sphere square
suitcase sumit swan than that the then there they thirsty this tired to took travelled triangle up was went west
what where white who why will winona wolf wolves yann yellow yesterday you
"""

WORDS = tuple(_WORDS.split())
"""Every word of the sentences and the questions, in small letters."""

_NAMES = """
antoine bernhard bill brian daniel emily fred gertrude greg jason jeff jessica john julie julius lily mary sandra sumit
winona yann
"""

NAMES = frozenset(_NAMES.split())
"""The words that are names of people and animals, which the texts write with a capital."""

ANSWERS = tuple(
    sorted(
        {*HOUSE, *TOWN, *GIVERS, *THINGS, *NUMBERS, *SPECIES, *COLOURS, *NEEDS, "yes", "no", "maybe", "nothing"}
        | {",".join(things) for size in (2, 3) for things in permutations(THINGS, size)}
        | {
            f"{first},{second}"
            for first in "nesw"
            for second in "nesw"
            if {first, second} not in ({"n", "s"}, {"e", "w"})
        }
    )
)
"""Every possible answer, as it is printed."""
