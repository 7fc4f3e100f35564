r"""A block, followed symbolically: what every channel of every segment holds after it, given what it held before.

    linear       sum_e q_e(i) M_ed with M_ed = sum_j k_e(j) v_d(j), formed once for all readers
    normalised   the same, divided by sum_e q_e(i) sum_j k_e(j)
    softmax      weights softmax_j(sum_e q_e(i) k_e(j)), one value as long as the scores are
    gated unit   a product of two sums

Everything is an expression (`expressions.py`) over values (`values.py`); sums over tokens are values of their own:

    total        sum_j x(j)        moment   sum_j x(j) y(j)        count   how many tokens
"""

from collections.abc import Iterable
from dataclasses import dataclass

from metarep_lib.fast.expressions import (
    ONE,
    Entries,
    Expression,
    added,
    multiplied,
    read,
)
from metarep_lib.fast.reading import Reading
from metarep_lib.fast.sparse_weights import SparseBlock, SparseHead, written_channels
from metarep_lib.fast.values import Values, frozen
from metarep_lib.network.transformer import AttentionConfig

Held = dict[
    str, dict[int, Expression]
]  # segment -> channel -> what it holds; what is missing is zero
CONSTANT_ONE: Expression = {(ONE, ONE): 1.0}


@dataclass
class Follower:
    """Follows the stream of a network through its blocks."""

    reading: Reading
    values: Values

    def block(self, index: int, block: SparseBlock, held: Held) -> Held:
        """After a block, which is run as it stands where it cannot be folded."""
        if not self.reading.is_known or not block.is_plain or not self._knows_readers(block):
            return self._as_it_stands(index, block, held)
        return self._units(block, self._attention(block, held))

    def _knows_readers(self, block: SparseBlock) -> bool:
        hidden_well = all(
            self.reading.positions(g.hidden_keys) is not None for g, _ in block.groups
        )
        return hidden_well and not (
            self.reading.past and any(g.kind == "softmax" for g, _ in block.groups)
        )

    def _as_it_stands(self, index: int, block: SparseBlock, held: Held) -> Held:
        self.values.next_half()
        everything = tuple((s, c, *frozen(x)) for s in held for c, x in sorted(held[s].items()))
        written = written_channels(block)
        parts = [(s, c) for s in self.reading.segments for c in written]
        after = {s: dict(channels) for s, channels in held.items()}
        for s, c in parts:
            made = index, tuple(written), everything
            of = [value for *_, value, _ in everything]
            after[s][c] = {(ONE, self.values.add("block", s, made, of, written.index(c))): 1.0}
        return after

    def _units(self, block: SparseBlock, held: Held) -> Held:
        """The gated MLP, and the residual connection."""
        self.values.next_half()
        after = {}
        for s, channels in held.items():
            changed: dict[int, Expression] = {}
            for gate, into, out in block.units:
                left = read(gate, channels)
                unit = multiplied(left, read(into, channels)) if left else {}
                self._write(unit, out, changed)
            after[s] = self._with(channels, changed, s)
        return after

    def _write(self, what: Expression, out: Entries, changed: dict[int, Expression]) -> None:
        if what:
            for channel, weight in out:
                added(changed.setdefault(channel, {}), what, weight)

    def _with(
        self, channels: dict[int, Expression], changed: dict[int, Expression], s: str
    ) -> dict[int, Expression]:
        """The residual connection: what was there and what was written, each held as one value."""
        found = dict(channels)
        for channel, what in changed.items():
            added(what, channels.get(channel, {}))
            found[channel] = self.values.hold(what)
        return {channel: what for channel, what in found.items() if what}

    # attention

    def _attention(self, block: SparseBlock, held: Held) -> Held:
        self.values.next_half()
        changed: dict[str, dict[int, Expression]] = {s: {} for s in held}
        for config, heads in block.groups:
            for head in heads:
                self._head(config, head, held, changed)
        return {s: self._with(held[s], changed[s], s) for s in held}

    def _head(
        self,
        config: AttentionConfig,
        head: SparseHead,
        held: Held,
        changed: dict[str, dict[int, Expression]],
    ) -> None:
        sources = self._sources(config)
        if config.kind == "softmax":
            self._softmax(config, head, sources, held, changed)
            return
        values = [value for value, _ in head.value]
        memory = self._memory(head, sources, held, config.kind == "normalised")
        for s, channels in held.items():
            queries = [read(query, channels) for query, _ in head.score]
            found = self._read_memory(queries, memory, len(values) + (config.kind == "normalised"))
            self._read_past(config, head, s, channels, queries, found)
            if config.kind == "normalised":
                found = self._quotients(found)
            for what, (_, out) in zip(found, head.value):
                self._write(what, out, changed[s])

    def _sources(self, config: AttentionConfig) -> list[str]:
        hidden = self.reading.positions(config.hidden_keys)
        return [s for s in self.reading.read_by_all if s not in hidden]

    def _memory(
        self, head: SparseHead, sources: Iterable[str], held: Held, is_normalised: bool
    ) -> list[list[Expression]]:
        """[e][d] sum over tokens read by all of k_e v_d, the last d being one for all tokens in a normalised head."""
        n_values = len(head.value) + is_normalised
        memory: list[list[Expression]] = [[{} for _ in range(n_values)] for _ in head.score]
        for s in sources:
            values = [read(value, held[s]) for value, _ in head.value] + [
                CONSTANT_ONE
            ] * is_normalised
            for e, (_, key) in enumerate(head.score):
                weight = read(key, held[s])
                for d, value in enumerate(values if weight else []):
                    added(memory[e][d], self._over_tokens(multiplied(weight, value), s))
        return [[self.values.hold(what) for what in row] for row in memory]

    def _over_tokens(self, what: Expression, s: str) -> Expression:
        """The sum over the tokens of a segment."""
        found: Expression = {}
        for (a, b), weight in what.items():
            full = [x for x in (a, b) if self.values.table[x].segment is not None]
            if len(full) == 2:
                term = ONE, self.values.add("moment", None, (s, a, b), (a, b))
            elif full:
                term = self._pair(
                    a if b in full else b, self.values.add("total", None, (s, full[0]), full)
                )
            elif s in self.reading.single:
                term = a, b
            else:
                _, product = frozen_key(self.values.hold({(a, b): 1.0}))
                term = self._pair(product, self.values.add("count", None, s))
            added(found, {term: weight})
        return found

    def _pair(self, a: int, b: int) -> tuple[int, int]:
        return min(a, b), max(a, b)

    def _read_memory(
        self, queries: list[Expression], memory: list[list[Expression]], n: int
    ) -> list[Expression]:
        found: list[Expression] = [{} for _ in range(n)]
        for query, row in zip(queries, memory):
            for d, what in enumerate(row if query else []):
                added(found[d], multiplied(query, what))
        return found

    def _read_past(
        self,
        config: AttentionConfig,
        head: SparseHead,
        s: str,
        channels: dict[int, Expression],
        queries: list[Expression],
        found: list[Expression],
    ) -> None:
        """Under a causal mask: what the tokens before a token add."""
        if s != self.reading.past:
            return
        keys = [read(key, channels) for _, key in head.score]
        values = [read(value, channels) for value, _ in head.value] + [CONSTANT_ONE] * (
            config.kind == "normalised"
        )
        score = tuple(
            (frozen(self.values.hold(q)), frozen(self.values.hold(k)))
            for q, k in zip(queries, keys)
            if q and k
        )
        alive = [d for d, value in enumerate(values) if value]
        of = tuple(frozen(self.values.hold(values[d])) for d in alive)
        if not score or not of:
            return
        made_of = [value for value, _ in (*of, *(side for pair in score for side in pair))]
        for part, d in enumerate(alive):
            value = self.values.add("past", s, (score, of), made_of, part)
            added(found[d], {(ONE, value): 1.0})

    def _quotients(self, found: list[Expression]) -> list[Expression]:
        """Every numerator over the last, the sum of the scores."""
        segment = next(filter(None, map(self.values.segment, found)), None)
        held = [frozen(self.values.hold(what, segment)) for what in found]
        pairs = [(above, held[-1]) for above in held[:-1]]
        of = [(above[0], below[0]) for above, below in pairs]
        return [
            {(ONE, self.values.add("quotient", segment, *made)): 1.0} for made in zip(pairs, of)
        ]

    def _softmax(
        self,
        config: AttentionConfig,
        head: SparseHead,
        sources: list[str],
        held: Held,
        changed: dict[str, dict[int, Expression]],
    ) -> None:
        if not sources:
            return
        keys = [
            tuple(frozen(self.values.hold(read(key, held[s]))) for s in sources)
            for _, key in head.score
        ]
        values = [
            [self.values.hold(read(value, held[s])) for s in sources] for value, _ in head.value
        ]
        for s, channels in held.items():
            queries = [frozen(self.values.hold(read(query, channels))) for query, _ in head.score]
            score = tuple(
                (q, k) for q, k in zip(queries, keys) if q[1] and any(weight for _, weight in k)
            )
            is_full = any(self.values.table[value].segment is not None for (value, _), _ in score)
            for what, (_, out) in zip(values, head.value):
                if any(what):
                    made = s, tuple(sources), config.score_scale, score, tuple(map(frozen, what))
                    of = [v for (v, _), k in score for v in (v, *(x for x, _ in k))]
                    of += [value for value, _ in made[-1]]
                    found = self.values.add("average", s if is_full else None, made, of)
                    self._write({(ONE, found): 1.0}, out, changed[s])


def frozen_key(expression: Expression) -> tuple[int, int]:
    """The one term of a held expression."""
    return next(iter(expression))
