"""A synthetic language whose entropy is known in closed form: a Markov source. No torch.

No causal predictor can have a lower expected loss than the source itself, so its entropy is a floor under the
loss of every training on it: what comes to lie below has seen the future. Entropies are in nats a token,

    F_n = H(X_1 ... X_n+1) - H(X_1 ... X_n)

for n tokens of context, from the stationary distribution pi: the solution of ``pi P = pi`` by linear algebra,
not by sampling (Shannon 1948, section 7; 1951, where the F are named). For a source of order k all F_n with
n >= k are the entropy rate, ``-sum_s pi(s) sum_x P(x|s) ln P(x|s)`` (Cover and Thomas, Elements of
Information Theory, section 4.2).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError

#: Few enough for a model that a CPU trains in a second to learn all of their pairs. ln V, unigram, bigram and
#: the source itself are then 2.08, 1.99, 1.80 and 1.24 nats.
SYMBOLS = 8
ORDER = 2
#: Log-odds are normal with these standard deviations for the last token and for the one before it. The latter
#: is the larger, so that attention and positions are worth most of what there is to learn.
WEIGHTS = (1.0, 2.0)
#: Of the training text; a suite's run sees a third of them.
TOKENS = 1 << 16
#: Of the source, of the training text and of the fresh one.
_SOURCE_SEED, _TEXT_SEED, _FRESH_SEED = 1, 2, 3

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Source:
    """A stationary Markov source of order k over V symbols.

    Attributes:
        table: probability of the next symbol, shape (V,) * k + (V,), the oldest symbol first.

    Raises:
        RequestError: no such table, or more than one stationary distribution.
    """

    table: Array

    def __post_init__(self) -> None:
        shape = self.table.shape
        if not shape or len(set(shape)) != 1:
            raise RequestError(f"table: expected shape (V, ..., V), found {shape}")
        if self.table.min() < 0 or not np.allclose(self.table.sum(-1), 1.0, rtol=0, atol=1e-12):
            raise RequestError("table: expected rows of probabilities that sum to 1")

    @property
    def order(self) -> int:
        """Tokens of context that decide about the next one, k."""
        return self.table.ndim - 1

    @property
    def symbols(self) -> int:
        """V."""
        return int(self.table.shape[-1])

    @cached_property
    def stationary(self) -> Array:
        """Probability of k consecutive symbols, shape (V,) * k."""
        symbols, states = self.symbols, self.symbols**self.order
        moves, here = np.zeros((states, states)), np.arange(states)
        for symbol, probability in enumerate(self.table.reshape(states, symbols).T):
            moves[here, (here * symbols + symbol) % states] += probability
        equations = np.vstack([moves.T - np.eye(states), np.ones(states)])
        found, _, rank, _ = np.linalg.lstsq(equations, np.eye(states + 1)[-1])
        if rank < states:
            raise RequestError("table: expected one stationary distribution, found several")
        return np.asarray(found.clip(0.0) / found.clip(0.0).sum()).reshape((symbols,) * self.order)

    def joint(self, length: int) -> Array:
        """Probability of ``length`` consecutive symbols, at most k + 1."""
        if length > self.order:
            return self.stationary[..., None] * self.table
        return np.asarray(self.stationary.sum(axis=tuple(range(self.order - length))))

    def given(self, context: int) -> Array:
        """Probability of the next symbol where only ``context`` <= k are seen; 0 after what never occurs."""
        before = self.joint(context)[..., None]
        return np.divide(
            self.joint(context + 1), before, out=np.zeros((self.symbols,) * (context + 1)), where=before > 0
        )

    @cached_property
    def entropies(self) -> tuple[float, ...]:
        """F_0, the unigram's, to F_k, the entropy rate, in nats a token."""
        whole = [_entropy(self.joint(length)) for length in range(self.order + 2)]
        return tuple(after - before for before, after in pairwise(whole))

    def floors(self, length: int) -> Array:
        """Lowest expected loss at each position of a window of ``length`` inputs; the first sees one."""
        return np.array([self.entropies[min(seen, self.order)] for seen in range(1, length + 1)])

    def floor(self, length: int) -> float:
        """Lowest expected mean loss over a window of ``length`` inputs, in nats a token."""
        return float(self.floors(length).mean())

    def losses(self, windows: Tokens) -> Array:
        """What the source itself loses on windows (N, T + 1), told as much as a model is, in nats: (N, T)."""
        found = np.empty((len(windows), windows.shape[1] - 1))
        for position in range(found.shape[1]):
            seen = min(position + 1, self.order)
            part = windows[:, position + 1 - seen : position + 2]
            with np.errstate(divide="ignore"):
                found[:, position] = -np.log(self.given(seen)[tuple(part.T)])
        return found

    def windows(self, count: int, length: int, random: np.random.RandomState) -> Tokens:
        """Independent stretches of ``length`` >= k tokens, each begun anew, shape (count, length)."""
        states = random.choice(self.stationary.size, size=count, p=self.stationary.ravel())
        found = np.empty((count, length), dtype=np.int64)
        found[:, : self.order] = (
            np.stack(np.unravel_index(states, self.stationary.shape), 1) if self.order else 0
        )
        limits = self.table.cumsum(-1)[..., :-1]
        for position in range(self.order, length):
            past = limits[tuple(found[:, position - self.order : position].T)]
            found[:, position] = (random.random_sample((count, 1)) >= past).sum(-1)
        return found

    def text(self, length: int, random: np.random.RandomState) -> list[int]:
        """One stretch of ``length`` >= k tokens."""
        found = self.windows(1, self.order, random)[0].tolist() if self.order else []
        limits = self.table.cumsum(-1).reshape(-1, self.symbols)[:, :-1].tolist()
        states, state = len(limits), 0
        for symbol in found:
            state = state * self.symbols + symbol
        for draw in random.random_sample(length - self.order).tolist():
            symbol = bisect(limits[state], draw)
            found.append(symbol)
            state = (state * self.symbols + symbol) % states
        return found


def _entropy(probabilities: Array) -> float:
    some = probabilities[probabilities > 0]
    return float(-(some * np.log(some)).sum())


@lru_cache
def language() -> Source:
    """The language of the suites: log-odds of the next token add up over the last two.

    P(c | a, b) is proportional to exp(2 A[a, c] + B[b, c]) with A and B standard normal. A table of V^2
    independent rows would have to be learned by heart, pair by pair; this a transformer can express.
    """
    # numpy promises the same numbers in every release of its legacy generator, not of the new one.
    random = np.random.RandomState(_SOURCE_SEED)
    shape = (SYMBOLS, SYMBOLS)
    older, last = random.standard_normal(shape), random.standard_normal(shape)
    odds = np.exp(WEIGHTS[1] * older[:, None, :] + WEIGHTS[0] * last[None, :, :])
    return Source(odds / odds.sum(-1, keepdims=True))


def language_tokens(config: StepConfig) -> Sequence[int]:
    """The training text: ``TOKENS`` ids below ``SYMBOLS``, the same for every seed, as real text is.

    Raises:
        RequestError: the vocabulary has fewer ids.
    """
    if config.vocab_size < SYMBOLS:
        raise RequestError(
            f"vocab_size: expected at least {SYMBOLS} for the language, found {config.vocab_size}"
        )
    return language().text(TOKENS, np.random.RandomState(_TEXT_SEED))


def fresh_windows(count: int, length: int) -> Tokens:
    """Windows (count, length + 1) of another seed than the training text, each begun anew.

    They are independent of each other and of the training, so plain statistics hold for them.
    """
    return language().windows(count, length + 1, np.random.RandomState(_FRESH_SEED))
