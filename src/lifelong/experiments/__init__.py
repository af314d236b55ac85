"""Methods × seeds on a stream: configured, run in parallel, kept, and brought together as results."""

from lifelong.experiments.experiment import Experiment, defaults_for, from_toml, load, to_toml
from lifelong.experiments.folder import Folder
from lifelong.experiments.method_spec import MethodSpec
from lifelong.experiments.pool import Answer, cores, run_parallel
from lifelong.experiments.results import Results
from lifelong.experiments.run import collect, configure, run, run_experiment
from lifelong.experiments.single import Event, run_single

__all__ = [
    "Answer",
    "Event",
    "Experiment",
    "Folder",
    "MethodSpec",
    "Results",
    "collect",
    "configure",
    "cores",
    "defaults_for",
    "from_toml",
    "load",
    "run",
    "run_experiment",
    "run_parallel",
    "run_single",
    "to_toml",
]
