"""Exercise 04, q8: a critic that sees the action as a baseline, with the correction that it needs."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.control_variate import control_variate_estimate, discrete_correction
from ..cases import Case, Question
from .tables import random_distributions, table

Problem = tuple[Tensor, Tensor, Tensor, Tensor]


def corrected_gradient(probs: Tensor, action: Tensor, return_: Tensor, critic: Tensor) -> Tensor:
    """∇log π(a) (R − Q(a)) + Σ_a' π(a') ∇log π(a') Q(a') in the logits, [B, A]: the library's answer."""
    scores = _scores(probs)
    return control_variate_estimate(_taken(scores, action), return_, _of_action(critic, action),
                                    discrete_correction(scores, probs, critic))


def _scores(probs: Tensor) -> Tensor:
    """∇log π(a) in the logits of every action, [B, A, A]: 1[a' = a] − π(a')."""
    return torch.eye(probs.shape[1], dtype=probs.dtype) - probs[:, None]


def _taken(scores: Tensor, action: Tensor) -> Tensor:
    return scores[torch.arange(len(action)), action]


def _of_action(critic: Tensor, action: Tensor) -> Tensor:
    return critic.gather(1, action[:, None])[:, 0]


def _sampled(probs: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """∇log π(a) Ψ [B, A]."""
    return _taken(_scores(probs), action) * weight[:, None]


def _correction(probs: Tensor, critic: Tensor) -> Tensor:
    return probs * (critic - (probs * critic).sum(1, keepdim=True))


def _parts(sampled: Callable, correction: Callable) -> Callable[..., Tensor]:
    """A slip as the sum of a sampled part and a correction, both of (probs, action, R, Q)."""
    def slip(*problem):
        return sampled(*problem) + correction(*problem)
    return slip


def _right_sampled(probs, action, return_, critic):
    return _sampled(probs, action, return_ - _of_action(critic, action))


def _right_correction(probs, action, return_, critic):
    return _correction(probs, critic)


def _none(probs, action, return_, critic):
    return torch.zeros_like(probs)


def _mean_critic(probs: Tensor, critic: Tensor) -> Tensor:
    return (probs * critic).sum(1)


def _one_hot(probs: Tensor, action: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(action, probs.shape[1]).to(probs.dtype)


def _over_the_batch(reduce: Callable) -> Callable[..., Tensor]:
    def slip(*problem):
        return reduce(corrected_gradient(*problem))
    return slip


_EACH = "Every sample has its own row, [B, A]; whoever trains takes the mean."

# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_parts(_right_sampled, _none),
     "The correction is missing, or vanishes: with Q_w(a) of the *sampled* action it is Q_w(a) Σ π ∇log π = 0. "
     "Each a' of the sum has its own Q_w(a'). Without it the estimate is biased, and a perfect critic leaves "
     "nothing to learn from."),
    (_parts(_right_sampled, lambda *problem: -_right_correction(*problem)),
     "The correction has the wrong sign: what was subtracted from R is added back."),
    (_parts(lambda p, a, r, q: _sampled(p, a, r + _of_action(q, a)), _right_correction),
     "The critic is added to the return. As a baseline it is subtracted: R − Q_w(a)."),
    (_parts(lambda p, a, r, q: _sampled(p, a, r + _of_action(q, a)),
            lambda *problem: -_right_correction(*problem)),
     "Both signs of the critic are turned: R − Q_w(a) with *plus* the correction. Yours is unbiased, but a good "
     "critic then doubles the noise."),
    (_parts(lambda p, a, r, q: _sampled(p, a, r - _mean_critic(p, q)), _none),
     "You subtract the critic's mean V = Σ π Q_w, a baseline that does not see the action: unbiased too, but "
     "noise remains that Q_w(a) could take away."),
    (_parts(lambda p, a, r, q: _sampled(p, a, r - _mean_critic(p, q)), _right_correction),
     "You subtract the critic's mean and add the correction of Q_w: the two do not belong together. Subtract "
     "Q_w(a), the critic's number for the action that was taken."),
    (_parts(lambda p, a, r, q: _sampled(p, a, r), _none), "The critic is not used: this is plain REINFORCE."),
    (_parts(lambda p, a, r, q: _sampled(p, a, r), _right_correction),
     "The critic is added but never subtracted: the gradient counts about twice. The weight of the sample is "
     "R − Q_w(a)."),
    (_parts(_none, _right_correction),
     "The return is not used: only the critic is left, with all its errors."),
    (_parts(_right_sampled, lambda p, a, r, q: q - p * q.sum(1, keepdim=True)),
     "The sum over a' is not weighed by π(a'): it is an expectation over the policy's actions."),
    (_parts(_right_sampled, lambda p, a, r, q: p * q),
     "In the correction ∇log π(a') is taken as the unit vector of a'. It is that minus π, which leaves "
     "π ∘ (Q_w − Σ π Q_w)."),
    (_parts(lambda p, a, r, q: _one_hot(p, a) * (r - _of_action(q, a))[:, None], _right_correction),
     "∇log π(a) is taken as the unit vector of a. With logits it is 1[a' = a] − π(a'): the softmax's denominator "
     "has a slope as well."),
    (_parts(lambda p, a, r, q: _one_hot(p, a) * (r - _of_action(q, a))[:, None], lambda p, a, r, q: p * q),
     "∇log π(a) is taken as the unit vector of a. With logits it is 1[a' = a] − π(a'): the softmax's denominator "
     "has a slope as well."),
    (_parts(lambda p, a, r, q: p.gather(1, a[:, None]) * _right_sampled(p, a, r, q), _right_correction),
     "You use ∇π(a) = π(a) ∇log π(a) for the sample. The action was *drawn*, which is a factor π(a) already: "
     "∇log π there."),
    (_parts(_right_sampled, lambda p, a, r, q: p * _correction(p, q)),
     "π(a') stands twice in the correction: Σ π(a') ∇log π(a') Q_w(a') has it once."),
    (_parts(_right_sampled, lambda p, a, r, q: _correction(p, q) / q.shape[1]),
     "You divide the correction by the number of actions. Weighed by π(a') it is a mean already."),
    (lambda *problem: -corrected_gradient(*problem),
     "The sign is turned: the gradient of the return is asked for, which is climbed, not that of a loss."),
    (_over_the_batch(lambda rows: rows.mean(0)), "You take the mean of the batch. " + _EACH),
    (_over_the_batch(lambda rows: rows.sum(0)), "You add up the batch. " + _EACH),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.corrected_gradient(*problem), want,
                "For one state: ∇log π(a) = 1[a' = a] − π(a'), times R − Q_w(a); then add π(a')(Q_w(a') − V) with "
                "V = Σ π Q_w, which is what the sum over a' comes to.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _all_actions(probs: Tensor, mean_return: Tensor, critic: Tensor, extra: Tensor) -> Problem:
    """Every action of one state, each with two returns, `extra` above and below its mean."""
    actions = torch.arange(len(probs)).repeat(2)
    spread = torch.cat([extra, -extra])
    return (probs.expand(len(actions), -1).clone(), actions, mean_return.repeat(2) + spread,
            critic.expand(len(actions), -1).clone())


def _expected(f: object, problem: Problem) -> Tensor:
    """The mean of the student's estimate over all actions and returns, [A]."""
    probs, action, *_ = problem
    estimate = torch.as_tensor(f.corrected_gradient(*problem), dtype=torch.float64)
    weight = probs[0][action] / 2  # two returns for each action
    return (weight[:, None] * estimate).sum(0)


def _exact(probs: Tensor, mean_return: Tensor) -> Tensor:
    """∂/∂logits of Σ π r [A], by autograd."""
    logits = probs.log().requires_grad_()
    (logits.softmax(-1) * mean_return).sum().backward()
    return logits.grad


def _unbiased(title: str, probs: Tensor, mean_return: Tensor, critics: Tensor, extra: Tensor, **more) -> Case:
    problems = [_all_actions(probs, mean_return, critic, extra) for critic in critics]
    exact = _exact(probs, mean_return)
    return Case(title, lambda f: [_expected(f, problem) for problem in problems], [exact] * len(problems),
                "Averaged over the policy's actions and the returns, the estimate must be the gradient of the "
                "expected return, whatever the critic says.", **more)


def _silent(title: str, probs: Tensor, mean_return: Tensor, **more) -> Case:
    problem = _all_actions(probs, mean_return, mean_return, torch.zeros_like(mean_return))
    return Case(title, lambda f: f.corrected_gradient(*problem), _exact(probs, mean_return).expand_as(problem[0]),
                "The critic knows every return exactly, so it must not matter which action was drawn: every row "
                "is the exact gradient.", **more)


def _random_problem(samples: int, actions: int, random: torch.Generator) -> Problem:
    draw = torch.randn(samples, actions + 1, generator=random, dtype=torch.float64)
    return (0.1 / actions + 0.9 * random_distributions((samples, actions), random),
            torch.randint(0, actions, (samples,), generator=random), 2 * draw[:, 0], 2 * draw[:, 1:])


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q8")
    for samples, actions, title in (
            (2, 4, "a critic that knows nothing"), (1, 2, "two actions and a critic"),
            (4, 3, "three states of three actions"), (6, 5, "three states of three actions")):
        problem = _random_problem(samples, actions, random)
        if title == "a critic that knows nothing":
            problem = (*problem[:3], torch.zeros_like(problem[3]))
        yield _case("random", problem, corrected_gradient(*problem), confirms=title)
    draw = torch.randn(4, 4, generator=random, dtype=torch.float64)
    probs = draw[0].softmax(-1)
    yield _unbiased("random", probs, draw[1], 3 * draw[2:], draw[3],
                    confirms="right on average, whatever the critic")
    yield _silent("random", probs, draw[1], confirms="with a perfect critic there is no noise")


_THREE = (table([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3], [0.25, 0.5, 0.25]]), torch.tensor([2, 0, 1]),
          table([1, -2, 0.5]), table([[0.5, 2, -1], [1, 0, 3], [-0.5, 1, 4]]))
_PROBS, _RETURNS = table([0.1, 0.6, 0.3]), table([2, -1, 3])

QUESTION = Question(
    "q8", "A critic that sees the action", "A7", {"corrected_gradient": corrected_gradient}, difficulty=4,
    importance=3, minutes=20,
    values=(
        # ∇log π(1) = (−¼, 1 − ¾) = (−¼, ¼), times 4; the critic is 0 everywhere.
        _case("a critic that knows nothing",
              (table([[0.25, 0.75]]), torch.tensor([1]), table([4]), table([[0, 0]])), table([[-1, 1]]), points=1,
              by_hand=True),
        # ∇log π(0) = (¾, −¾), times 4 − 1 = 3: (2¼, −2¼). V = ¼ + 3¾ = 4, correction (¼ (1 − 4), ¾ (5 − 4)).
        _case("two actions and a critic", (table([[0.25, 0.75]]), torch.tensor([0]), table([4]), table([[1, 5]])),
              table([[1.5, -1.5]]), points=2, by_hand=True),
        _case("three states of three actions", _THREE, corrected_gradient(*_THREE), points=1),
    ),
    properties=(
        _unbiased("right on average, whatever the critic", _PROBS, _RETURNS, table([[1, 5, -2], [0, -3, 7]]),
                  table([1, 2, 0.5]), points=1),
        _silent("with a perfect critic there is no noise", _PROBS, _RETURNS, points=1),
    ),
    seeded=_random_cases,
)
