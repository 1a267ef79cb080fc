"""Exercise 05a, q4: the direction in which Q-learning moves the weights, which is no gradient."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import td
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float]


def semi_gradient(weights: Tensor, obs: Tensor, action: Tensor, reward: Tensor, next_obs: Tensor,
                  terminated: Tensor, discount: float) -> Tensor:
    """The gradient [K, A] of (1/B) Σ ½ (Q(o, a) − y)², y held fixed: with the library's target and loss."""
    def loss(w):
        target = td.q_target(reward[:, 0], next_obs @ w, terminated[:, 0], discount=discount)
        return td.td_loss(td.taken_q(obs @ w, action), target, threshold=float("inf")).mean()
    return _gradient(loss, weights)


def _gradient(loss: Callable, weights: Tensor) -> Tensor:
    with torch.enable_grad():
        w = weights.detach().clone().requires_grad_()
        return torch.autograd.grad(loss(w), w)[0]


def _errors(w, obs, action, reward, next_obs, terminated, discount, fixed=True, value=lambda q: q.amax(-1)):
    """Q(o, a) and the target [B] each; `fixed`: no gradient through the target."""
    target = reward[:, 0] + discount * ~terminated[:, 0] * value(next_obs @ w)
    return (obs @ w).gather(1, action[:, None])[:, 0], target.detach() if fixed else target


def _by(loss: Callable = lambda q, y: 0.5 * (q - y).square().mean(), **errors) -> Callable[..., Tensor]:
    """The direction with another loss of Q(o, a) and y [B], or with other targets."""
    def slip(weights, *problem):
        return _gradient(lambda w: loss(*_errors(w, *problem, **errors)), weights)
    return slip


def _all_actions(reduce: Callable) -> Callable[..., Tensor]:
    """Every action is drawn to the target of the one that was taken."""
    def slip(weights, obs, *problem):
        return _gradient(lambda w: 0.5 * reduce(obs @ w - _errors(w, obs, *problem)[1][:, None]), weights)
    return slip


def _no_mask(weights, obs, action, reward, next_obs, terminated, discount):
    return semi_gradient(weights, obs, action, reward, next_obs, torch.zeros_like(terminated), discount)


def _undiscounted(*problem):
    return semi_gradient(*problem[:-1], 1.0)


def _masked_reward(weights, obs, action, reward, next_obs, terminated, discount):
    return semi_gradient(weights, obs, action, reward * ~terminated, next_obs, terminated, discount)


def _best_of_now(weights, obs, action, *rest):
    return semi_gradient(weights, obs, (obs @ weights).argmax(-1), *rest)


def _pairs(rewards: bool, values: bool, taken: bool) -> Callable[..., Tensor]:
    """½ (q − y)² over all pairs [B, B]: which of r (with the mask), max Q' and Q(o, a) are columns."""
    def slip(weights, obs, action, reward, next_obs, terminated, discount):
        def loss(w):
            best = (next_obs @ w).amax(-1, keepdim=True).detach()
            q = (obs @ w).gather(1, action[:, None])
            r, goes_on = (reward, ~terminated) if rewards else (reward[:, 0], ~terminated[:, 0])
            y = r + discount * goes_on * (best if values else best[:, 0])
            return 0.5 * ((q if taken else q[:, 0]) - y).square().mean()
        return _gradient(loss, weights)
    return slip


def _times(factor: float) -> Callable[..., Tensor]:
    return lambda *problem: factor * semi_gradient(*problem)


def _summed(*problem):
    return len(problem[1]) * semi_gradient(*problem)


def _turned_axes(*problem):
    return semi_gradient(*problem).T.contiguous()


def _the_loss(weights, *problem):
    q, target = _errors(weights, *problem)
    return 0.5 * (q - target).square().mean()


_BROADCAST = ("[B] against [B, 1] is a matrix [B, B], here of every prediction with targets of *other* transitions, "
              "and the mean over it is a loss that trains and is wrong. Bring all to one shape before you subtract: "
              "`reward.squeeze(-1)`, `terminated.squeeze(-1)`.")

# The order matters where two slips give the same number: with a single transition many do.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_by(fixed=False),
     "The gradient flows through the target. That makes the next state's value fall where this one's is too small, "
     "the residual gradient: hold y fixed, with `detach()` or inside `torch.no_grad()`."),
    (_by(lambda q, y: (q - y).square().mean(), fixed=False),
     "The gradient flows through the target: hold y fixed, with `detach()`. And the ½ before the square is missing."),
    (_times(2.0), "The ½ before the square is missing: its derivative is then 2 (Q − y), twice what is asked for."),
    (_times(-1.0), "The sign is turned: the gradient of the loss is asked for. The step goes against it, later."),
    (_pairs(True, True, False), _BROADCAST),
    (_pairs(False, False, True), _BROADCAST),
    (_pairs(True, False, False), _BROADCAST),
    (_pairs(True, False, True), _BROADCAST),
    (_summed, "You add up the batch. Take the mean, or the step grows with the batch."),
    (lambda *problem: 2 * _summed(*problem), "You add up the batch, without the ½: take the mean of ½ (Q − y)²."),
    (_no_mask, "You look behind the end of the problem: where `terminated` is True the target is the reward alone."),
    (_masked_reward, "The last reward is lost: only the value of the next state goes where `terminated` is True."),
    (_undiscounted, "γ is forgotten in the target."),
    (_all_actions(lambda e: e.square().sum(-1).mean()),
     "All actions are drawn to the target. Only the one that was taken has been tried: pick its value with "
     "`gather`, and let the others rest."),
    (_all_actions(lambda e: e.square().mean()),
     "All actions are drawn to the target, and you divide by their number. Only the one that was taken has been "
     "tried: pick its value with `gather`."),
    (lambda *problem: semi_gradient(*problem) / problem[0].shape[1],
     "You divide by the number of actions too. There are B transitions: divide by B alone."),
    (_by(value=lambda q: q.mean(-1)), "The target takes the best action of the next state: the maximum, not the mean."),
    (_by(value=lambda q: q.max()),
     "That is one maximum for the whole batch. Each transition has its own next state: `amax(-1)`."),
    (_best_of_now,
     "You compare the target with the *best* action's value in o. It belongs to the action that was taken: `gather` "
     "with `action`."),
    (_by(lambda q, y: (q - y).abs().mean()),
     "That is the gradient of |Q − y|: it does not depend on the size of the error. The loss is ½ (Q − y)²."),
    (_by(lambda q, y: 0.5 * q.mean().sub(y.mean()).square()),
     "You take the mean before the square. Every transition has its own error."),
    (_turned_axes, "The axes are exchanged: the direction has the shape of the weights, [K, A]."),
    (_the_loss, "That is the loss. Asked for is its gradient with respect to the weights, [K, A]."),
    (lambda weights, *problem: weights - semi_gradient(weights, *problem),
     "Those are weights after a step. The direction alone is asked for."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.semi_gradient(*problem), want,
                "Q(o, a) of the actions taken [B]; y = r + γ max Q(o', ·), or r, detached [B]; the gradient of the "
                "mean of ½ (Q(o, a) − y)².",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(transitions: int, features: int, actions: int, random: torch.Generator) -> Problem:
    """Features, actions and rewards at random; the first transition ends and the second does not."""
    def draw(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)
    terminated = torch.rand(transitions, 1, generator=random) < 0.3
    terminated[:2, 0] = torch.tensor([True, False])[:transitions]
    return (draw(features, actions), draw(transitions, features), torch.randint(actions, (transitions,),
            generator=random), 2 * draw(transitions, 1), draw(transitions, features), terminated,
            0.5 + 0.4 * torch.rand((), generator=random).item())


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05a_q_learning q4")
    problem = list(_random_problem(2, 3, 2, random))
    problem = [problem[0], *(each[1:] for each in problem[1:6]), problem[6]]  # the one that goes on
    yield _case("random", tuple(problem), semi_gradient(*problem), confirms=_ONE)
    for transitions, features, actions, title in ((3, 2, 2, _TABLE), (6, 4, 3, _BATCH), (3, 3, 3, _BATCH)):
        problem = _random_problem(transitions, features, actions, random)
        yield _case("random", problem, semi_gradient(*problem), confirms=title)


_ONE, _TABLE, _BATCH = "one transition", "two states as a table, one of them the last", "a batch of six"
_SIX = _random_problem(6, 3, 4, generator(0, "05a_q_learning q4 six"))
# A coin leads to heads or tails for nothing, heads pays 1 and ends, tails 0: with γ = ½ they are worth ¼, 1 and 0.
_COIN = (table([[0.25], [1], [0]]), torch.eye(3).double()[[0, 0, 1, 1, 2, 2]], torch.zeros(6).long(),
         table([[0], [0], [1], [1], [0], [0]]), torch.eye(3).double()[[1, 2, 0, 0, 0, 0]],
         torch.tensor([[False], [False], [True], [True], [True], [True]]), 0.5)

QUESTION = Question(
    "q4", "Not quite a gradient", "Q2", {"semi_gradient": semi_gradient}, difficulty=3, importance=5, minutes=20,
    values=(
        # Q(o, 0) = 1 · 1 + 2 · 3 = 7; in o' the actions have 2 · 1 and 2 · 2, so y = 1 + 4/2 = 3. The error is 4, and
        # the slope of Q(o, 0) is o = (1, 2), for action 0 alone.
        _case(_ONE, (table([[1, 2], [3, -1]]), table([[1, 2]]), torch.tensor([0]), table([[1]]), table([[2, 0]]),
                     torch.tensor([[False]]), 0.5),
              table([[4, 0], [8, 0]]), points=1, by_hand=True),
        # Q(0, 0) = 4 against 3 + 6/2 = 6; Q(1, 0) = 2 against 5, since it is over: −2/2 and −3/2.
        _case(_TABLE, (table([[4, 0], [2, 6]]), table([[1, 0], [0, 1]]), torch.tensor([0, 0]), table([[3], [5]]),
                       table([[0, 1], [1, 0]]), torch.tensor([[False], [True]]), 0.5),
              table([[-1, 0], [-1.5, 0]]), points=2, by_hand=True),
        _case(_BATCH, _SIX, semi_gradient(*_SIX), points=2),
    ),
    properties=(
        Case("with the right values nothing moves", lambda f: f.semi_gradient(*_COIN), torch.zeros(3, 1).double(),
             "A coin is worth ¼, heads 1 and tails 0, and so they are in the table. Each single target of the coin is "
             "wrong, ½ or 0, but on average they are right.", points=1),
    ),
    seeded=_random_cases,
)
