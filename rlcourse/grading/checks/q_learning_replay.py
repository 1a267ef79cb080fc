"""Exercise 05a, q5: a ring of transitions for several runs, written and drawn from."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.batch import Batch
from ...core.seeding import generator, uniforms
from ...data.replay import Replay
from ..cases import Case, Question
from .tables import numbers, table


def store(ring: Tensor, written: int, steps: Tensor) -> Tensor:
    """The ring [R, L, D] after `steps` [T, R, D]: what the library's `Replay` holds then."""
    replay = _replay(ring, written)
    replay.add(_batch(steps))
    rows = torch.arange(replay.stored).expand(ring.shape[0], -1)
    return torch.cat([replay.windows_at(rows).obs[0], ring[:, replay.stored:]], 1)


def draw(ring: Tensor, written: int, uniform: Tensor) -> Tensor:
    """Row ⌊u n⌋ of each run's n stored rows [R, B, D], taken from the library's `Replay`."""
    replay = _replay(ring, written)
    return replay.windows_at((uniform * replay.stored).long()).obs[0]


def _replay(ring: Tensor, written: int) -> Replay:
    """The library's replay in the state of the ring, with one environment for each run."""
    replay = Replay(ring.shape[1], ring.shape[0], 1)
    first = written % ring.shape[1] if written > ring.shape[1] else 0  # the oldest row
    history = torch.cat([ring[:, :first], ring[:, first:], ring[:, :first]], 1)[:, :written]
    if history.shape[1]:
        replay.add(_batch(history.movedim(1, 0)))
    return replay


def _batch(steps: Tensor) -> Batch:
    """Transitions [T, R, D] as observations of one environment, [T, R, 1, D]."""
    obs = steps[:, :, None]
    reward = torch.zeros(obs.shape[:3], dtype=obs.dtype)
    return Batch(obs, reward, reward, obs, reward.bool(), reward.bool())


def _writes(row: Callable = lambda written, t, length, steps: (written + t) % length,
            source: Callable = lambda t, length, steps: t, run: Callable = lambda r: r) -> Callable[..., Tensor]:
    """Writing in which another row is the place of step t (None: nowhere), or something else is written there."""
    def slip(ring, written, steps):
        ring = ring.clone()
        for t in range(steps.shape[0]):
            at = row(written, t, ring.shape[1], steps.shape[0])
            for r in range(ring.shape[0]):
                if at is not None:
                    ring[r, at] = steps[source(t, ring.shape[1], steps.shape[0]), run(r)]
        return ring
    return slip


def _reshaped(ring, written, steps):
    return store(ring, written, steps.reshape(ring.shape[0], -1, ring.shape[2]).movedim(0, 1))


def _shifted(ring, written, steps):
    return torch.cat([ring, steps.movedim(0, 1)], 1)[:, -ring.shape[1]:]


def _draws(count: Callable = min, row: Callable = lambda u, n: (u * n).long(),
           uniform: Callable = lambda u: u, run: Callable = lambda r: r) -> Callable[..., Tensor]:
    """Draws from another number of rows, of other rows, or of other runs."""
    def slip(ring, written, u):
        rows = row(uniform(u), count(written, ring.shape[1])) % ring.shape[1]
        return ring[run(torch.arange(ring.shape[0]))[:, None], rows]
    return slip


def _any_run(ring, written, u):
    """All stored transitions in one list, run after run."""
    stored = ring[:, :min(written, ring.shape[1])].flatten(0, 1)
    return stored[(u * len(stored)).long()]


def _runs_by_rows(ring, written, u):
    """As above, row after row."""
    stored = ring[:, :min(written, ring.shape[1])].movedim(0, 1).flatten(0, 1)
    return stored[(u * len(stored)).long()]


_LAST = ("Of more steps than the ring holds the *last* L remain, each in the row in which step-by-step writing would "
         "have put it: step t belongs into row (written + t) mod L.")

_WRITING: tuple[tuple[Callable, str], ...] = (
    (_reshaped,
     "Runs are mixed up: `steps` has time on axis 0 and runs on axis 1, the ring has runs first. `reshape` or `view` "
     "only reads the same numbers in other rows; exchange the axes with `transpose(0, 1)`."),
    (_writes(lambda w, t, length, steps: (w + t) % length if w + t < length else None),
     "Your ring stops when it is full: behind the last row comes row 0 again, `% L`."),
    (_writes(lambda w, t, length, steps: min(w + t, length - 1)),
     "Once the ring is full you always write into its last row. Behind the last row comes row 0 again, `% L`."),
    (_writes(lambda w, t, length, steps: t % length),
     "You begin at row 0 each time: `written` says how many rows there have been before, the next one is written % L."),
    (_writes(lambda w, t, length, steps: (w + t + 1) % length),
     "You write one row too late: after `written` rows, 0 … written − 1, comes row `written` (mod L)."),
    (_writes(lambda w, t, length, steps: (w + t - 1) % length),
     "You write one row too early, and over the newest transition: after rows 0 … written − 1 comes row `written` "
     "(mod L)."),
    (_writes(lambda w, t, length, steps: (w + t) % length if t < length else None), _LAST),
    (_writes(lambda w, t, length, steps: None if t >= length else (w + t) % length,
             lambda t, length, steps: t + max(steps - length, 0)), _LAST),
    (_writes(lambda w, t, length, steps: (min(w, length) + t) % length),
     "`written` counts all rows ever written. Counting only up to L you forget where the ring had got to: take it "
     "modulo L, not its minimum with L."),
    (_writes(lambda w, t, length, steps: w % length),
     "All steps go into one row: step t belongs into row (written + t) mod L."),
    (_writes(lambda w, t, length, steps: (w + steps - 1 - t) % length),
     "The steps are in reverse order: the first of them is the oldest."),
    (_shifted,
     "You push all rows forward. The content is right, but nothing stays where it was, and a ring is there to write "
     "only what is new: step t into row (written + t) mod L."),
    (_writes(run=lambda r: 0), "All runs get the transitions of run 0: `steps[t, r]` belongs to run r."),
    (lambda ring, written, steps: ring, "Nothing is written: give back the ring with the new rows in it."),
)
_DRAWING: tuple[tuple[Callable, str], ...] = (
    (_draws(lambda written, length: length),
     "You also draw rows that were never written. While the ring is not full only `written` rows count: "
     "min(written, L)."),
    (_draws(lambda written, length: written),
     "You count more rows than there are: of all rows ever written the ring holds L at most, min(written, L)."),
    (_draws(uniform=lambda u: u[:1].expand_as(u)),
     "All runs draw the same rows, those of `uniform[0]`: then they are no independent experiments."),
    (_draws(run=lambda r: 0 * r), "All runs draw from run 0's transitions: run r learns from `ring[r]` alone."),
    (_any_run, "Runs are mixed up: you draw from all of them. Run r learns from `ring[r]` alone."),
    (_runs_by_rows, "Runs are mixed up: you draw from all of them. Run r learns from `ring[r]` alone."),
    (_draws(row=lambda u, n: (u * (n - 1)).long()),
     "The last row is never drawn: ⌊u (n − 1)⌋ ends at n − 2, since u < 1. Take ⌊u n⌋."),
    (_draws(row=lambda u, n: (u * (n - 1)).round().long()),
     "You round to the nearest: the first and the last row then come half as often as the others. Take ⌊u n⌋."),
    (_draws(row=lambda u, n: n - 1 - (u * n).long()), "You count backwards: u = 0 is row 0."),
    (lambda ring, written, u: ring[:, (u * min(written, ring.shape[1])).long()],
     "`ring[:, rows]` with rows [R, B] takes the rows of *every* run from every run, [R, R, B, D]. Go through the runs "
     "one by one, or index both axes: `ring[runs[:, None], rows]`."),
)


def _store_case(title: str, problem: tuple[Tensor, int, Tensor], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.store(*problem), want,
                "Step t of run r belongs into row (written + t) mod L of `ring[r]`, and nothing else changes.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _WRITING), **more)


def _draw_case(title: str, problem: tuple[Tensor, int, Tensor], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.draw(*problem), want,
                "n = min(written, L) rows are stored; entry b of run r is row ⌊u[r, b] n⌋ of `ring[r]`.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _DRAWING), **more)


def _numbered(first: int, count: int, runs: int = 2) -> Tensor:
    """Transitions [count, runs, 1] that are their own numbers: those of run r begin at 100 r."""
    return (torch.arange(first, first + count)[:, None, None] + 100 * torch.arange(runs)[:, None]).double()


def _in_pieces(f: object) -> Tensor:
    """What the ring holds after 12 steps, written a few at a time."""
    ring, written = torch.full((2, 4, 1), -1.0, dtype=torch.float64), 0
    for count in (1, 2, 1, 5, 3):
        ring = numbers(f.store(ring, written, _numbered(written, count)))
        written += count
    return ring


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05a_q_learning q5")

    def noise(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)
    for title, written, count in ((_EMPTY, 0, 3), (_ROUND, 4, 3), (_ROUND, 13, 2), (_MORE, 3, 12), (_MORE, 7, 9)):
        problem = (noise(3, 5, 2), written, noise(count, 3, 2))
        yield _store_case("random", problem, store(*problem), confirms=title)
    for title, written in ((_HALF, 3), (_FULL, 5), (_FULL, 12)):
        problem = (noise(3, 5, 2), written, uniforms((3, 6), random).double())
        yield _draw_case("random", problem, draw(*problem), confirms=title)


_EMPTY, _ROUND, _MORE = "two steps into an empty ring", "over the end of the ring", "more steps than the ring holds"
_HALF, _FULL = "draws from a ring that is half full", "draws from a full ring"

QUESTION = Question(
    "q5", "A memory that goes round", "Q4", {"store": store, "draw": draw}, difficulty=3, importance=4, minutes=20,
    values=(
        # Step 0 of run 0 is (1, 2), of run 1 (3, 4); step 1 is (5, 6) and (7, 8): rows 0 and 1 of each run.
        _store_case(_EMPTY, (torch.zeros(2, 4, 2).double(), 0, table([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])),
                    table([[[1, 2], [5, 6], [0, 0], [0, 0]], [[3, 4], [7, 8], [0, 0], [0, 0]]]),
                    points=1, by_hand=True),
        # After 6 rows in a ring of 4 comes row 6 mod 4 = 2, then 3, then 0; row 1 stays.
        _store_case(_ROUND, (table([[[4], [5], [2], [3]], [[104], [105], [102], [103]]]), 6, _numbered(6, 3)),
                    table([[[8], [5], [6], [7]], [[108], [105], [106], [107]]]), points=1, by_hand=True),
        # Steps 1 … 6 into a ring of 4: 1, 2, 3 into rows 1, 2, 3, then 4 into row 0, and 5 and 6 over 1 and 2.
        _store_case(_MORE, (table([[[0], [-1], [-1], [-1]], [[100], [-1], [-1], [-1]]]), 1, _numbered(1, 6)),
                    table([[[4], [5], [6], [3]], [[104], [105], [106], [103]]]), points=1, by_hand=True),
        # Two rows are stored: below ½ the first of them, from ½ on the second.
        _draw_case(_HALF, (table([[[1], [2], [-9], [-9]], [[3], [4], [-9], [-9]]]), 2,
                           table([[0.1, 0.9, 0.6], [0.5, 0.2, 0.95]])),
                   table([[[1], [2], [2]], [[4], [3], [4]]]), points=1, by_hand=True),
        # Four rows: 0.3 · 4 = 1.2, so row 1; 3.6, row 3; 0.04, row 0. Run 1: 2.4, row 2; 0.8, row 0; 3.96, row 3.
        _draw_case(_FULL, (table([[[4], [5], [6], [3]], [[14], [15], [16], [13]]]), 7,
                           table([[0.3, 0.9, 0.01], [0.6, 0.2, 0.99]])),
                   table([[[5], [3], [4]], [[16], [14], [13]]]), points=1, by_hand=True),
    ),
    properties=(
        Case("written in pieces or at once", _in_pieces, _numbered(8, 4).movedim(0, 1),
             "Twelve steps, written 1, 2, 1, 5 and 3 at a time into a ring of 4: the last four remain, each in its row "
             "(its number modulo 4).", points=1),
    ),
    seeded=_random_cases,
)
