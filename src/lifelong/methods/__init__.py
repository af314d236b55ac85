"""How forgetting is fought: one file per method, the hooks in `base`, shared mathematics once."""

from lifelong.methods.agem import AGEM
from lifelong.methods.base import Claim, LearnerView, Method, Mix, NoState, Phase, Step, StreamSize
from lifelong.methods.catalogue import METHODS, as_method, build, method_class, parts_of, settings_of
from lifelong.methods.chain import Chain
from lifelong.methods.compatibility import check_space, stream_size
from lifelong.methods.der import DER
from lifelong.methods.derpp import DERPP
from lifelong.methods.dgr import DGR
from lifelong.methods.er import ER
from lifelong.methods.er_ace import ERACE
from lifelong.methods.ewc import EWC
from lifelong.methods.finetune import Finetune
from lifelong.methods.gdumb import GDumb
from lifelong.methods.gem import GEM
from lifelong.methods.gpm import GPM
from lifelong.methods.gss import GSS
from lifelong.methods.hat import HAT
from lifelong.methods.icarl import ICaRL
from lifelong.methods.independent import Independent
from lifelong.methods.joint import Joint
from lifelong.methods.l2 import L2
from lifelong.methods.lwf import LwF
from lifelong.methods.mas import MAS
from lifelong.methods.mir import MIR
from lifelong.methods.ncm import NCM
from lifelong.methods.ogd import OGD
from lifelong.methods.online_ewc import OnlineEWC
from lifelong.methods.packnet import PackNet
from lifelong.methods.progressive import Progressive
from lifelong.methods.projection import project
from lifelong.methods.quadratic_penalty import Spring
from lifelong.methods.ranpac import RanPAC
from lifelong.methods.rwalk import RWalk
from lifelong.methods.scp import SCP
from lifelong.methods.si import SI
from lifelong.methods.slda import SLDA
from lifelong.methods.xdg import XdG

__all__ = [
    "AGEM",
    "DER",
    "DERPP",
    "DGR",
    "ER",
    "ERACE",
    "EWC",
    "GEM",
    "GPM",
    "GSS",
    "HAT",
    "L2",
    "MAS",
    "METHODS",
    "MIR",
    "NCM",
    "OGD",
    "SCP",
    "SI",
    "SLDA",
    "Chain",
    "Claim",
    "Finetune",
    "GDumb",
    "ICaRL",
    "Independent",
    "Joint",
    "LearnerView",
    "LwF",
    "Method",
    "Mix",
    "NoState",
    "OnlineEWC",
    "PackNet",
    "Phase",
    "Progressive",
    "RWalk",
    "RanPAC",
    "Spring",
    "Step",
    "StreamSize",
    "XdG",
    "as_method",
    "build",
    "check_space",
    "method_class",
    "parts_of",
    "project",
    "settings_of",
    "stream_size",
]
