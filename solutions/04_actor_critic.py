# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercise 04 · Actor-critic
#
# In the lecture a second network joined the policy: a critic that says how well things go on from here, so that
# an action need not wait for the end of the episode to learn what it was worth. Everything now rests on a number
# that is *estimated*, and that is what these questions are about: where the estimate enters, where it must not,
# what its errors do, and how to trade them against noise. Each answer is a few lines of code or one line of
# algebra. Many of the slips that the checks know have been made in published programs: they raise no error, and
# the learning curve still rises, only later or less high.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and [the lecture](../lectures/04_actor_critic.ipynb); each question names its section. All
# tensors are float64. Sequences have the shape `[T, N]`: $T$ steps of $N$ environments side by side, so that axis
# 0 is time; single samples have the shape `[B]`. Read the shapes in the docstrings first: they are half of each
# answer.
#
# Two kinds of ends occur all the time, so here they are once and for all. `terminated[t]`: the problem itself was
# over with step $t$; nothing comes after it, not even a value. `truncated[t]`: only the time limit stopped the
# episode at step $t$; the problem would have gone on. After either, the next row belongs to a *new* episode.
# `next_value[t]` is the critic's value of the state that step $t$ truly led to, before anything was reset.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("04_actor_critic")

# %% [markdown]
# ## q1 · One reward, and an opinion about the rest
#
# *4 points · difficulty 1 of 5 · importance 5 of 5 · about 8 minutes · topic A1*
#
# What should the critic be fitted to? The sum of all rewards up to the end is honest, and it comes late and with
# all the noise of the way there. The alternative is the idea on which most of reinforcement learning is built:
# wait for *one* reward, and then ask the critic itself what the rest is worth (Sutton 1988, section A1),
#
# $$y_t = r_t + \gamma \, V(s_{t+1}) .$$
#
# There is one exception. Where the problem is over nothing comes after, and the target is $r_t$ alone. A time
# limit is not that: the pole still stands, and only we have stopped looking. To call this an end teaches the
# critic that the world stops at random, and many programs have done so.
#
# <details><summary>Hint</summary>
#
# Which of the two flags says that nothing comes after? You need only one of them. `torch.where(flag, 0.0, x)` is
# 0 where the flag is True, and x elsewhere.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *Subtraction, the `-` operator, with a bool tensor is not supported*: `1 - terminated` does not work for
# booleans, `~terminated` does.
#
# *Boolean value of Tensor with more than one value is ambiguous*: `if terminated:` met a whole tensor, in which
# some problems are over and others are not. Decide entry by entry, with `torch.where`.
#
# </details>


# %% q="q1"
def td_targets(reward, next_value, terminated, truncated, discount):
    """What V(s) is fitted to, from one step and the critic's value of the next state.

    reward [T, N]. next_value [T, N]: V of the state that the step led to, also at an end. terminated,
    truncated [T, N] (bool): the problem was over with this step; the time limit cut the episode here. Both
    may be True at once, and then the problem is over. discount: γ, a number. Returns y [T, N].
    """
    ### SOLUTION
    return reward + discount * torch.where(terminated, 0.0, next_value)
    ### END


# %% tags=["check"]
ex.check("q1")


# %% wrong="q1" at_most=1 why="bootstraps through the end" hint="You look behind the end of the problem"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward + discount * next_value


# %% wrong="q1" at_most=1 why="no value at the time limit" hint="You treat the time limit as the end"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward + discount * next_value * ~(terminated | truncated)


# %% wrong="q1" at_most=2 why="a value where both flags are set" hint="Where both flags are True you add a value"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward + discount * next_value * (~terminated | truncated)


# %% wrong="q1" at_most=1 why="flags exchanged" hint="The two kinds of ends are exchanged"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward + discount * torch.where(truncated, 0.0, next_value)


# %% wrong="q1" at_most=1 why="the last reward is lost" hint="The last reward is lost"
def td_targets(reward, next_value, terminated, truncated, discount):
    return (reward + discount * next_value) * (1 - terminated.double())


# %% wrong="q1" at_most=1 why="nothing at any end" hint="At both kinds of ends your target is 0"
def td_targets(reward, next_value, terminated, truncated, discount):
    return torch.where(terminated | truncated, 0.0, reward + discount * next_value)


# %% wrong="q1" at_most=0 why="no discount" hint="γ is forgotten"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward + torch.where(terminated, 0.0, next_value)


# %% wrong="q1" at_most=0 why="discounts the reward too" hint="There is one γ too many"
def td_targets(reward, next_value, terminated, truncated, discount):
    return discount * (reward + torch.where(terminated, 0.0, next_value))


# %% wrong="q1" at_most=0 why="discounts the reward in place of the value" hint="γ stands before the wrong term"
def td_targets(reward, next_value, terminated, truncated, discount):
    return discount * reward + torch.where(terminated, 0.0, next_value)


# %% wrong="q1" at_most=0 why="the value of the current state" hint="You take the value of the state *in which*"
def td_targets(reward, next_value, terminated, truncated, discount):
    value = next_value.clone()
    value[1:] = next_value[:-1]
    return reward + discount * torch.where(terminated, 0.0, value)


# %% wrong="q1" at_most=0 why="the value of the state after the next" hint="You look one step too far"
def td_targets(reward, next_value, terminated, truncated, discount):
    value = next_value.clone()
    value[:-1] = next_value[1:]
    return reward + discount * torch.where(terminated, 0.0, value)


# %% wrong="q1" at_most=0 why="no value at all" hint="That is the reward alone"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward


# %% wrong="q1" at_most=0 why="subtracts the value" hint="A sign is turned"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward - discount * torch.where(terminated, 0.0, next_value)


# %% right="q1" why="with a factor of zeros and ones"
def td_targets(reward, next_value, terminated, truncated, discount):
    return reward + discount * next_value * ~terminated


# %% right="q1" why="in place, where it goes on"
def td_targets(reward, next_value, terminated, truncated, discount):
    goes_on = terminated.logical_not()
    reward[goes_on] += discount * next_value[goes_on]
    return reward


# %% right="q1" why="plain numbers, entry by entry"
def td_targets(reward, next_value, terminated, truncated, discount):
    return [[r if over else r + discount * v for r, v, over in zip(*rows)]
            for rows in zip(reward.tolist(), next_value.tolist(), terminated.tolist())]


# %% [markdown]
# **See it.** The smallest problem with a time limit: one state, in which every step pays 1, for ever, and every 20
# steps the time limit starts it anew. With $\gamma = 0.9$ the state is worth $1 + 0.9 + 0.9^2 + \dots = 10$. A
# critic that begins at 0 and is set to the average of your targets, again and again, finds that out without ever
# seeing an end. And if somebody hands you the time limit as the end of the problem? Guess before you run the cell
# ([`curves`](../rlcourse/plots/curves.py)).

# %%
from rlcourse.plots.curves import curves


def one_state():
    """The value of a state that pays 1 for ever, round after round, with your targets."""
    steps = torch.arange(1, 201)[:, None]
    limit, never = steps % 20 == 0, steps < 0
    series = {}
    for label, flags in (("the time limit as truncation", (never, limit)),
                         ("the time limit as termination", (limit, never))):
        value, values = 0.0, [0.0]
        for _ in range(100):
            targets = td_targets(torch.ones(200, 1).double(), torch.full((200, 1), value).double(), *flags, 0.9)
            value = float(torch.as_tensor(targets).mean())
            values.append(value)
        series[label] = (range(101), values)
        print(f"{label}: after 100 rounds V = {value:.2f}")
    return curves(series, title="One state that pays 1 for ever", xlabel="rounds of fitting", ylabel="V")


ex.demo("q1", one_state)

# %% [markdown]
# One step in twenty says that the world is over, and a state worth 10 is valued at 6.90, the solution of
# $V = 1 + 0.9 \cdot \tfrac{19}{20} V$. Nothing looks wrong on the way: the curve rises, and it settles.

# %% [markdown]
# ## q2 · Several rewards before you ask
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 20 minutes · topic A6*
#
# The target of q1 believes the critic after a single step; the sum of all rewards never believes it. Between the
# two lies a whole scale: take $n$ rewards, and *then* ask (Watkins 1989, section A6),
#
# $$y_t^n = r_t + \gamma \, r_{t+1} + \dots + \gamma^{m-1} r_{t+m-1} + \gamma^m \, V(s_{t+m}),
# \qquad m = \min(n, \text{steps left}).$$
#
# The critic's error now counts only $\gamma^m$, and every further reward brings its noise. Steps are left up to
# the end of the episode or of the rollout, and what follows the last of them is as in q1: nothing if it
# terminated, $\gamma^m V$ of its true successor otherwise, whether the time limit struck, the rollout stopped or
# $n$ steps were simply over.
#
# <details><summary>Hint</summary>
#
# Two loops are a good answer: for every step and environment walk ahead for at most `steps` steps, add up, and
# stop after a step that ends. Keep in mind the row of the last step: its `next_value` is the one you need.
#
# </details>
#
# <details><summary>A second hint</summary>
#
# It also goes without walking: what is $y_t^n$, if you know $y_{t+1}^{n-1}$? And what if the episode ends with
# step $t$, or $t$ is the last row? Begin with the targets of q1, which are $y^1$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *index 5 is out of bounds for dimension 0 with size 5*: you walked beyond the last row. Stop there as at an end.
#
# *Boolean value of Tensor with more than one value is ambiguous*: `if ended[t]` met a whole row. Loop over the
# environments too (`ended[t, n]`), or use `torch.where`.
#
# *Right numbers, but some are changed later*: `answer = reward` is the same tensor under a second name. Begin with
# `torch.zeros_like(reward)`.
#
# </details>


# %% q="q2"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    """What V(sₜ) is fitted to, from up to `steps` rewards and the critic's value of what comes after them.

    reward, next_value, terminated, truncated [T, N] and discount as in q1: the row after an end of either
    kind belongs to a new episode. steps: n, a whole number of at least 1. Returns yⁿ [T, N].
    """
    ### SOLUTION
    one_step = reward + discount * torch.where(terminated, 0.0, next_value)
    ended = terminated | truncated
    answer = one_step
    for _ in range(min(steps, len(reward)) - 1):
        longer = reward[:-1] + discount * answer[1:]
        answer = torch.cat([torch.where(ended[:-1], one_step[:-1], longer), one_step[-1:]])
    return answer
    ### END


# %% tags=["check"]
ex.check("q2")


# %% wrong="q2" at_most=1 why="one reward too many" hint="One reward too many: n steps"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps + 1, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if k < t + steps:
                    last = k
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount ** (last - t + 1) * next_value[last, n]
    return answer


# %% wrong="q2" at_most=1 why="n + 1 steps" hint="You take n + 1 steps"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    one_step = reward + discount * torch.where(terminated, 0.0, next_value)
    ended, answer = terminated | truncated, one_step
    for _ in range(steps):
        longer = reward[:-1] + discount * answer[1:]
        answer = torch.cat([torch.where(ended[:-1], one_step[:-1], longer), one_step[-1:]])
    return answer


# %% wrong="q2" at_most=0 why="one power of γ too few" hint="The value has one γ too few"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount ** (k - t) * next_value[k, n]
    return answer


# %% wrong="q2" at_most=0 why="γ once, whatever n" hint="The value counts only γ"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount * next_value[k, n]
    return answer


# %% wrong="q2" at_most=0 why="γⁿ where fewer steps are left" hint="The exponent of γ is n even where fewer"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount**steps * next_value[k, n]
    return answer


# %% wrong="q2" at_most=1 why="leaks across the ends" hint="Rewards leak out of other episodes"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    one_step = reward + discount * torch.where(terminated, 0.0, next_value)
    answer = one_step
    for _ in range(min(steps, len(reward)) - 1):
        answer = torch.cat([reward[:-1] + discount * answer[1:], one_step[-1:]])
    return answer


# %% wrong="q2" at_most=1 why="leaks across time limits" hint="Rewards leak over time limits"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    one_step = reward + discount * torch.where(terminated, 0.0, next_value)
    answer = one_step
    for _ in range(min(steps, len(reward)) - 1):
        longer = reward[:-1] + discount * answer[1:]
        answer = torch.cat([torch.where(terminated[:-1], one_step[:-1], longer), one_step[-1:]])
    return answer


# %% wrong="q2" at_most=1 why="the value n steps later, always" hint="The value comes from another episode"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount ** (k - t + 1) * next_value[min(t + steps, len(reward)) - 1, n]
    return answer


# %% wrong="q2" at_most=1 why="a value behind the end" hint="You ask the critic about a state behind the end"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    one_step = reward + discount * next_value
    ended, answer = terminated | truncated, one_step
    for _ in range(min(steps, len(reward)) - 1):
        longer = reward[:-1] + discount * answer[1:]
        answer = torch.cat([torch.where(ended[:-1], one_step[:-1], longer), one_step[-1:]])
    return answer


# %% wrong="q2" at_most=2 why="no value at the time limit" hint="You treat the time limit as the end"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    ended = terminated | truncated
    one_step = reward + discount * torch.where(ended, 0.0, next_value)
    answer = one_step
    for _ in range(min(steps, len(reward)) - 1):
        longer = reward[:-1] + discount * answer[1:]
        answer = torch.cat([torch.where(ended[:-1], one_step[:-1], longer), one_step[-1:]])
    return answer


# %% wrong="q2" at_most=0 why="no value where the rollout stops" hint="Where the rollout stops before n steps"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if truncated[k, n] and not terminated[k, n] or k == t + steps - 1 and not terminated[k, n]:
                answer[t, n] += discount ** (k - t + 1) * next_value[k, n]
    return answer


# %% wrong="q2" at_most=0 why="a value after n steps only" hint="Wherever there are fewer than n steps"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, t + steps):
                if k == len(reward):
                    break
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            else:
                answer[t, n] += discount**steps * next_value[k, n]
    return answer


# %% wrong="q2" at_most=0 why="the last rows stay empty" hint="The last rows are empty"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0] - steps + 1):
        for n in range(reward.shape[1]):
            for k in range(t, t + steps):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount ** (k - t + 1) * next_value[k, n]
    return answer


# %% wrong="q2" at_most=0 why="the value one row too late" hint="You take the value one step too late"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount ** (k - t + 1) * next_value[min(k + 1, len(reward) - 1), n]
    return answer


# %% wrong="q2" at_most=0 why="rewards without a discount" hint="The rewards are not discounted"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount ** (k - t + 1) * next_value[k, n]
    return answer


# %% wrong="q2" at_most=1 why="sums to the end" hint="`steps` is ignored"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    one_step = reward + discount * torch.where(terminated, 0.0, next_value)
    ended, rows = terminated | truncated, [one_step[-1]]
    for t in reversed(range(len(reward) - 1)):
        rows.append(torch.where(ended[t], one_step[t], reward[t] + discount * rows[-1]))
    return torch.stack(rows[::-1])


# %% wrong="q2" at_most=0 why="one step only" hint="That is the target of q1, with one reward"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    return reward + discount * torch.where(terminated, 0.0, next_value)


# %% wrong="q2" at_most=0 why="rewards alone" hint="Those are the rewards alone"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    ended, answer = terminated | truncated, reward
    for _ in range(min(steps, len(reward)) - 1):
        answer = torch.cat([reward[:-1] + discount * torch.where(ended[:-1], 0.0, answer[1:]), reward[-1:]])
    return answer


# %% right="q2" why="walking ahead, step by step"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    answer = torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            for k in range(t, min(t + steps, len(reward))):
                answer[t, n] += discount ** (k - t) * reward[k, n]
                if terminated[k, n] or truncated[k, n]:
                    break
            if not terminated[k, n]:
                answer[t, n] += discount ** (k - t + 1) * next_value[k, n]
    return answer


# %% right="q2" why="all environments at once, one step ahead after the other"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    rows = []
    for t in range(len(reward)):
        total, still = torch.zeros_like(reward[0]), torch.ones_like(terminated[0])
        end = min(t + steps, len(reward))
        for k in range(t, end):
            last = terminated[k] | truncated[k] | (k == end - 1)
            total = total + still * discount ** (k - t) * reward[k]
            total = total + (still & last & ~terminated[k]) * discount ** (k - t + 1) * next_value[k]
            still = still & ~last
        rows.append(total)
    return torch.stack(rows)


# %% right="q2" why="the values as rewards of the last step"
def n_step_targets(reward, next_value, terminated, truncated, discount, steps):
    length = len(reward)
    ended = terminated | truncated
    answer = torch.zeros_like(reward)
    for n in range(reward.shape[1]):
        stops = [t for t in range(length) if ended[t, n] or t == length - 1]
        for t in range(length):
            last = min(t + steps - 1, min(stop for stop in stops if stop >= t))
            powers = discount ** torch.arange(last + 2 - t, dtype=reward.dtype)
            after = torch.where(terminated[last, n], 0.0, next_value[last, n])
            answer[t, n] = powers @ torch.cat([reward[t:last + 1, n], after[None]])
    return answer


# %% [markdown]
# **See it.** How many steps are best? The two rooms of lecture 03 ([`two_rooms`](../rlcourse/envs/two_rooms.py)),
# under a policy that takes either action with probability ½: what their states are worth is known exactly
# ([`policy_evaluation`](../rlcourse/exact/evaluation.py)). Your targets for the first step of 300 streams
# ([`DynamicsSource`](../rlcourse/data/sources.py), with chance from a [`generator`](../rlcourse/core/seeding.py))
# are compared with that, for three critics: one that knows nothing, one that values everything at half its worth,
# and one that is right. In each case, which $n$ gives the smallest error?

# %%
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.two_rooms import two_rooms
from rlcourse.exact.evaluation import policy_evaluation


def how_many_steps():
    """The error of your n-step targets for n = 1 … 12, with three critics."""
    rooms, random, discount = two_rooms(), generator(0, "rooms of exercise 04"), 0.8
    exact = policy_evaluation(rooms, torch.full((2, 2), 0.5).double(), discount)
    source = DynamicsSource(rooms, 1, 300, random=random, dtype=torch.float64)
    first = source.state[0].clone()
    taken = [source.step(torch.randint(2, (1, 300), generator=random)) for _ in range(12)]
    reward = torch.stack([step.reward[0] for step in taken])
    reached = torch.stack([step.next_obs[0] for step in taken])
    never, numbers, series = torch.zeros_like(reward).bool(), [1, 2, 3, 4, 6, 8, 12], {}
    for critic, knows in (("knows nothing", 0.0), ("knows half", 0.5), ("is right", 1.0)):
        targets = [n_step_targets(reward, knows * exact[reached], never, never, discount, n) for n in numbers]
        error = torch.stack([torch.as_tensor(each, dtype=torch.float64)[0] for each in targets]) - exact[first]
        root = error.square().mean(1).sqrt()
        series[f"a critic that {critic}"] = (numbers, root)
        print(f"a critic that {critic}: error {root[0]:.2f} at n = 1, {root[-1]:.2f} at n = 12")
    return curves(series, title="n-step targets in the two rooms", xlabel="n",
                  ylabel="root of the mean squared error")


ex.demo("q2", how_many_steps)

# %% [markdown]
# At $n = 12$ the critic hardly counts any more, and all three meet: what is left is the noise of twelve rewards.
# At $n = 1$ it is the critic that decides. The better it is, the fewer rewards one should take before asking it,
# and no $n$ is best from the first day of training to the last.

# %% [markdown]
# ## q3 · Generalised advantages
#
# *6 points · difficulty 3 of 5 · importance 5 of 5 · about 20 minutes · topic A6*
#
# Which $n$, then? Generalised advantage estimation (Schulman and others 2016) takes them all, the shorter ones
# with more weight, and needs no more than one line of recursion for it. It stands in most policy-gradient
# programs of today, and most of the mistakes that can be made in it have been made there too. It begins with the TD
# errors, how much better each step went than the critic expected,
#
# $$\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t),$$
#
# and gives each action credit for what surprised the critic from then on, later surprises by a factor
# $\gamma\lambda$ less for every step:
#
# $$\hat A_t = \delta_t + \gamma\lambda \, \hat A_{t+1} .$$
#
# | step $t$ | $V(s_{t+1})$ in $\delta_t$ | $\hat A_{t+1}$ |
# |---|---|---|
# | inside an episode | `next_value[t]` | yes |
# | `truncated[t]` alone | `next_value[t]` | no: the next row belongs to another episode |
# | `terminated[t]`, whatever `truncated[t]` says | 0 | no |
# | the last row, if nothing ends there | `next_value[t]` | no: there is none |
#
# So `terminated` asks for two cuts, and `truncated` for one. That is all.
#
# <details><summary>Hint</summary>
#
# First all δ at once: they are the targets of q1 less `value`. Then one loop, backwards in time, that begins with
# zeros and keeps Âₜ₊₁ only where neither flag is True at step t.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *index 60 is out of bounds for dimension 0 with size 60*: there is no row after the last. If you begin with a row
# of zeros you need not look there.
#
# *Boolean value of Tensor with more than one value is ambiguous*: `if ended[t]` met a whole row, in which some
# episodes end and others do not: `torch.where(ended[t], this, that)`.
#
# *unsupported operand type(s) for +: … 'reversed'* or a list in the wrong order: a loop backwards in time collects
# the last row first; `torch.stack(rows[::-1])` turns the list round.
#
# </details>


# %% q="q3"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    """Generalised advantage estimates, along rollouts in which episodes end.

    reward [T, N]. value [T, N]: V(sₜ). next_value [T, N]: V of the state that step t truly led to, which at an
    end is not value[t + 1]. terminated, truncated [T, N] (bool): the two kinds of ends, as in q1.
    discount: γ. gae_lambda: λ. Returns Â [T, N].
    """
    ### SOLUTION
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended = terminated | truncated
    later = torch.zeros_like(reward[0])
    rows = []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])
    ### END


# %% tags=["check"]
ex.check("q3")


# %% wrong="q3" at_most=1 why="leaks across the ends" hint="Advantages leak from one episode"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * later
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=2 why="leaks across time limits" hint="Advantages leak over time limits"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(terminated[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=1 why="bootstraps through the end" hint="δ looks behind the end of the problem"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * next_value - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=1 why="knows no ends at all" hint="And nothing stops the recursion there"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * next_value - value
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * later
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=2 why="no value at the time limit" hint="δ treats the time limit as the end"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        error = reward[t] + discount * next_value[t] * ~ended[t] - value[t]
        later = error + discount * gae_lambda * later * ~ended[t]
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=2 why="the value of the next row at ends" hint="At an end you take V from the next row"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    following = torch.cat([value[1:], next_value[-1:]])
    error = reward + discount * following * ~terminated - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="no value after the last row" hint="and after the last row there is none"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    following = torch.cat([value[1:], torch.zeros_like(value[-1:])])
    error = reward + discount * following * ~terminated - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="δ without the value" hint="−V(s) is missing in δ"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value)
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="λ forgotten" hint="λ is forgotten"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="γ forgotten in the recursion" hint="γ is forgotten in the recursion"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="the TD errors alone" hint="Those are the TD errors"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    return reward + discount * torch.where(terminated, 0.0, next_value) - value


# %% wrong="q3" at_most=0 why="γλ before δ" hint="γλ stands before the wrong term"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = discount * gae_lambda * error[t] + torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="λ in δ" hint="λ slipped into δ"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    both = discount * gae_lambda
    error = reward + both * torch.where(terminated, 0.0, next_value) - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + both * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="forwards in time" hint="You sum forwards in time"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, before, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in range(len(reward)):
        before = error[t] + discount * gae_lambda * before
        rows.append(before)
        before = torch.where(ended[t], 0.0, before)
    return torch.stack(rows)


# %% wrong="q3" at_most=1 why="cut one step early" hint="The recursion is cut one step too early"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, rows = terminated | truncated, [error[-1]]
    for t in reversed(range(len(reward) - 1)):
        rows.append(error[t] + discount * gae_lambda * torch.where(ended[t + 1], 0.0, rows[-1]))
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="the λ-return" hint="V(s) has been added"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later + value[t])
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="expected minus found" hint="The sign is turned"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = value - reward - discount * torch.where(terminated, 0.0, next_value)
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q3" at_most=0 why="the list is not turned round" hint="The right numbers in reversed order"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows)


# %% wrong="q3" at_most=0 why="normalised" hint="You normalise"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * torch.where(terminated, 0.0, next_value) - value
    ended, later, rows = terminated | truncated, torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = error[t] + discount * gae_lambda * torch.where(ended[t], 0.0, later)
        rows.append(later)
    answer = torch.stack(rows[::-1])
    return (answer - answer.mean()) / (answer.std() + 1e-8)


# %% right="q3" why="the sum as it stands, with a factor for each pair of steps"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    error = reward + discount * next_value * ~terminated - value
    goes_on = discount * gae_lambda * ~(terminated | truncated)
    answer = torch.zeros_like(reward)
    for t in range(len(reward)):
        factor = torch.ones_like(reward[t])
        for k in range(t, len(reward)):
            answer[t] += factor * error[k]
            factor = factor * goes_on[k]
    return answer


# %% right="q3" why="in place, backwards"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    answer = reward + discount * next_value * (1 - terminated.to(reward.dtype)) - value
    keep = 1 - (terminated | truncated).to(reward.dtype)
    for t in reversed(range(len(answer) - 1)):
        answer[t] += discount * gae_lambda * keep[t] * answer[t + 1]
    return answer


# %% right="q3" why="plain numbers, column by column"
def gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    columns = []
    for steps in zip(*(rows.T.tolist() for rows in (reward, value, next_value, terminated, truncated))):
        later, column = 0.0, []
        for r, v, after, over, cut in reversed(list(zip(*steps))):
            later = r + (0.0 if over else discount * after) - v + (
                0.0 if over or cut else discount * gae_lambda * later)
            column.insert(0, later)
        columns.append(column)
    return torch.tensor(columns, dtype=reward.dtype).T


# %% [markdown]
# **See it.** Your function in the place where it is used all over the world: in PPO
# ([`ppo`](../rlcourse/algorithms/ppo.py)), with a critic ([`ValueNet`](../rlcourse/nets/values.py)) that learns at
# the same time as the policies ([`CategoricalHead`](../rlcourse/nets/heads_categorical.py),
# [`Policy`](../rlcourse/nets/policies.py)). Eight runs balance the pole
# ([`CartPole`](../rlcourse/envs/cartpole.py)), for a few seconds, and
# [`watch`](../rlcourse/widgets/app/watch.py) shows all of them
# ([`learning_curve`](../rlcourse/plots/learning.py)). A rollout has 32 steps of 16 environments for each run: most
# of the rollouts contain falls, and soon also pieces of episodes that have no end in sight.

# %% tags=["unstable-picture"]
from rlcourse.algorithms import ppo
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet
from rlcourse.plots.learning import learning_curve
from rlcourse.widgets.app.watch import watch


def balance():
    """Eight policies and critics learn to balance a pole, with your advantages."""
    def advantages(reward, value, next_value, terminated, truncated, discount, gae_lambda):
        answer = gae(reward.clone(), value, next_value, terminated, truncated, discount, gae_lambda)
        return torch.as_tensor(answer, dtype=reward.dtype)

    pole, net = CartPole(), dict(runs=8, seed=0, hidden=(32,), dtype=torch.float32)
    policy, critic = Policy(CategoricalHead(4, 2, **net), pole.action_space), ValueNet(4, **net)
    source = DynamicsSource(pole, runs=8, environments=16, random=generator(0, "poles of exercise 04"))
    config = ppo.Config(total_steps=12_000, learning_rate=0.01)
    learning = ppo.train(source, policy, critic, config, seed=0, gae=advantages)
    draw = learning_curve("Your advantages in PPO, on CartPole", total=12_288, top=500)
    last = watch(learning, 12_288, draw=draw, runs=8, name="PPO with your function")
    print("at first no pole stands for 50 steps on average:", bool((last.curve[0][1] < 50).all()))
    long = last.episode_return > 100
    print("now at least 6 of the 8 policies keep it up for more than 100:", bool(long.sum() >= 6))


ex.demo("q3", balance)

# %% [markdown]
# ## q4 · What λ mixes
#
# *4 points · difficulty 2 of 5 · importance 3 of 5 · about 12 minutes · topic A6*
#
# You have written two things that look unlike each other: estimates with $n$ rewards, and a recursion with
# $\lambda$. They are one. On an endless stream the advantage of q3 is a weighted mean of all n-step
# advantages $\hat A^n_t = y^n_t - V(s_t)$, with weights that sum to 1 and fall by the factor $\lambda$ from one to
# the next, $(1 - \lambda)\, \lambda^{n-1}$.
#
# But nobody has endless streams. If only $N$ steps are left, $n = N + 1, N + 2, \dots$ all stop where the $N$-step
# estimate stops. They *are* the $N$-step estimate, which therefore inherits their weights. So which weights $w_1
# \dots w_N$ make
#
# $$\hat A_t = \sum_{n=1}^{N} w_n \, \hat A^n_t$$
#
# true on a segment of $N$ steps, exactly?
#
# <details><summary>Hint</summary>
#
# All but the last are as on the endless stream. Together the weights are 1, so what does $w_N$ have to be? You can
# subtract, or sum the series $(1 - \lambda)(\lambda^{N-1} + \lambda^N + \dots)$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *tensors used as indices must be long* or *result type Float can't be cast to Long*: `torch.arange(length)` holds
# whole numbers. `torch.arange(length, dtype=torch.float64)` does not.
#
# *ZeroDivisionError*: at $\lambda = 1$ you divide by $1 - \lambda$. Nothing needs to be divided here.
#
# </details>


# %% q="q4"
def lambda_weights(length, gae_lambda):
    """How GAE weighs the n-step estimates where N = `length` steps are left: [N], entry n − 1 for n steps.

    length: at least 1. gae_lambda: λ, from 0 to 1. Float64.
    """
    ### SOLUTION
    weights = (1 - gae_lambda) * gae_lambda ** torch.arange(length, dtype=torch.float64)
    weights[-1] = gae_lambda ** (length - 1)
    return weights
    ### END


# %% tags=["check"]
ex.check("q4")


# %% wrong="q4" at_most=0 why="without the leftover" hint="The weights do not sum to 1"
def lambda_weights(length, gae_lambda):
    return (1 - gae_lambda) * gae_lambda ** torch.arange(length, dtype=torch.float64)


# %% wrong="q4" at_most=1 why="renormalised" hint="You divided by the sum"
def lambda_weights(length, gae_lambda):
    weights = gae_lambda ** torch.arange(length, dtype=torch.float64)
    return weights / weights.sum()


# %% wrong="q4" at_most=1 why="exponents one too large" hint="The exponent is one too large"
def lambda_weights(length, gae_lambda):
    weights = (1 - gae_lambda) * gae_lambda ** torch.arange(1, length + 1, dtype=torch.float64)
    weights[-1] = gae_lambda**length
    return weights


# %% wrong="q4" at_most=2 why="exponents one too large, the last one right" hint="The exponent is one too large"
def lambda_weights(length, gae_lambda):
    weights = (1 - gae_lambda) * gae_lambda ** torch.arange(1, length + 1, dtype=torch.float64)
    weights[-1] = gae_lambda ** (length - 1)
    return weights


# %% wrong="q4" at_most=0 why="exponents too large, no leftover" hint="And the weights of estimates longer"
def lambda_weights(length, gae_lambda):
    return (1 - gae_lambda) * gae_lambda ** torch.arange(1, length + 1, dtype=torch.float64)


# %% wrong="q4" at_most=1 why="without 1 − λ" hint="1 − λ is missing"
def lambda_weights(length, gae_lambda):
    return gae_lambda ** torch.arange(length, dtype=torch.float64)


# %% wrong="q4" at_most=1 why="the leftover alone at the end" hint="only the leftover of the estimates *beyond*"
def lambda_weights(length, gae_lambda):
    weights = (1 - gae_lambda) * gae_lambda ** torch.arange(length, dtype=torch.float64)
    weights[-1] = 1 - weights.sum()
    return weights


# %% wrong="q4" at_most=1 why="the longest one counts twice" hint="The longest estimate counts twice"
def lambda_weights(length, gae_lambda):
    weights = (1 - gae_lambda) * gae_lambda ** torch.arange(length, dtype=torch.float64)
    weights[-1] += gae_lambda ** (length - 1)
    return weights


# %% wrong="q4" at_most=1 why="from long to short" hint="The order is turned round"
def lambda_weights(length, gae_lambda):
    weights = (1 - gae_lambda) * gae_lambda ** torch.arange(length, dtype=torch.float64)
    weights[-1] = gae_lambda ** (length - 1)
    return weights.flip(0)


# %% wrong="q4" at_most=1 why="all alike" hint="All weights are alike"
def lambda_weights(length, gae_lambda):
    return torch.ones(length, dtype=torch.float64) / length


# %% right="q4" why="what is missing to 1"
def lambda_weights(length, gae_lambda):
    weights = [(1 - gae_lambda) * gae_lambda ** (n - 1) for n in range(1, length)]
    return torch.tensor([*weights, 1 - sum(weights)], dtype=torch.float64)


# %% right="q4" why="differences of what is left"
def lambda_weights(length, gae_lambda):
    left = gae_lambda ** torch.arange(length, dtype=torch.float64)
    return left - torch.cat([left[1:], torch.zeros(1, dtype=torch.float64)])


# %% right="q4" why="stick breaking, plain numbers"
def lambda_weights(length, gae_lambda):
    left, weights = 1.0, []
    for _ in range(length - 1):
        weights.append(left * (1 - gae_lambda))
        left = left * gae_lambda
    return [*weights, left]


# %% [markdown]
# **See it.** Your weights for the 32 steps of a rollout as in q3, summed up: how much of the advantage comes from
# estimates with at most $n$ rewards?


# %%
def what_lambda_mixes():
    """The weights of at most n steps, for some λ, where 32 steps are left."""
    series = {}
    for gae_lambda in (0.9, 0.95, 0.99):
        weights = torch.as_tensor(lambda_weights(32, gae_lambda), dtype=torch.float64)
        series[f"λ = {gae_lambda}"] = (range(1, 33), weights.cumsum(0))
        rewards = float(weights @ torch.arange(1.0, 33.0, dtype=torch.float64))
        print(f"λ = {gae_lambda:.2f}: {rewards:.1f} rewards on average, {weights[-1]:.0%} for the longest one")
    return curves(series, title="Where 32 steps are left", xlabel="n", ylabel="weight of at most n steps")


ex.demo("q4", what_lambda_mixes)

# %% [markdown]
# The jump at the right edge is the leftover. For the customary $\lambda = 0.95$ it is a fifth of the whole weight,
# for 0.99 nearly three quarters: with short rollouts such a λ is hardly a mixture. And who leaves the leftover
# out, or spreads it over all, computes something that no recursion gives.

# %% [markdown]
# ## q5 · A critic that is wrong by a constant, on paper
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 15 minutes · topic A6*
#
# Critics are wrong, above all in the beginning, and the simplest error is one of level: everything is valued too
# high, or too low, because the policy has changed since or because the targets come from the critic itself. So let
# the critic be wrong by the same amount in *every* state, $V(s) = V^\pi(s) + c$. The policy is π, and the stream
# has no ends. Then on average
#
# $$\mathbb{E}\bigl[ \hat A_t \mid s_t, a_t \bigr] = A^\pi(s_t, a_t) + b .$$
#
# Take paper and find $b$ for any $\gamma$ and $\lambda$ with $\gamma\lambda < 1$. Before you calculate, make a
# guess: which λ suffers more from a wrong critic, 0 or 1?
#
# <details><summary>Hint</summary>
#
# $\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)$: by how much does it change, if both values are too large by $c$?
# And $\hat A_t$ is the sum $\delta_t + \gamma\lambda\, \delta_{t+1} + (\gamma\lambda)^2 \delta_{t+2} + \dots$
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *ZeroDivisionError*: at λ = 1 you divide by 1 − λ, or at γ = 0 by γ. A geometric series is
# $1 + q + q^2 + \dots = 1 / (1 - q)$: what is $q$ here?
#
# *must be Tensor, not float*: all arguments are plain Python numbers, so `+`, `-`, `*` and `/` are all you need.
#
# </details>


# %% q="q5"
def bias(offset, discount, gae_lambda):
    """b, the error of the mean of Â on an endless stream, where every value is wrong by the same amount.

    offset: c, how much too large all values are. discount: γ < 1. gae_lambda: λ, from 0 to 1. Plain numbers.
    """
    ### SOLUTION
    return -offset * (1 - discount) / (1 - discount * gae_lambda)
    ### END


# %% tags=["check"]
ex.check("q5")


# %% wrong="q5" at_most=0 why="the sign" hint="The sign is turned"
def bias(offset, discount, gae_lambda):
    return offset * (1 - discount) / (1 - discount * gae_lambda)


# %% wrong="q5" at_most=1 why="one δ, whatever λ" hint="That is the error of one δ"
def bias(offset, discount, gae_lambda):
    return offset * (discount - 1)


# %% wrong="q5" at_most=1 why="λ = 1 only" hint="That is right for λ = 1 alone"
def bias(offset, discount, gae_lambda):
    return -offset * (1 - discount) / (1 - discount)


# %% wrong="q5" at_most=0 why="forgets the error of V(s')" hint="The error of V(s') is forgotten"
def bias(offset, discount, gae_lambda):
    return -offset / (1 - discount * gae_lambda)


# %% wrong="q5" at_most=0 why="forgets the error of V(s)" hint="The error of V(s) is forgotten"
def bias(offset, discount, gae_lambda):
    return discount * offset / (1 - discount * gae_lambda)


# %% wrong="q5" at_most=0 why="no bias" hint="The two errors in δ do not cancel quite"
def bias(offset, discount, gae_lambda):
    return 0.0


# %% wrong="q5" at_most=1 why="the ratio is λ" hint="The sum has the ratio λ"
def bias(offset, discount, gae_lambda):
    return -offset * (1 - discount) / (1 - gae_lambda) if gae_lambda < 1 else float("-inf")


# %% wrong="q5" at_most=1 why="multiplies by 1 − γλ" hint="You multiply by 1 − γλ"
def bias(offset, discount, gae_lambda):
    return -offset * (1 - discount) * (1 - discount * gae_lambda)


# %% wrong="q5" at_most=1 why="a factor λ too many" hint="Your sum begins with the factor λ"
def bias(offset, discount, gae_lambda):
    return -offset * (1 - discount) * gae_lambda / (1 - discount * gae_lambda)


# %% wrong="q5" at_most=0 why="without the first term" hint="Your sum leaves out its first term"
def bias(offset, discount, gae_lambda):
    ratio = discount * gae_lambda
    return -offset * (1 - discount) * ratio / (1 - ratio)


# %% wrong="q5" at_most=0 why="of the λ-return" hint="That is the bias of the λ-return"
def bias(offset, discount, gae_lambda):
    return offset * discount * (1 - gae_lambda) / (1 - discount * gae_lambda)


# %% wrong="q5" at_most=1 why="a factor 1 − λ too many" hint="A factor 1 − λ too many"
def bias(offset, discount, gae_lambda):
    return -offset * (1 - discount) * (1 - gae_lambda) / (1 - discount * gae_lambda)


# %% wrong="q5" at_most=1 why="without c" hint="Your result does not depend on c"
def bias(offset, discount, gae_lambda):
    return -(1 - discount) / (1 - discount * gae_lambda)


# %% right="q5" why="as the mixture of n-step estimates"
def bias(offset, discount, gae_lambda):
    # n steps are wrong by γⁿ c − c; Σ (1 − λ) λⁿ⁻¹ γⁿ = (1 − λ) γ / (1 − γλ).
    return offset * ((1 - gae_lambda) * discount / (1 - discount * gae_lambda) - 1)


# %% right="q5" why="by the recursion, until nothing changes"
def bias(offset, discount, gae_lambda):
    answer = 0.0
    for _ in range(5000):
        answer = offset * (discount - 1) + discount * gae_lambda * answer
    return answer


# %% right="q5" why="with tensors"
def bias(offset, discount, gae_lambda):
    powers = (discount * gae_lambda) ** torch.arange(3000, dtype=torch.float64)
    return (powers * (discount * offset - offset)).sum()


# %% [markdown]
# **See it.** The larger λ, the *larger* the error: from a hundredth of $c$ at λ = 0 to all of it at λ = 1, if γ =
# 0.99. Is λ = 0 then the safest choice against a wrong critic? Not at all, and the next picture shows why. Your
# formula is for a stream without an end; here the problem is over after some more steps, and the library's
# [`returns.gae`](../rlcourse/equations/returns.py) measures the error.

# %%
from rlcourse.equations import returns


def before_the_end():
    """The error of Â for c = 1 against the number of steps until the problem is over."""
    left, discount, zero = list(range(1, 101)), 0.99, torch.zeros(100, 1).double()
    over, never, series = torch.arange(100)[:, None] == 99, zero.bool(), {}
    for gae_lambda in (0.0, 0.9, 0.95, 1.0):
        error = returns.gae(zero, zero + 1, zero + 1, over, never, discount=discount, gae_lambda=gae_lambda)
        series[f"λ = {gae_lambda}"] = (left, error.flip(0).flatten())
        print(f"λ = {gae_lambda:.2f}: without an end {bias(1.0, discount, gae_lambda):6.3f} by your formula; "
              f"100 steps before the end {error[0].item():6.3f}, in the last step {error[-1].item():6.3f}")
    return curves(series, title="All values too large by c = 1, γ = 0.99",
                  xlabel="steps until the problem is over", ylabel="error of Â")


ex.demo("q5", before_the_end)

# %% [markdown]
# What matters is not how large the error is, but whether it is *the same for every action*. An error that depends
# on neither the action nor anything that follows from it is a baseline: $\mathbb{E}[\nabla \log \pi(a \mid s)\, b]
# = 0$ (lecture 03, P4), and the gradient does not notice it on average. On an endless stream that is so for every
# λ. At λ = 1 it is also so here: the error is $-c$ at every distance from the end. For smaller λ it depends on how
# soon the end comes, and *that* is a consequence of what one does. With an optimistic critic, $c > 0$, actions
# that end the problem look worse than they are. With a pessimistic one they look better, and the extreme case is
# the one in which all training begins: $V = 0$ on CartPole, where every reward is 1. Then every δ is 1, also that
# of the step in which the pole falls, and λ = 0 sees nothing to learn from, where λ = 1 sees it all.

# %% [markdown]
# ## Your score

# %%
ex.score()
