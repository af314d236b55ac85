"""Methods × seeds on a stream: configured, run in parallel, kept, and brought together as results."""

from lifelong.experiments.experiment import Experiment, from_toml, load, to_toml
from lifelong.experiments.folder import Folder
from lifelong.experiments.method_spec import MethodSpec
from lifelong.experiments.results import Results
from lifelong.experiments.run import collect, configure, run, run_experiment
from lifelong.experiments.single import Event

__all__ = [
    "Event",
    "Experiment",
    "Folder",
    "MethodSpec",
    "Results",
    "collect",
    "configure",
    "from_toml",
    "load",
    "run",
    "run_experiment",
    "to_toml",
]
