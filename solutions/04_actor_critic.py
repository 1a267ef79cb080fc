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
# programs of today, and most of the mistakes that can be made in it have been made there. It begins with the TD
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
# ## q6 · The target of soft actor-critic
#
# *6 points · difficulty 3 of 5 · importance 5 of 5 · about 15 minutes · topic A8*
#
# An on-policy learner throws its data away after each update. With a *replay* of old transitions
# $(s, a, r, s')$ and a critic $Q(s, a)$ every step can teach a hundred times. Soft actor-critic (Haarnoja et al.
# 2018) does that, pays $\alpha$ in reward for each nat of entropy, and fits its critics to
#
# $$y = r + \gamma\, (1 - \text{terminated})
# \big( \min(Q_1(s', a'),\, Q_2(s', a')) - \alpha \log \pi(a' \mid s') \big), \qquad a' \sim \pi(\cdot \mid s').$$
#
# Four things are in that line. *Two critics*, because an actor looks for whatever flatters it, errors included;
# the smaller of two estimates holds less of them. The *entropy* of the next action, as a bonus: $H =
# -\operatorname{E} \log \pi$. The *end*, after which there is neither a value nor an action. And $a'$, which is
# drawn **now**, from the policy of today. The replay has a next action too, but that one was chosen by the policy
# of back then: with it you would learn the value of a policy that nobody follows any more. ($r$ and $s'$ may come
# from the replay, however old: they depend on $s$ and $a$ alone, and those are in $Q(s, a)$ as arguments.)
#
# You get what a program has at that point. Mind the shapes: critics are networks with one output, and such a
# network gives a column, `[B, 1]`.
#
# <details><summary>Hint</summary>
#
# What shape does `next_q1 - next_log_prob` have? Print it. `squeeze(-1)` takes the last axis away if its length is
# 1. After that it is one line: `torch.minimum`, and one pair of brackets around everything that belongs to $s'$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *Subtraction, the `-` operator, with a bool tensor is not supported*: `1 - terminated` does not work for
# booleans, `~terminated` does.
#
# *expected shape [4], got [4, 4]*: that is no error of PyTorch's, and that is the trouble. `[B]` and `[B, 1]` are
# spread over a matrix without a word, and the mean of its squares is a loss like any other.
#
# </details>


# %% q="q6"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    """What the critics of soft actor-critic are fitted to: y [B].

    reward [B]. terminated [B] (bool): the problem was over with this step. next_q1, next_q2 [B, 1]: the critics'
    values of (s', a'), with a' drawn now. next_log_prob [B]: log π(a'|s'). discount: γ. temperature: α.
    """
    ### SOLUTION
    next_q = torch.minimum(next_q1, next_q2).squeeze(-1)
    next_value = next_q - temperature * next_log_prob
    return reward + discount * ~terminated * next_value
    ### END


# %% tags=["check"]
ex.check("q6")


# %% wrong="q6" at_most=0 why="a matrix" hint="makes a matrix [B, B]"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2) - temperature * next_log_prob
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=0 why="a column, and then a matrix" hint="makes a matrix [B, B]"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2) - temperature * next_log_prob.unsqueeze(-1)
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=0 why="a column" hint="The numbers are right, in a column"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2) - temperature * next_log_prob[:, None]
    return reward[:, None] + discount * ~terminated[:, None] * next_value


# %% wrong="q6" at_most=0 why="the larger twin" hint="You take the larger of the twins"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.maximum(next_q1, next_q2).squeeze(-1) - temperature * next_log_prob
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=0 why="the mean of the twins" hint="You take the mean of the twins"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = (next_q1 + next_q2).squeeze(-1) / 2 - temperature * next_log_prob
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=1 why="only one critic" hint="Only the first critic is used"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return reward + discount * ~terminated * (next_q1.squeeze(-1) - temperature * next_log_prob)


# %% wrong="q6" at_most=1 why="only the other critic" hint="Only the second critic is used"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return reward + discount * ~terminated * (next_q2.squeeze(-1) - temperature * next_log_prob)


# %% wrong="q6" at_most=2 why="the minimum of the batch" hint="the smallest number of the whole batch"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.stack([next_q1, next_q2]).min() - temperature * next_log_prob
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=1 why="the entropy with the wrong sign" hint="The sign of the entropy is turned"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2).squeeze(-1) + temperature * next_log_prob
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=2 why="the entropy outside the mask" hint="The entropy stands outside the mask"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_q = ~terminated * torch.minimum(next_q1, next_q2).squeeze(-1)
    return reward + discount * (next_q - temperature * next_log_prob)


# %% wrong="q6" at_most=1 why="the entropy beside everything" hint="The entropy stands outside the mask"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_q = torch.minimum(next_q1, next_q2).squeeze(-1)
    return reward + discount * ~terminated * next_q - temperature * next_log_prob


# %% wrong="q6" at_most=1 why="the entropy not discounted" hint="The entropy is not discounted"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_q = torch.minimum(next_q1, next_q2).squeeze(-1)
    return reward + ~terminated * (discount * next_q - temperature * next_log_prob)


# %% wrong="q6" at_most=2 why="through the end" hint="You bootstrap through the end"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return reward + discount * (torch.minimum(next_q1, next_q2).squeeze(-1) - temperature * next_log_prob)


# %% wrong="q6" at_most=1 why="through the end, and the wrong sign" hint="And the mask is missing"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return reward + discount * (torch.minimum(next_q1, next_q2).squeeze(-1) + temperature * next_log_prob)


# %% wrong="q6" at_most=0 why="the mask turned round" hint="The mask is turned round"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2).squeeze(-1) - temperature * next_log_prob
    return reward + discount * terminated * next_value


# %% wrong="q6" at_most=2 why="the reward masked too" hint="You mask the reward too"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2).squeeze(-1) - temperature * next_log_prob
    return ~terminated * (reward + discount * next_value)


# %% wrong="q6" at_most=1 why="no entropy" hint="The entropy is missing"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return reward + discount * ~terminated * torch.minimum(next_q1, next_q2).squeeze(-1)


# %% wrong="q6" at_most=0 why="no temperature" hint="The temperature α is missing"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return reward + discount * ~terminated * (torch.minimum(next_q1, next_q2).squeeze(-1) - next_log_prob)


# %% wrong="q6" at_most=1 why="the temperature squared" hint="The temperature is squared"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2).squeeze(-1) - temperature ** 2 * next_log_prob
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=1 why="the probability" hint="You use the probability"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2).squeeze(-1) - temperature * next_log_prob.exp()
    return reward + discount * ~terminated * next_value


# %% wrong="q6" at_most=0 why="no discount" hint="The discount γ is missing"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return reward + ~terminated * (torch.minimum(next_q1, next_q2).squeeze(-1) - temperature * next_log_prob)


# %% wrong="q6" at_most=0 why="the mean over the batch" hint="Every sample needs its own target"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_value = torch.minimum(next_q1, next_q2).squeeze(-1) - temperature * next_log_prob
    return (reward + discount * ~terminated * next_value).mean()


# %% right="q6" why="with torch.where, the twins side by side"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    next_q = torch.cat([next_q1, next_q2], 1).min(1).values
    return torch.where(terminated, reward, reward + discount * (next_q - temperature * next_log_prob))


# %% right="q6" why="everything as columns"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    y = torch.minimum(next_q1, next_q2) - temperature * next_log_prob.unsqueeze(1)
    y = reward.unsqueeze(1) + discount * (1.0 - terminated.double().unsqueeze(1)) * y
    return y[:, 0]


# %% right="q6" why="plain numbers"
def sac_target(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    rows = zip(reward.tolist(), terminated.tolist(), next_q1[:, 0].tolist(), next_q2[:, 0].tolist(),
               next_log_prob.tolist())
    return [r if end else r + discount * (min(q1, q2) - temperature * log_prob)
            for r, end, q1, q2, log_prob in rows]


# %% [markdown]
# **See it.** Two experiments on one next state, both with a [`generator`](../rlcourse/core/seeding.py) for chance.
# First the twins: all actions are worth exactly 0, each critic is off by a noise of standard deviation 1, and the
# actor takes the action that its critic likes best. The picture ([`curves`](../rlcourse/plots/curves.py)) shows
# what the target then believes on average, for one critic, for the mean of two and for your function. Is the
# smaller of the two free of error? Then the next action: today's policy takes the good one of two actions nine
# times out of ten, the policies that filled the replay took it once in ten. Your function gets both kinds of $a'$.
# Before you run it: by how much will the targets differ?

# %%
from rlcourse.core.seeding import generator
from rlcourse.plots.curves import curves


def no_entropy(q1, q2):
    """Your target [B] for a step without reward, with γ = 1 and α = 0: nothing but the value of s'."""
    zeros = torch.zeros(len(q1), dtype=torch.float64)
    return torch.as_tensor(sac_target(zeros, zeros > 0, q1[:, None], q2[:, None], zeros, 1.0, 0.0))


def twins(most=20, samples=4000):
    """What is believed of a state worth 0, by the number of actions to choose from."""
    noise = torch.randn(2, samples, most, generator=generator(0, "twins"), dtype=torch.float64)
    series = {"one critic": [], "the mean of two": [], "yours": []}
    for actions in range(1, most + 1):
        first, second = noise[..., :actions]
        smaller = no_entropy(first.flatten(), second.flatten()).reshape(samples, actions)
        for label, belief in zip(series, (first, (first + second) / 2, smaller)):
            series[label].append(float(belief.max(1).values.mean()))
    return curves({label: (range(1, most + 1), row) for label, row in series.items()},
                  title="Every action is worth 0, and the actor takes what its critic likes best",
                  xlabel="actions to choose from", ylabel="mean of the target")


def old_actions(samples=20_000):
    """The mean target with next actions of today's policy and with stored ones, and the exact one."""
    today, back_then = (torch.tensor(row, dtype=torch.float64) for row in ([0.1, 0.9], [0.9, 0.1]))
    q, random = torch.tensor([0.0, 10.0], dtype=torch.float64), generator(0, "next actions")
    rewards = torch.zeros(samples, dtype=torch.float64)
    for label, probs in (("drawn now", today), ("from the replay", back_then)):
        action = torch.multinomial(probs, samples, replacement=True, generator=random)
        next_q, log_prob = q[action][:, None], today.log()[action]
        target = sac_target(rewards, rewards > 0, next_q, next_q, log_prob, 0.9, 1.0)
        print(f"next actions {label:>15}: a mean target of {torch.as_tensor(target).mean():5.2f}")
    print(f"{'exact':>28}: {0.9 * (today * (q - today.log())).sum():22.2f}")


def two_experiments():
    """The picture of the twins, below the numbers of the next actions."""
    old_actions()
    return twins()


ex.demo("q6", two_experiments)

# %% [markdown]
# ## q7 · The density of a squashed action
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 15 minutes · topic A8*
#
# The $\log \pi$ of the last question has to come from somewhere. A motor takes torques between −1 and 1, a
# Gaussian knows no walls. Clipping would pile the probability up at the walls, where a gradient does not come
# through; so soft actor-critic draws $u \sim \mathcal N(\mu, \sigma^2)$ and acts with $a = \tanh(u)$, each axis by
# itself. But $a$ has another density than $u$: where $\tanh$ is flat it squeezes many $u$ into few $a$. The
# density is divided by the slope of the map, its logarithm loses the logarithm of the slope:
#
# $$\log \pi(a) = \sum_d \Big[ \log \mathcal N(u_d;\, \mu_d, \sigma_d^2) - \log\big(1 - \tanh^2 u_d\big) \Big],
# \qquad \log \mathcal N(u; \mu, \sigma^2) = -\frac12 \Big(\frac{u - \mu}{\sigma}\Big)^2 - \log \sigma
# - \frac12 \log 2\pi .$$
#
# On paper that is all. In float64 $\tanh 20$ *is* 1, and an actor that has just discovered full throttle gets
# $-\log 0$. The same number without that accident:
#
# $$\log\big(1 - \tanh^2 u\big) = 2\,\big(\log 2 - u - \operatorname{softplus}(-2u)\big), \qquad
# \operatorname{softplus}(x) = \log(1 + e^x).$$
#
# Prove it on the way ($1 - \tanh^2 u = 4 / (e^u + e^{-u})^2$; pull $e^u$ out of the bracket), it takes two lines.
#
# <details><summary>Hint</summary>
#
# `torch.nn.functional.softplus` is exact for large arguments. Write the bracket as a tensor `[B, D]`, and add up
# over $d$ last. What must come out at $u = 0$, where $\tanh$ has the slope 1?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *log(): argument 'input' must be Tensor, not float*: `torch.log` wants a tensor; for a plain number there is
# `math.log`.
#
# *NaN or infinity came out*: somewhere there is a log of 0. Is `1 - tanh(u)**2` still in your code?
#
# </details>

# %%
import math


# %% q="q7"
def squashed_log_prob(pre_tanh, mean, log_std):
    """The log-density of the action a = tanh(u), u ~ N(μ, σ²) on each axis: log π(a) [B].

    pre_tanh [B, D]: u, the number before the tanh. mean, log_std [B, D]: μ and log σ.
    """
    ### SOLUTION
    standard = (pre_tanh - mean) / torch.exp(log_std)
    gaussian = -0.5 * standard ** 2 - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)
    ### END


# %% tags=["check"]
ex.check("q7")


# %% wrong="q7" at_most=1 why="no correction" hint="The correction is missing"
def squashed_log_prob(pre_tanh, mean, log_std):
    return torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh).sum(-1)


# %% wrong="q7" at_most=1 why="the correction added" hint="The sign of the correction is turned"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian + log_slope).sum(-1)


# %% wrong="q7" at_most=3 why="log 0 at the wall" hint="1 − tanh² is 0 in float64"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return (gaussian - torch.log(1 - torch.tanh(pre_tanh) ** 2)).sum(-1)


# %% wrong="q7" at_most=2 why="something added to the slope" hint="You keep the slope away from 0 by adding"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return (gaussian - torch.log(1 - torch.tanh(pre_tanh) ** 2 + 1e-6)).sum(-1)


# %% wrong="q7" at_most=3 why="the slope clamped" hint="You keep the slope away from 0 by a clamp"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return (gaussian - torch.log((1 - torch.tanh(pre_tanh) ** 2).clamp(min=1e-6))).sum(-1)


# %% wrong="q7" at_most=1 why="the factor 2 forgotten" hint="The factor 2 is missing"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return (gaussian - (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))).sum(-1)


# %% wrong="q7" at_most=2 why="softplus of the wrong sign" hint="The sign inside the softplus"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return (gaussian - 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(2 * pre_tanh))).sum(-1)


# %% wrong="q7" at_most=1 why="corrected at the mean" hint="The correction is taken at the mean"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return (gaussian - 2 * (math.log(2) - mean - torch.nn.functional.softplus(-2 * mean))).sum(-1)


# %% wrong="q7" at_most=1 why="the deviation as variance" hint="You use exp(log_std) as the variance"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp().sqrt()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=1 why="divided by σ once" hint="You divide by σ where σ² belongs"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = -0.5 * (pre_tanh - mean) ** 2 / log_std.exp() - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=1 why="without log σ" hint="−log σ is missing"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = -0.5 * ((pre_tanh - mean) / log_std.exp()) ** 2 - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=1 why="log σ added" hint="The sign of log σ is turned"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = -0.5 * ((pre_tanh - mean) / log_std.exp()) ** 2 + log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=0 why="without 2π" hint="−½ log 2π is missing"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = -0.5 * ((pre_tanh - mean) / log_std.exp()) ** 2 - log_std
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=1 why="without the half" hint="The ½ before the square"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = -((pre_tanh - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=1 why="the action in the Gaussian" hint="You put tanh(u) into the Gaussian"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(torch.tanh(pre_tanh))
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=0 why="log σ as σ" hint="You use log σ as if it were σ"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = -0.5 * ((pre_tanh - mean) / log_std) ** 2 - log_std.abs().log() - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1)


# %% wrong="q7" at_most=2 why="one axis corrected" hint="Only the first axis is corrected"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return gaussian.sum(-1) - log_slope[:, 0]


# %% wrong="q7" at_most=1 why="summed over the batch" hint="You add up the batch. The actions' axes"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(0)


# %% wrong="q7" at_most=0 why="summed over everything" hint="You add up everything, the batch too"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum()


# %% wrong="q7" at_most=2 why="the mean over the axes" hint="You take the mean over the axes"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).mean(-1)


# %% wrong="q7" at_most=0 why="not summed" hint="One number for each sample is asked for"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return gaussian - 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))


# %% wrong="q7" at_most=0 why="a column" hint="sum without `keepdim=True`"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1, keepdim=True)


# %% wrong="q7" at_most=0 why="the density" hint="That is the density"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (gaussian - log_slope).sum(-1).exp()


# %% wrong="q7" at_most=0 why="minus log π" hint="log π is asked for, not −log π"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    log_slope = 2 * (math.log(2) - pre_tanh - torch.nn.functional.softplus(-2 * pre_tanh))
    return (log_slope - gaussian).sum(-1)


# %% right="q7" why="by PyTorch's own distributions"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    slope = torch.distributions.transforms.TanhTransform().log_abs_det_jacobian(pre_tanh, pre_tanh.tanh())
    return (gaussian - slope).sum(-1)


# %% right="q7" why="by |u|, which is symmetric"
def squashed_log_prob(pre_tanh, mean, log_std):
    z = (pre_tanh - mean) * torch.exp(-log_std)
    far = pre_tanh.abs()
    log_slope = math.log(4) - 2 * far - 2 * torch.log1p(torch.exp(-2 * far))
    return -(0.5 * z * z + log_std + log_slope).sum(1) - 0.5 * mean.shape[1] * math.log(2 * math.pi)


# %% right="q7" why="by logaddexp"
def squashed_log_prob(pre_tanh, mean, log_std):
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(pre_tanh)
    return (gaussian + 2 * torch.logaddexp(pre_tanh, -pre_tanh) - 2 * math.log(2)).sum(-1)


# %% [markdown]
# **See it.** Three Gaussians around 0, pressed through the tanh: your function draws the densities of the actions
# ([`curves`](../rlcourse/plots/curves.py)). Below each stands its area, with your correction and without any, and
# its entropy $-\operatorname{E} \log \pi$. No density on (−1, 1) has more entropy than the even one, $\log 2 =
# 0.69$. Before you look: which of the three comes nearest, and why can more noise in $u$ mean *less* entropy in
# $a$?

# %%
from rlcourse.plots.curves import curves


def three_widths():
    """The densities of tanh(u) for three widths of u, with their areas and entropies."""
    u = torch.linspace(-8, 8, 1601, dtype=torch.float64)[:, None]
    action, series = torch.tanh(u[:, 0]), {}
    for std in (0.3, 0.9, 2.5):
        log_std = torch.full_like(u, math.log(std))
        log_prob = torch.as_tensor(squashed_log_prob(u, torch.zeros_like(u), log_std))
        density, bare = log_prob.exp(), torch.distributions.Normal(0.0, std).log_prob(u[:, 0]).exp()
        heights = (density, bare, -density * log_prob)
        area, without, entropy = (torch.trapezoid(height, action) for height in heights)
        shown = action.abs() < 0.995
        series[f"σ = {std}"] = (action[shown].tolist(), density[shown].tolist())
        print(f"σ = {std}: area {area:.2f}, without the correction {without:.2f}; entropy {entropy:5.2f}")
    return curves(series, title="What tanh makes of three Gaussians", xlabel="action a", ylabel="density of a")


ex.demo("q7", three_widths)

# %% [markdown]
# ## q8 · A critic that sees the action
#
# *6 points · difficulty 4 of 5 · importance 3 of 5 · about 20 minutes · topic A7*
#
# A baseline may depend on the state, never on the action: so we said. But most of the noise in a return comes
# *with* the action, and a critic $Q_w(s, a)$ knows it. Can one subtract that? One can, if one gives back what
# one has taken, and the critic itself says how much that was (the idea of Q-Prop, Gu et al. 2017):
#
# $$\hat g = \nabla \log \pi(a) \, \big(R - Q_w(a)\big) + \sum_{a'} \pi(a')\, \nabla \log \pi(a')\, Q_w(a'),
# \qquad a \sim \pi .$$
#
# The first term is what the critic cannot explain, with the noise of one sample. The second holds no return and no
# sample: it is a sum over *all* actions, each with its own $Q_w(a')$. On average the two terms with $Q_w$ cancel,
# so the estimate is right for every critic, even a bad one; a good one takes the noise away. (Without the second
# term a perfect critic leaves $R - Q_w(a) = 0$ on average, whatever the action: nothing left to learn from.)
#
# Write $\hat g$ for states with a softmax policy each, as a gradient in the logits. There $\nabla \log \pi(a)$ has
# the entries $1[j = a] - \pi(j)$, one for each action $j$.
#
# <details><summary>Hint</summary>
#
# What does the sum over $a'$ come to? Put the entries in: for action $j$ it is $\sum_{a'} \pi(a') (1[j = a'] -
# \pi(j)) Q_w(a')$. In the first part only $a' = j$ is left; in the second there is $V = \sum_{a'} \pi(a')
# Q_w(a')$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *The size of tensor a (3) must match the size of tensor b (4)*: a number for each state, `[B]`, times a row for
# each state, `[B, A]`, needs an axis: `number[:, None]`.
#
# *Index tensor must have the same number of dimensions as input tensor*: `gather` wants the actions as a column,
# `critic.gather(1, action[:, None])`, and gives a column back.
#
# </details>


# %% q="q8"
def corrected_gradient(probs, action, return_, critic):
    """The policy gradient of each sample with the critic as control variate, in the logits: [B, A].

    probs [B, A]: π of each state. action [B] (int64): what was drawn. return_ [B]: R, what came of it.
    critic [B, A]: Q_w of every action.
    """
    ### SOLUTION
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    unexplained = return_ - (taken * critic).sum(1)
    value = (probs * critic).sum(1, keepdim=True)
    return (taken - probs) * unexplained[:, None] + probs * (critic - value)
    ### END


# %% tags=["check"]
ex.check("q8")


# %% wrong="q8" at_most=1 why="no correction" hint="The correction is missing, or vanishes"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    return (taken - probs) * (return_ - (taken * critic).sum(1))[:, None]


# %% wrong="q8" at_most=1 why="the sampled action's Q in the sum" hint="The correction is missing, or vanishes"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    of_action = (taken * critic).sum(1, keepdim=True)
    answer = (taken - probs) * (return_[:, None] - of_action)
    for other in range(probs.shape[1]):
        unit = torch.nn.functional.one_hot(torch.full_like(action, other), probs.shape[1])
        answer = answer + probs[:, other, None] * (unit - probs) * of_action
    return answer


# %% wrong="q8" at_most=1 why="the correction subtracted" hint="The correction has the wrong sign"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return (taken - probs) * (return_ - (taken * critic).sum(1))[:, None] - correction


# %% wrong="q8" at_most=1 why="the critic added" hint="The critic is added to the return"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return (taken - probs) * (return_ + (taken * critic).sum(1))[:, None] + correction


# %% wrong="q8" at_most=1 why="both signs turned" hint="Both signs of the critic are turned"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return (taken - probs) * (return_ + (taken * critic).sum(1))[:, None] - correction


# %% wrong="q8" at_most=1 why="only V as baseline" hint="a baseline that does not see the action"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    return (taken - probs) * (return_ - (probs * critic).sum(1))[:, None]


# %% wrong="q8" at_most=1 why="V as baseline, and the correction" hint="the two do not belong together"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    value = (probs * critic).sum(1, keepdim=True)
    return (taken - probs) * (return_[:, None] - value) + probs * (critic - value)


# %% wrong="q8" at_most=1 why="plain REINFORCE" hint="The critic is not used"
def corrected_gradient(probs, action, return_, critic):
    return (torch.nn.functional.one_hot(action, probs.shape[1]) - probs) * return_[:, None]


# %% wrong="q8" at_most=1 why="never subtracted" hint="The critic is added but never subtracted"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    return (taken - probs) * return_[:, None] + probs * (critic - (probs * critic).sum(1, keepdim=True))


# %% wrong="q8" at_most=0 why="the critic alone" hint="The return is not used"
def corrected_gradient(probs, action, return_, critic):
    return probs * (critic - (probs * critic).sum(1, keepdim=True))


# %% wrong="q8" at_most=1 why="the sum not weighed" hint="The sum over a' is not weighed"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = critic - probs * critic.sum(1, keepdim=True)
    return (taken - probs) * (return_ - (taken * critic).sum(1))[:, None] + correction


# %% wrong="q8" at_most=1 why="half of the correction" hint="In the correction ∇log π(a') is taken as the unit"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    return (taken - probs) * (return_ - (taken * critic).sum(1))[:, None] + probs * critic


# %% wrong="q8" at_most=0 why="unit vectors in the sample" hint="∇log π(a) is taken as the unit vector"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return taken * (return_ - (taken * critic).sum(1))[:, None] + correction


# %% wrong="q8" at_most=0 why="unit vectors everywhere" hint="∇log π(a) is taken as the unit vector"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    return taken * (return_ - (taken * critic).sum(1))[:, None] + probs * critic


# %% wrong="q8" at_most=0 why="the gradient of π" hint="You use ∇π(a)"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    slope = (taken * probs).sum(1, keepdim=True) * (taken - probs)
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return slope * (return_ - (taken * critic).sum(1))[:, None] + correction


# %% wrong="q8" at_most=1 why="π twice" hint="π(a') stands twice in the correction"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * probs * (critic - (probs * critic).sum(1, keepdim=True))
    return (taken - probs) * (return_ - (taken * critic).sum(1))[:, None] + correction


# %% wrong="q8" at_most=1 why="a mean over the actions" hint="You divide the correction by the number of actions"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True)) / probs.shape[1]
    return (taken - probs) * (return_ - (taken * critic).sum(1))[:, None] + correction


# %% wrong="q8" at_most=0 why="downhill" hint="The sign is turned: the gradient of the return"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return (probs - taken) * (return_ - (taken * critic).sum(1))[:, None] - correction


# %% wrong="q8" at_most=0 why="the mean of the batch" hint="You take the mean of the batch"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return ((taken - probs) * (return_ - (taken * critic).sum(1))[:, None] + correction).mean(0)


# %% wrong="q8" at_most=0 why="the sum of the batch" hint="You add up the batch"
def corrected_gradient(probs, action, return_, critic):
    taken = torch.nn.functional.one_hot(action, probs.shape[1])
    correction = probs * (critic - (probs * critic).sum(1, keepdim=True))
    return ((taken - probs) * (return_ - (taken * critic).sum(1))[:, None] + correction).sum(0)


# %% right="q8" why="term by term, as it stands"
def corrected_gradient(probs, action, return_, critic):
    actions = probs.shape[1]
    rows = []
    for pi, a, r, q in zip(probs, action, return_, critic):
        scores = torch.eye(actions, dtype=probs.dtype) - pi
        row = scores[a] * (r - q[a])
        for other in range(actions):
            row = row + pi[other] * scores[other] * q[other]
        rows.append(row)
    return torch.stack(rows)


# %% right="q8" why="by automatic differentiation of a loss"
def corrected_gradient(probs, action, return_, critic):
    logits = probs.log().requires_grad_()
    log_prob = logits.log_softmax(-1)
    advantage = return_ - critic.gather(1, action[:, None])[:, 0]
    objective = log_prob.gather(1, action[:, None])[:, 0] * advantage + (log_prob.exp() * critic).sum(-1)
    return torch.autograd.grad(objective.sum(), logits)[0]


# %% right="q8" why="one weight for each action"
def corrected_gradient(probs, action, return_, critic):
    rows = torch.arange(len(action))
    weight = probs * critic
    weight[rows, action] += return_ - critic[rows, action]
    return weight - probs * weight.sum(1, keepdim=True)


# %% [markdown]
# **See it.** One state, three actions, and returns that are 2 above or below their mean, just as often. The critic
# begins with the true mean returns and is bent more and more. Nothing is sampled: over all actions and returns the
# mean and the variance of an estimate are exact sums. Drawn is how far one estimate is off, its mean squared
# error: the variance plus the square of the bias ([`curves`](../rlcourse/plots/curves.py)). Beside yours stand the
# same estimate without its correction and the one with the critic's mean as a baseline. Where should the three
# lines begin, and can a critic be so bad that subtracting it is worse than the plain baseline?

# %%
from rlcourse.plots.curves import curves


def bent_critics():
    """Bias and mean squared error of three estimates while the critic gets worse."""
    probs = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    mean_return = torch.tensor([6.0, 0.0, -4.0], dtype=torch.float64)
    action = torch.arange(3).repeat(2)
    return_ = mean_return[action] + torch.tensor([2.0, -2.0], dtype=torch.float64).repeat_interleave(3)
    rows, weight = probs.expand(6, 3), probs[action] / 2
    score = torch.eye(3, dtype=torch.float64)[action] - rows
    exact = probs * (mean_return - probs @ mean_return)
    errors, off, bias = [0.5 * step for step in range(17)], {}, {}
    for error in errors:
        q = mean_return + error * torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
        estimates = {
            "yours": torch.as_tensor(corrected_gradient(rows.clone(), action, return_, q.expand(6, 3).clone()),
                                     dtype=torch.float64),
            "without correction": score * (return_ - q[action])[:, None],
            "the critic's mean": score * (return_ - probs @ q)[:, None]}
        for label, estimate in estimates.items():
            off.setdefault(label, []).append(float(weight @ (estimate - exact).square().sum(1)))
            bias.setdefault(label, []).append(float((weight @ estimate - exact).norm()))
    print(f"the gradient has the length {exact.norm():.2f}")
    for label, row in bias.items():
        print(f"{label:>19}: a bias of {row[0]:.2f} with a perfect critic, of {row[-1]:.2f} with the worst")
    return curves({label: (errors, row) for label, row in off.items()}, title="One state, three estimates",
                  xlabel="error of the critic", ylabel="mean squared error")


ex.demo("q8", bent_critics)

# %% [markdown]
# ## q9 · Bug hunt: the empty pond
#
# *6 points · difficulty 4 of 5 · importance 5 of 5 · about 20 minutes · topic A3*
#
# The most expensive bugs are those under which the learning curve *rises*. A friend trains an actor-critic to fish
# a pond. Its stock is between 6 (full) and 0 (empty, and the pond is closed for good: *terminated*). Every day is
# fished by rod, which leaves the stock as it is or, one day in ten, lets it grow by 1; or with a net, which
# catches twice as much and takes 1 from the stock. Catches are in proportion to the stock: from a full pond 2 by
# rod and 4 with the net. In the long run nothing beats the rod in a full pond.
#
# She trains in seasons of four days: then the time limit strikes (*truncated*), and the next season begins with
# any stock from 1 to 6, all of them equally likely. Of course the pond would go on after four days. She only does
# not want to watch a single pond for years. Here are her advantages and the targets of her critic, for $T$ days
# of $N$ ponds side by side:


# %%
def friends_advantages(reward, value, next_value, terminated, truncated, discount):
    """Advantages and targets with bugs. Do not mend them here: the picture at the end compares them with yours."""
    following = torch.cat([value[1:], next_value[-1:]])  # V(s'): the row below; behind the last one the next state
    target = reward + discount * following
    return target - value, target


# %% [markdown]
# Everything else is sound. The pond is a [`TabularMDP`](../rlcourse/envs/tabular.py), advanced by a
# [`DynamicsSource`](../rlcourse/data/sources.py) and a [`rollout`](../rlcourse/data/rollout.py), with chance from
# a [`generator`](../rlcourse/core/seeding.py); actor and critic are tables with a row for each stock
# ([`sample_index`](../rlcourse/envs/tabular.py) draws the actions). Eight runs learn at once, each from 16 ponds.
# The picture shows what the friend looks at while they train, the catch of a day, beside that of the library's
# own advantages, which begin with the same days ([`curves`](../rlcourse/plots/curves.py); the line is the mean of
# the eight runs, the band their range):

# %%
from rlcourse.core.seeding import generator
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.tabular import TabularMDP, sample_index
from rlcourse.plots.curves import curves


def pond(full=6):
    """Stocks 0 … full; action 0 is the rod, action 1 the net."""
    moves = torch.zeros(full + 1, 2, full + 1, dtype=torch.float64)
    moves[0, :, 0] = 1
    for stock in range(1, full + 1):
        moves[stock, 0, stock] += 0.9
        moves[stock, 0, min(stock + 1, full)] += 0.1
        moves[stock, 1, stock - 1] = 1
    catches = torch.arange(full + 1)[:, None] * torch.tensor([2.0, 4.0], dtype=torch.float64) / full
    start = torch.full((full + 1,), 1 / full, dtype=torch.float64)
    start[0] = 0
    return TabularMDP(moves, catches, start, terminal=torch.arange(full + 1) == 0)


class Actor:
    """A softmax policy: a table of logits [runs, states, actions]; `number` turns observations into states."""

    noise_size = 1

    def __init__(self, runs, states, actions, number):
        self.logits, self.number = torch.zeros(runs, states, actions, dtype=torch.float64), number

    def act(self, obs, noise):
        run = torch.arange(len(self.logits))[:, None]
        return sample_index(self.logits[run, self.number(obs)].softmax(-1), noise[..., 0])


def actor_critic(advantages, source, actor, discount, updates, critic_rate=0.3, actor_rate=0.8):
    """Trains `actor`; yields the critic [runs, states] and the mean reward of a step after each update."""
    value, random = torch.zeros_like(actor.logits[..., 0]), generator(0, "actors")
    run = torch.arange(source.runs)[:, None]
    for _ in range(updates):
        batch = rollout(source, actor, 8, random=random)
        state, following = actor.number(batch.obs), actor.number(batch.next_obs)
        answers = [advantages(batch.reward[:, r], value[r, state[:, r]], value[r, following[:, r]],
                              batch.terminated[:, r], batch.truncated[:, r], discount) for r in range(source.runs)]
        advantage, target = (torch.stack([torch.as_tensor(part, dtype=torch.float64) for part in parts], 1)
                             for parts in zip(*answers))
        where = (run.expand_as(state), state)

        def total(number):
            """The numbers of all steps added up by run and state [runs, states, …]."""
            zeros = torch.zeros(*value.shape, *number.shape[3:], dtype=torch.float64)
            return zeros.index_put(where, number, accumulate=True)

        visits = total(torch.ones_like(target)).clamp(min=1)
        score = torch.nn.functional.one_hot(batch.action, actor.logits.shape[-1]) - actor.logits[where].softmax(-1)
        actor.logits = actor.logits + actor_rate * total(score * advantage[..., None]) / state[:, 0].numel()
        value = value + critic_rate * total(target - value[where]) / visits
        yield value, batch.reward.mean((0, 2))


def in_100_days(mdp, logits):
    """The expected catch of each run in 100 days from a full pond."""
    stock = torch.zeros(len(logits), mdp.num_states, dtype=torch.float64)
    stock[:, -1], catch = 1.0, torch.zeros(len(logits), dtype=torch.float64)
    for _ in range(100):
        both = stock[..., None] * logits.softmax(-1)
        catch = catch + (both * mdp.reward_table).sum((1, 2))
        stock = torch.einsum("rsa,san->rn", both, mdp.transition_probs)
    return catch


def fishing(advantages, updates=80, season=4):
    """Eight runs: updates, the catch of a training day [., runs] and the catch in 100 days [., runs]."""
    mdp = pond()
    source = DynamicsSource(mdp, 8, 16, random=generator(0, "ponds"), time_limit=season, dtype=torch.float64)
    actor, when, daily, test = Actor(8, mdp.num_states, 2, lambda obs: obs), [], [], []
    for update, (_, catch) in enumerate(actor_critic(advantages, source, actor, 0.95, updates), start=1):
        if update == 1 or update % 5 == 0:
            when.append(update)
            daily.append(catch)
            test.append(in_100_days(mdp, actor.logits))
    return when, torch.stack(daily), torch.stack(test)


def mean_and_range(when, catch):
    """Updates, mean, lowest and highest of the runs: what `curves` draws."""
    return when, catch.mean(1), catch.min(1).values, catch.max(1).values


when, friends_daily, friends_catch = fishing(friends_advantages)
of_the_library = {1: (1.65, 22.4), 10: (1.76, 20.4), 20: (1.57, 24.8), 30: (1.46, 46.0), 40: (1.36, 99.0),
                  50: (1.45, 143.3), 60: (1.30, 164.4), 70: (1.27, 174.2), 80: (1.32, 179.0)}
curves({"your friend's advantages": mean_and_range(when, friends_daily),
        "the library's": (list(of_the_library), [daily for daily, _ in of_the_library.values()])},
       title="Eight runs: what they catch while they train", xlabel="update", ylabel="catch of a training day")

# %% [markdown]
# It rises, and it is higher than the library's. She is content. Now the test that counts: what does the policy
# catch in 100 days from a full pond, on average? (Computed exactly, by moving the distribution of the stock from
# day to day.)

# %%
from rlcourse.plots.curves import curves

curves({"your friend's advantages": mean_and_range(when, friends_catch),
        "the library's": (list(of_the_library), [catch for _, catch in of_the_library.values()])},
       title="Eight runs: what the policy would catch in 100 days", xlabel="update", ylabel="expected catch")

# %% [markdown]
# After two weeks 98 of 100 of her ponds are empty. In numbers:
#
#               catch of a training day         expected catch in 100 days
#     update    friend's    library's           friend's    library's
#          1         1.65         1.65               22.4         22.4
#         20         1.75         1.57               18.1         24.8
#         40         1.80         1.36               17.4         99.0
#         60         1.75         1.30               17.3        164.4
#         80         1.81         1.32               17.9        179.0
#
# So look at what a curve measures: in a season of four days, nets *do* catch more. Nobody wants that, and still it
# is all that her curve can see. Where is the mistake? One goes where the right answer is known, to the five probes
# ([`PROBES`](../rlcourse/envs/probes.py), after Jones 2021), each of them with actor and critic as tables:

# %%
from rlcourse.envs.probes import PROBES


def what_the_probes_say(advantages):
    """A sentence for each of the five probes: what went wrong and where to look, or "passed"."""
    said = []
    for probe in PROBES:
        source = DynamicsSource(probe.dynamics, 1, 32, random=generator(0, probe.name), dtype=torch.float64)

        def number(obs, listed=probe.obs[:, 0]):
            return (obs == listed).long().argmax(-1)  # what is not listed, behind the end, counts as the first

        actor = Actor(1, len(probe.obs), probe.dynamics.actions, number)
        *_, (value, _) = actor_critic(advantages, source, actor, probe.discount, updates=30)
        said.append(probe.check(value[0], actor.logits[0].softmax(-1)) or f"{probe.name}: passed")
    return said


# %% [markdown]
# Of the friend's advantages the very first probe says:
#
# > constant reward: V(0) is 1.98 and should be 1. Look at the loss of the value network, its optimiser, and
# > its target: the episode ends with its one step, so that no value of anything comes on top of the reward.
#
# A problem with one state, one action and one step, and its value is nearly twice the reward. That is easily
# understood (what is V(s'), and where does `following` take it from?), and as easily mended. But beware: a probe
# finds bugs, it does not prove that there are no more. After the first repair that comes to mind all five probes
# pass, and the pond is still fished down: 69 in 100 days after 80 updates, where the library's 179.
# What happens in the pond every four days that happens in no probe?
#
# **Your task.** Write the one-step advantages and targets as they should be,
#
# $$y_t = r_t + \gamma\, V(s_{t+1}), \qquad \hat A_t = y_t - V(s_t),$$
#
# with the $V(s_{t+1})$ that belongs there, in every row, at both kinds of end.
#
# <details><summary>Hint</summary>
#
# Make a table of the four cases: neither flag, only `terminated`, only `truncated`, both. For each: to which
# state did the step lead, and is there anything to come from there? Where does its value stand?
#
# </details>
#
# <details><summary>A second hint</summary>
#
# Every probe ends by itself before its time limit; no probe is ever truncated. So build a sixth that is nothing
# but truncated: a coin is tossed at the start, and every step pays 1 or −1 by the coin, for ever. With $\gamma =
# \frac12$ the values are 2 and −2. Now cut every episode after *one* step. What does `following` hold in each row
# then, and what would a mask over all ends make of it?
#
# </details>
#
# <details><summary>A third hint</summary>
#
# Why nets? The row below the last day of a season holds the stock of *another* pond, half full on average. Whoever
# believes that this comes next has no reason to spare the fish: in a few days there will be others.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *Subtraction, the `-` operator, with a bool tensor is not supported*: `1 - terminated` does not work for
# booleans, `~terminated` does.
#
# *The size of tensor a (4) must match the size of tensor b (5)*: `value[1:]` has one row less than `reward`. Do
# you need it at all?
#
# *expected a list of 2, got …*: two tensors are asked for, `return advantage, target`.
#
# </details>


# %% q="q9"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    """One-step advantages and the critic's targets: two tensors [T, N].

    reward, value [T, N]: rₜ and V(sₜ) of T steps of N environments; behind an end the next row belongs to a new
    episode. next_value [T, N]: V of the state that step t truly led to. terminated [T, N] (bool): the problem was
    over with this step. truncated [T, N] (bool): the time limit struck (a step may be both). discount: γ.
    """
    ### SOLUTION
    target = reward + discount * ~terminated * next_value
    return target - value, target
    ### END


# %% tags=["check"]
ex.check("q9")


# %% wrong="q9" at_most=1 why="both bugs, still there" hint="Both bugs are still there"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    return friends_advantages(reward, value, next_value, terminated, truncated, discount)


# %% wrong="q9" at_most=2 why="a fresh start at the time limit" hint="bugs is left. Where an episode ends"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    following = torch.cat([value[1:], next_value[-1:]])
    target = reward + discount * ~terminated * following
    return target - value, target


# %% wrong="q9" at_most=2 why="a value behind the end" hint="bugs is left. Behind a terminated step"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * next_value
    return target - value, target


# %% wrong="q9" at_most=2 why="the time limit as an end" hint="At a time limit you treat the problem as over"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * ~(terminated | truncated) * next_value
    return target - value, target


# %% wrong="q9" at_most=2 why="every end masked, row below" hint="At a time limit you treat the problem as over"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    following = torch.cat([value[1:], next_value[-1:]])
    target = reward + discount * ~(terminated | truncated) * following
    return target - value, target


# %% wrong="q9" at_most=1 why="the flags exchanged" hint="The flags are exchanged"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * ~truncated * next_value
    return target - value, target


# %% wrong="q9" at_most=1 why="the flags exchanged, row below" hint="And at an end the row below belongs"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    following = torch.cat([value[1:], next_value[-1:]])
    target = reward + discount * ~truncated * following
    return target - value, target


# %% wrong="q9" at_most=3 why="both flags at once" hint="A step may carry both flags"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * (truncated | ~terminated) * next_value
    return target - value, target


# %% wrong="q9" at_most=1 why="no discount" hint="The discount is lost"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + ~terminated * next_value
    return target - value, target


# %% wrong="q9" at_most=0 why="the advantage turned" hint="The advantage has the wrong sign"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * ~terminated * next_value
    return value - target, target


# %% wrong="q9" at_most=0 why="the two exchanged" hint="The two are exchanged"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * ~terminated * next_value
    return target, target - value


# %% wrong="q9" at_most=0 why="the target twice" hint="The value is not subtracted"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * ~terminated * next_value
    return target, target


# %% wrong="q9" at_most=2 why="the reward masked too" hint="You mask the reward too"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = ~terminated * (reward + discount * next_value)
    return target - value, target


# %% wrong="q9" at_most=2 why="V(s) masked too" hint="You mask V(s) too"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * ~terminated * next_value
    return target - ~terminated * value, target


# %% wrong="q9" at_most=2 why="no advantage at the time limit" hint="At a time limit your advantages are 0"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * ~terminated * next_value
    return ~truncated * (target - value), target


# %% right="q9" why="the row below, and the true successor at ends"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    following = torch.cat([value[1:], next_value[-1:]])
    following = torch.where(truncated, next_value, following)
    target = torch.where(terminated, reward, reward + discount * following)
    return target - value, target


# %% right="q9" why="step by step"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    advantage, target = torch.zeros_like(reward), torch.zeros_like(reward)
    for t in range(reward.shape[0]):
        for n in range(reward.shape[1]):
            target[t, n] = reward[t, n]
            if not terminated[t, n]:
                target[t, n] += discount * next_value[t, n]
            advantage[t, n] = target[t, n] - value[t, n]
    return [advantage, target]


# %% right="q9" why="in one tensor"
def advantages_and_targets(reward, value, next_value, terminated, truncated, discount):
    target = reward + discount * (1 - terminated.double()) * next_value
    return torch.stack([target - value, target])


# %% [markdown]
# **See it.** Your function before the five probes, before a sixth that has nothing but time limits (a coin that
# pays 1 or −1 for ever, cut after every single step, with the values 2 and −2), and in the pond. And a last
# question, for which you need no computer: of the two bugs one alone would have done no harm in *this* pond,
# whatever the first probe says of it. Which one, and by what luck?
#
# <details><summary>The answer</summary>
#
# A value behind the end, taken from `next_value`. There it is V(empty), and the empty pond is a row of a table in
# which nobody ever fishes: it is never trained and stays at 0, the right number by accident. With a network
# it would be whatever the other rows make of it. Together with the row below it did harm: there the end of one
# pond leads to the next pond, and emptying one costs nothing.
#
# </details>


# %%
def the_sixth_probe(advantages):
    """The learned values of the two sides of a coin that pays for ever, in episodes of one step."""
    coin = TabularMDP(torch.eye(2, dtype=torch.float64)[:, None],
                      torch.tensor([[-1.0], [1.0]], dtype=torch.float64),
                      torch.tensor([0.5, 0.5], dtype=torch.float64))
    source = DynamicsSource(coin, 1, 32, random=generator(0, "coins"), time_limit=1, dtype=torch.float64)
    *_, (value, _) = actor_critic(advantages, source, Actor(1, 2, 1, lambda obs: obs), 0.5, updates=30)
    return value[0].tolist()


def mended():
    """What six probes say of your function, and the pond."""
    for line in what_the_probes_say(advantages_and_targets):
        print(line)
    for label, advantages in (("your friend's", friends_advantages), ("yours", advantages_and_targets)):
        print(f"the sixth, {label:>13}: V(−1) = {the_sixth_probe(advantages)[0]:.2f}, "
              f"V(1) = {the_sixth_probe(advantages)[1]:.2f}")
    _, daily, catch = fishing(advantages_and_targets)
    print(f"in the end you catch {daily[-1].mean():.1f} on a training day and {catch[-1].mean():.0f} in 100 days")
    return curves({"your friend's advantages": mean_and_range(when, friends_catch),
                   "yours": mean_and_range(when, catch)},
                  title="Eight runs: what the policy would catch in 100 days", xlabel="update",
                  ylabel="expected catch")


ex.demo("q9", mended)

# %% [markdown]
# ## Your score

# %%
ex.score()
