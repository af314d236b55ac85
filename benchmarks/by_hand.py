"""The least work of one step of every method, written by hand: no hooks, no states, no library.

pass(n)     forward and backward on n examples, which are gathered from the data
ahead(n)    forward alone
P-vector    one operation on vectors of P numbers: a copy, a difference, a product, or a fused multiply-add

Each `Hand` method returns a step that can be timed. Nothing is counted that the formula can do without: no bookkeeping
of memories, no drawing of random numbers, no reading back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong import Learner

__all__ = ["LEAST", "SETTINGS", "Hand", "Least"]

Run = Callable[[], object]

MEMORY = 256
REPLAY = 32
CANDIDATES = 96
SUBSET = 10
WIDTHS = (784, 256, 256, 10)
#: settings that differ from the defaults
SETTINGS: dict[str, dict[str, object]] = {
    "gem": {"capacity": MEMORY},
    "agem": {"replay_batch": MEMORY},
    "er-ace": {"replay_batch": REPLAY},
    "ogd": {"capacity": 50},
}


def layers(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with ReLU between them."""
    found: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        found += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*found[:-1])


def together(*runs: Run) -> Run:
    """One after the other."""

    def run() -> None:
        for part in runs:
            part()

    return run


class Hand:
    """Data, a network and vectors of P numbers; `learner` says how many directions the projections hold."""

    def __init__(self, batch: int, learner: Learner) -> None:
        self.batch, self.learner = batch, learner
        self.x, self.y = torch.rand(4096, 784), torch.randint(10, (4096,))
        self.places, self.next = torch.randperm(4096), 0
        self.model = layers(*WIDTHS)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-6)
        self.vectors = torch.rand(8, sum(p.numel() for p in self.model.parameters()))
        self.mask_P = (self.vectors[0] > 0.5).float()

    def take(self, size: int) -> tuple[Tensor, Tensor]:
        """The next `size` examples."""
        self.next = (self.next + size) % (4096 - 512)
        index = self.places[self.next : self.next + size]
        return self.x[index], self.y[index]

    # --- passes ---

    def passes(self, *sizes: int) -> Run:
        """One gradient, the sum over a pass for each of `sizes`."""

        def run() -> None:
            self.model.zero_grad()
            losses = [F.cross_entropy(self.model(x), y) for x, y in map(self.take, sizes)]
            torch.autograd.backward(losses)

        return run

    def ahead(self, size: int, network: nn.Module | None = None) -> Run:
        """Forward alone, of another network where one is given."""

        @torch.no_grad()
        def run() -> Tensor:
            answer: Tensor = (network or self.model)(self.take(size)[0])
            return answer

        return run

    def taught(self) -> Run:
        """What finetune does, and the answers of a teacher, whose weights are others."""
        return together(self.plain(), self.ahead(self.batch, layers(*WIDTHS)))

    def distance(self) -> Run:
        """KL of the softmax of logits from that of a teacher's, and its gradient."""
        then, now = torch.rand(self.batch, 10), torch.rand(self.batch, 10, requires_grad=True)

        def run() -> None:
            loss = F.kl_div(torch.log_softmax(now, 1), torch.softmax(then, 1), reduction="sum") / self.batch
            torch.autograd.grad(loss, now)

        return run

    def binary(self) -> Run:
        """One pass whose loss is the binary cross-entropy to the sigmoid of a teacher's answers."""
        teacher = layers(*WIDTHS)

        def run() -> None:
            x, _ = self.take(self.batch)
            with torch.no_grad():
                then_BC = teacher(x).sigmoid()
            self.model.zero_grad()
            loss = F.binary_cross_entropy_with_logits(self.model(x), then_BC, reduction="sum") / self.batch
            torch.autograd.backward(loss)
            self.optimizer.step()

        return run

    def move(self) -> Run:
        """The optimiser's step."""
        return self.optimizer.step

    def plain(self) -> Run:
        """What finetune does."""
        return together(self.passes(self.batch), self.move())

    def half(self, size: int) -> Run:
        """Forward, and backward to the layers' outputs only."""
        steps = list(self.model)

        def run() -> None:
            x, y = self.take(size)
            outputs = []
            for layer in steps:
                x = layer(x)
                if isinstance(layer, nn.Linear):
                    outputs.append(x)
            torch.autograd.grad(F.cross_entropy(x, y, reduction="sum"), outputs)

        return run

    def products(self, size: int) -> Run:
        """The cosines of the gradients of single examples, from the layers' inputs a and output gradients δ."""
        pairs = [(torch.rand(size, wide), torch.rand(size, narrow)) for wide, narrow in pairwise(WIDTHS)]

        def run() -> None:
            gram = torch.stack([(delta @ delta.T) * (a @ a.T + 1) for a, delta in pairs]).sum(0)
            length = gram.diagonal().sqrt()
            (gram / torch.outer(length, length)).amax(1)

        return run

    def columns(self) -> Run:
        """The third column of a progressive network, which reads two frozen ones."""
        past = [layers(*WIDTHS) for _ in range(2)]
        past[1].append(nn.Linear(256, 256, bias=False)).requires_grad_(False)  # its lateral
        own, laterals = layers(*WIDTHS), [nn.Linear(512, 256, bias=False) for _ in range(2)]
        parameters = [*own.parameters(), *(lateral.weight for lateral in laterals)]
        optimizer = torch.optim.SGD(parameters, lr=1e-6)

        def hidden(column: nn.Sequential, x: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
            first = column[0](x).relu()
            second = column[2](first)
            return first, (second if before is None else second + column[5](before)).relu()

        def run() -> None:
            x, y = self.take(self.batch)
            with torch.no_grad():
                one = hidden(past[0], x)
                two = hidden(past[1], x, one[0])
                low, high = torch.cat([one[0], two[0]], 1), torch.cat([one[1], two[1]], 1)
            optimizer.zero_grad()
            first = own[0](x).relu()
            second = (own[2](first) + laterals[0](low)).relu()
            torch.autograd.backward(F.cross_entropy(own[4](second + laterals[1](high)), y))
            optimizer.step()

        return run

    def autoencoder(self, size: int) -> Run:
        """A step of Adam of the generator, and what it draws: `REPLAY` inputs twice."""
        encoder, decoder = layers(784, 256, 256, 20), layers(10, 256, 256, 784)
        adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-6, fused=True)

        def run() -> None:
            with torch.no_grad():
                decoder(torch.randn(REPLAY, 10))
                decoder(torch.randn(REPLAY, 10))
            x = self.take(size)[0]
            adam.zero_grad()
            mean, spread = encoder(x).chunk(2, dim=1)
            answer = decoder(mean + spread.exp() * torch.randn_like(mean))
            loss = (mean.square() + spread.exp() - spread).sum(1).mean() + F.mse_loss(answer, x).log()
            torch.autograd.backward(loss)
            adam.step()

        return run

    # --- work on vectors ---

    def copies(self, count: int = 1) -> Run:
        """Copies of P numbers."""
        v = self.vectors
        return together(*(lambda k=k: v[k].copy_(v[7 - k]) for k in range(count)))

    def differences(self, count: int = 1) -> Run:
        """Differences of P numbers."""
        v = self.vectors
        return together(*(lambda k=k: torch.sub(v[k], v[k + 1], out=v[7 - k]) for k in range(count)))

    def fused(self, count: int = 1) -> Run:
        """Fused multiply-adds of P numbers; the factor is small, so that none overflows."""
        v = self.vectors
        return together(*(lambda k=k: v[k].addcmul_(v[k + 1], v[7 - k], value=1e-9) for k in range(count)))

    def hold(self) -> Run:
        """A product with a mask, and a choice between two vectors by it."""
        v, mask_P = self.vectors, self.mask_P
        return together(lambda: v[0].mul_(mask_P), lambda: v[1].lerp_(v[2], mask_P))

    def gates(self, learned: bool) -> Run:
        """A product of both hidden layers with gates, backward too; and the gates themselves where they are learned."""
        h = [torch.rand(self.batch, 256, requires_grad=True) for _ in range(2)]
        e = [torch.rand(256, requires_grad=learned) for _ in range(2)]
        both = [*h, *e] if learned else h

        def run() -> None:
            factors = [torch.sigmoid(0.5 * part) for part in e] if learned else e
            values = [torch.sum(part * gate) for part, gate in zip(h, factors, strict=True)]
            if learned:
                values.append(torch.cat(factors).sum())
            torch.autograd.grad(torch.stack(values).sum(), both)

        return run

    def directions(self) -> Run:
        """V w and θ − Vᵀ c, V the directions (K, P) that the learner holds."""
        v, basis_KP = self.vectors, self.learner.state.basis_KP
        w_P, theta_P = torch.zeros(basis_KP.shape[1]), torch.zeros(basis_KP.shape[1])
        return together(lambda: torch.sub(v[0], v[1], out=v[2]), lambda: theta_P.addmv_(basis_KP.T, basis_KP @ w_P))

    def subspaces(self) -> Run:
        """W M and W − (W M) Mᵀ for each layer, M the directions (K, D) that the learner holds, a bias among the D."""
        v = self.vectors
        runs: list[Run] = [lambda: torch.sub(v[0], v[1], out=v[2])]
        for basis_KD, out in zip(self.learner.state.bases.values(), WIDTHS[1:], strict=True):
            w_HD = torch.zeros(out, basis_KD.shape[1])
            runs.append(lambda w=w_HD, m=basis_KD: w.addmm_(w @ m.T, m, alpha=-1))
        return together(*runs)

    def cone(self, past: int) -> Run:
        """g · g_k, the products of the g_k, and g + Σ v_k g_k, where there are several."""
        g_P, past_TP = self.vectors[0], self.vectors[1 : 1 + past]

        def run() -> None:
            weights_T = past_TP @ g_P
            if past > 1:
                past_TP @ past_TP.T
            g_P.addmv_(past_TP.T, weights_T, alpha=1e-12)

        return run


@dataclass(frozen=True)
class Least:
    """What a step consists of, in words; its passes; and what else there is to do."""

    words: str
    passes: Callable[[Hand], Run]
    work: Callable[[Hand], Run] | None = None

    def whole(self, hand: Hand) -> Run:
        """Passes and work."""
        return self.passes(hand) if self.work is None else together(self.passes(hand), self.work(hand))


SPRING = Least("pass(B); 2 P-vectors: θ − c, g + s (θ − c)", Hand.plain, lambda h: together(h.differences(), h.fused()))
BESIDE = Least("pass(B) + pass(32), apart as in the paper", lambda h: together(h.passes(h.batch, REPLAY), h.move()))
HOLD = "2 P-vectors: g masked, what is frozen put back"

LEAST: dict[str, Least] = {
    "finetune": Least("pass(B)", Hand.plain),
    **dict.fromkeys(("ewc", "l2", "mas", "online-ewc", "scp"), SPRING),
    "si": Least(
        "pass(B); 6 P-vectors: spring 2, copies of g and θ, θ' − θ, ω − g (θ' − θ)",
        Hand.plain,
        lambda h: together(h.copies(2), h.differences(2), h.fused(2)),
    ),
    "rwalk": Least(
        "pass(B); 9 P-vectors: as si, F twice, Δθ; not the score of every tenth step",
        Hand.plain,
        lambda h: together(h.copies(2), h.differences(3), h.fused(4)),
    ),
    "gem": Least(
        "pass(B) + 2 pass(256); 7 P-vectors: 2 products with g, 3 among the g_k, 2 for z",
        lambda h: together(h.passes(h.batch), h.passes(MEMORY), h.passes(MEMORY), h.move()),
        lambda h: h.cone(2),
    ),
    "agem": Least(
        "pass(B) + pass(256); 3 P-vectors: g · r, r · r, g − c r",
        lambda h: together(h.passes(h.batch), h.passes(MEMORY), h.move()),
        lambda h: h.cone(1),
    ),
    "ogd": Least(
        "pass(B); V w and Vᵀ c, V of 100 directions (2 · 100 P-vectors), 1 difference", Hand.plain, Hand.directions
    ),
    "gpm": Least("pass(B); W M and (W M) Mᵀ for each layer, 1 difference", Hand.plain, Hand.subspaces),
    "er": Least("pass(B + 32)", lambda h: together(h.passes(h.batch + REPLAY), h.move())),
    "er-ace": BESIDE,
    "der": BESIDE,
    "der++": Least(
        "pass(B) + 2 pass(32), apart as in the paper",
        lambda h: together(h.passes(h.batch, REPLAY, REPLAY), h.move()),
    ),
    "mir": Least(
        "pass(B) + 2 ahead(96) + pass(B + 32); 1 P-vector: θ − lr g",
        lambda h: together(
            h.passes(h.batch), h.ahead(CANDIDATES), h.ahead(CANDIDATES), h.passes(h.batch + REPLAY), h.move()
        ),
        Hand.fused,
    ),
    "gss": Least(
        "pass(B + 32) + pass(B + 10) without weight gradients; products of layer inputs and of output gradients",
        lambda h: together(h.passes(h.batch + REPLAY), h.half(h.batch + SUBSET), h.move()),
        lambda h: h.products(h.batch + SUBSET),
    ),
    "lwf": Least("pass(B) + ahead(B) of the teacher; both softmax, KL and its gradient", Hand.taught, Hand.distance),
    "icarl": Least("pass(B) with sigmoid and BCE + ahead(B) of the teacher", Hand.binary),
    "dgr": Least(
        "pass(B) + pass(32) + ahead(32); generator: pass(B + 32), Adam, 2 decoder ahead(32)",
        lambda h: together(h.passes(h.batch, REPLAY), h.ahead(REPLAY), h.move(), h.autoencoder(h.batch + REPLAY)),
    ),
    "hat": Least(
        f"pass(B); gates of 2 layers; {HOLD}", Hand.plain, lambda h: together(h.gates(learned=True), h.hold())
    ),
    "xdg": Least(
        f"pass(B); gates of 2 layers; {HOLD}", Hand.plain, lambda h: together(h.gates(learned=False), h.hold())
    ),
    "packnet": Least(f"pass(B); {HOLD}", Hand.plain, Hand.hold),
    "progressive": Least("pass(B) of column 3 with its laterals + ahead(B) of the hidden layers of 2", Hand.columns),
}
