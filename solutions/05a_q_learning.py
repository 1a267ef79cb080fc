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
# # Exercise 05a · Q-learning
#
# There is no policy any more, only a table or a network of values $Q(s, a)$, and the actor does what looks best in
# it. All that is learned is learned by one line of arithmetic: a reward, and what the same table says about the
# next state. These questions take that line apart, into the target, the exploration, the update and its gradient,
# and then build what makes it work with networks, a memory and a target that stands still. The last one asks,
# on paper, why it needs them.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and the lecture of the same name; each question names its section. All tensors of numbers are
# float64. (Q1, Q2, … with a capital are sections of the lecture, q1, q2, … are these questions.) A batch of
# transitions has the shape `[B]`, the values of all actions `[B, A]`: the actions are always the last axis. Read
# the shapes in the docstrings first: they are half of each answer.
#
# Two kinds of ends occur, as in [exercise 04](04_actor_critic.ipynb). `terminated`: the problem itself was over
# with this step; nothing comes after it, not even a value. `truncated`: only the time limit stopped the episode; the
# problem would have gone on.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("05a_q_learning")

# %% [markdown]
# ## q1 · The best action, whoever acts
#
# *4 points · difficulty 1 of 5 · importance 5 of 5 · about 10 minutes · topic Q1*
#
# A critic of exercise 04 was asked what the next state is worth under the policy that acts. Q-learning (Watkins
# 1989, lecture section Q1) asks another question: what is it worth if I act in the best way from there on? The answer
# stands in the table itself, one number for each action,
#
# $$y = r + \gamma \, \max_{a'} Q(s', a') ,$$
#
# and $r$ alone where the problem is over (not where only the time limit stopped it; A3). Who chose the action that
# led to $s'$, and why, does not occur. So the transition may come from an older self, from a beginner or from a
# film: this is what *off-policy* means, and what all memories of transitions rest on.
#
# <details><summary>Hint</summary>
#
# First one number for each transition: the largest of its row of `next_q_values`. Then the one flag that says
# that nothing comes after. `torch.where(flag, 0.0, x)` is 0 where the flag is True, and x elsewhere.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *unsupported operand type(s) for \*: 'float' and 'torch.return_types.max'*: `x.max(-1)` gives the largest entries
# *and* where they stand. `x.amax(-1)` gives the entries alone, `x.max(-1).values` too.
#
# *Subtraction, the `-` operator, with a bool tensor is not supported*: `1 - terminated` does not work for
# booleans, `~terminated` does.
#
# *The size of tensor a (5) must match the size of tensor b (3)*: over which axis did you take the maximum? One
# number for each transition must be left, [B].
#
# </details>


# %% q="q1"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    """What Q(s, a) is fitted to, for a batch of transitions (s, a, r, s').

    reward [B]. next_q_values [B, A]: Q(s', ·), also at an end. terminated, truncated [B] (bool): the problem
    was over with this step; the time limit cut the episode here. Both may be True at once, and then the problem
    is over. discount: γ, a number. Returns y [B].
    """
    ### SOLUTION
    return reward + discount * torch.where(terminated, 0.0, next_q_values.amax(-1))
    ### END


# %% tags=["check"]
ex.check("q1")


# %% wrong="q1" at_most=1 why="no terminal mask" hint="You look behind the end of the problem"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * next_q_values.amax(-1)


# %% wrong="q1" at_most=1 why="no value at the time limit" hint="You treat the time limit as the end"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    done = terminated | truncated
    return reward + discount * next_q_values.amax(-1) * ~done


# %% wrong="q1" at_most=2 why="a value where both flags are set" hint="Where both flags are True you add a value"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * next_q_values.amax(-1) * (~terminated | truncated)


# %% wrong="q1" at_most=1 why="flags exchanged" hint="The two kinds of ends are exchanged"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * torch.where(truncated, 0.0, next_q_values.amax(-1))


# %% wrong="q1" at_most=1 why="the last reward is lost" hint="The last reward is lost"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return (reward + discount * next_q_values.amax(-1)) * ~terminated


# %% wrong="q1" at_most=0 why="no discount" hint="γ is forgotten"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + torch.where(terminated, 0.0, next_q_values.amax(-1))


# %% wrong="q1" at_most=0 why="maximum over the batch" hint="The maximum runs over the batch"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * torch.where(terminated, 0.0, next_q_values.max(0).values)


# %% wrong="q1" at_most=0 why="one maximum for the whole batch" hint="That is one maximum for the whole batch"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * torch.where(terminated, 0.0, next_q_values.max())


# %% wrong="q1" at_most=0 why="argmax" hint="argmax is the *number* of the best action"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * ~terminated * next_q_values.argmax(-1)


# %% wrong="q1" at_most=0 why="mean over the actions" hint="You take the mean over the actions"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * torch.where(terminated, 0.0, next_q_values.mean(-1))


# %% wrong="q1" at_most=1 why="a maximum that begins at 0" hint="Your maximum begins at 0"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    best = torch.zeros_like(reward)
    for action in range(next_q_values.shape[1]):
        best = torch.maximum(best, next_q_values[:, action])
    return reward + discount * ~terminated * best


# %% wrong="q1" at_most=0 why="the maximum keeps its axis" hint="is a matrix [B, B]"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    best = next_q_values.amax(-1, keepdim=True)
    return reward + discount * ~terminated * best


# %% wrong="q1" at_most=0 why="no value at all" hint="That is the reward alone"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward


# %% right="q1" why="sorted, with a factor of zeros and ones"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return reward + discount * next_q_values.sort(-1).values[:, -1] * (1 - terminated.double())


# %% right="q1" why="plain numbers, transition by transition"
def q_targets(reward, next_q_values, terminated, truncated, discount):
    return [r if over else r + discount * max(row)
            for r, row, over in zip(reward.tolist(), next_q_values.tolist(), terminated.tolist())]


# %% [markdown]
# **See it.** A yard with a wall, in which every step goes astray with probability 0.2
# ([`grid_map`](../rlcourse/envs/maps.py)). A drunkard staggers through it, all directions equally likely, and your
# targets learn from what happens to him ([`q_learning.train`](../rlcourse/algorithms/q_learning.py), with
# `behaviour`, on a [`DynamicsSource`](../rlcourse/data/sources.py) with chance from a
# [`generator`](../rlcourse/core/seeding.py)). Whose values come out: his
# ([`policy_evaluation`](../rlcourse/exact/evaluation.py), [`q_from_value`](../rlcourse/exact/evaluation.py)), or
# those of the best policy ([`value_iteration`](../rlcourse/exact/evaluation.py)), which nobody has ever followed?
# Guess before you run the cell ([`curves`](../rlcourse/plots/curves.py)).

# %%
from rlcourse.algorithms import q_learning
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.maps import grid_map
from rlcourse.exact.evaluation import policy_evaluation, q_from_value, value_iteration
from rlcourse.plots.curves import curves


def watching_a_drunkard():
    """How far a table that learns with your targets is from the drunkard's values, and from the best."""
    yard, discount = grid_map(("S...", ".#..", "...G"), slip=0.2).mdp, 0.9
    staggers = torch.full((yard.num_states, yard.num_actions), 0.25, dtype=torch.float64)
    his = q_from_value(yard, policy_evaluation(yard, staggers, discount), discount)
    best = q_from_value(yard, value_iteration(yard, discount)[0], discount)

    def target(reward, next_q_values, terminated, *, discount):
        return torch.as_tensor(q_targets(reward, next_q_values, terminated, torch.zeros_like(terminated), discount))

    source = DynamicsSource(yard, 1, 8, random=generator(0, "yard of exercise 05a"), dtype=torch.float64)
    config = q_learning.Config(total_steps=48_000, report_every=1600, rate_offset=20.0, discount=discount)
    taught = list(q_learning.train(source, yard.num_states, config, seed=0, behaviour=staggers, q_target=target))
    series = {}
    for label, values in (("from the drunkard's values", his), ("from the best values", best)):
        distance = [float((snapshot.q_values[0] - values).abs().max()) for snapshot in taught]
        series[label] = ([snapshot.step for snapshot in taught], distance)
        print(f"largest difference {label}: {distance[0]:.2f} at first, {distance[-1]:.2f} in the end")
    return curves(series, title="Learning from a drunkard", xlabel="steps", ylabel="largest difference in Q")


ex.demo("q1", watching_a_drunkard)

# %% [markdown]
# Not one step of a good policy has been seen, and the table holds its values. With the drunkard's next action in the
# target, in place of the maximum, it would hold his (q3).


# %% [markdown]
# ## q2 · Greedy, but not always
#
# *5 points · difficulty 2 of 5 · importance 4 of 5 · about 12 minutes · topic Q3*
#
# Whoever only does what looks best never learns what the rest would have been like. The oldest remedy is to
# take, with a small probability $\varepsilon$, another action than the greedy one (lecture section Q3):
#
# $$\pi(a \mid s) = \begin{cases} 1 - \varepsilon & \text{for the greedy action}, \\
# \varepsilon / (A - 1) & \text{for each of the } A - 1 \text{ others.} \end{cases}$$
#
# Where several actions look best, the greedy one is the first of them, as `argmax` has it.
#
# Many programs do it in another way: with probability $\varepsilon'$ they draw one of *all* $A$ actions, all
# equally likely, otherwise they are greedy. That is the same family of policies under another name, and whoever
# copies an $\varepsilon$ from one program into the other explores more or less than its author. Which
# $\varepsilon'$ gives the same policy as $\varepsilon$? (For $\varepsilon \le (A - 1)/A$: with a larger one the
# greedy action is the rarest, and the other form has no such policy.)
#
# <details><summary>Hint</summary>
#
# Begin with a tensor that is ε/(A − 1) everywhere (`torch.full_like`), and overwrite one entry in each row:
# `probs[torch.arange(len(probs)), greedy] = …`, where `greedy` [B] are the actions.
#
# For the second function compare an action that is *not* greedy: what is its probability in either form?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *division by zero*: with a single action there is nothing to explore; A is the length of the *last* axis.
#
# *shape mismatch: indexing tensors could not be broadcast together*: `greedy` has the wrong length. The actions are
# the last axis, `argmax(-1)`.
#
# </details>


# %% q="q2"
def epsilon_greedy_probs(q_values, epsilon):
    """π(a|s) of the ε-greedy policy.

    q_values [B, A]: a row for each state, A > 1. epsilon: the probability of another action than the greedy one,
    which is the first of the best; from 0 to (A − 1)/A, where all actions are alike. Returns the probabilities [B, A].
    """
    ### SOLUTION
    probs = torch.full_like(q_values, epsilon / (q_values.shape[1] - 1))
    probs[torch.arange(len(probs)), q_values.argmax(-1)] = 1 - epsilon
    return probs
    ### END


def uniform_epsilon(epsilon, actions):
    """ε' for which "with probability ε' one of all actions, else the greedy one" is the same policy.

    epsilon: ε of the function above, at most (A − 1)/A, so that ε' is at most 1. actions: A > 1. Returns a number.
    """
    ### SOLUTION
    return epsilon * actions / (actions - 1)
    ### END


# %% tags=["check"]
ex.check("q2")


# %% wrong="q2" at_most=1 why="ε/A for the others" hint="Your rows do not sum to 1"
def epsilon_greedy_probs(q_values, epsilon):
    probs = torch.full_like(q_values, epsilon / q_values.shape[1])
    probs[torch.arange(len(probs)), q_values.argmax(-1)] = 1 - epsilon
    return probs


# %% wrong="q2" at_most=1 why="the uniform form" hint="That is the uniform form"
def epsilon_greedy_probs(q_values, epsilon):
    probs = torch.full_like(q_values, epsilon / q_values.shape[1])
    probs[torch.arange(len(probs)), q_values.argmax(-1)] += 1 - epsilon
    return probs


# %% wrong="q2" at_most=1 why="ε on the wrong branch" hint="ε stands on the wrong branch"
def epsilon_greedy_probs(q_values, epsilon):
    probs = torch.full_like(q_values, (1 - epsilon) / (q_values.shape[1] - 1))
    probs[torch.arange(len(probs)), q_values.argmax(-1)] = epsilon
    return probs


# %% wrong="q2" at_most=1 why="ε for each other action" hint="Your rows sum to more than 1"
def epsilon_greedy_probs(q_values, epsilon):
    probs = torch.full_like(q_values, epsilon)
    probs[torch.arange(len(probs)), q_values.argmax(-1)] = 1 - epsilon
    return probs


# %% wrong="q2" at_most=3 why="1 − ε for each of the best" hint="each of them gets 1 − ε"
def epsilon_greedy_probs(q_values, epsilon):
    best = q_values.amax(-1, keepdim=True)
    return torch.where(q_values == best, 1 - epsilon, epsilon / (q_values.shape[1] - 1))


# %% wrong="q2" at_most=3 why="1 − ε shared by the best" hint="you divide 1 − ε among them"
def epsilon_greedy_probs(q_values, epsilon):
    rows = []
    for row in q_values:
        best = row == row.max()
        if best.all():
            rows.append(torch.full_like(row, 1 / len(row)))
        else:
            rows.append(torch.where(best, (1 - epsilon) / best.sum(), epsilon / (~best).sum()))
    return torch.stack(rows)


# %% wrong="q2" at_most=1 why="greedy over the states" hint="The maximum runs over the states"
def epsilon_greedy_probs(q_values, epsilon):
    probs = torch.full_like(q_values, epsilon / (q_values.shape[1] - 1))
    probs[q_values.argmax(0), torch.arange(q_values.shape[1])] = 1 - epsilon
    return probs


# %% wrong="q2" at_most=1 why="the worst action" hint="You prefer the worst action"
def epsilon_greedy_probs(q_values, epsilon):
    probs = torch.full_like(q_values, epsilon / (q_values.shape[1] - 1))
    probs[torch.arange(len(probs)), q_values.argmin(-1)] = 1 - epsilon
    return probs


# %% wrong="q2" at_most=3 why="converted the wrong way round" hint="That is the way back"
def uniform_epsilon(epsilon, actions):
    return epsilon * (actions - 1) / actions


# %% wrong="q2" at_most=3 why="not converted" hint="The same number means different things in both forms"
def uniform_epsilon(epsilon, actions):
    return epsilon


# %% wrong="q2" at_most=3 why="the chance of one action" hint="That is the chance of each of the others"
def uniform_epsilon(epsilon, actions):
    return epsilon / (actions - 1)


# %% right="q2" why="one-hot rows, and 1/(1 − 1/A)"
def epsilon_greedy_probs(q_values, epsilon):
    actions = q_values.shape[-1]
    greedy = torch.nn.functional.one_hot(q_values.argmax(-1), actions)
    return greedy * (1 - epsilon) + (1 - greedy) * epsilon / (actions - 1)


def uniform_epsilon(epsilon, actions):
    return epsilon / (1 - 1 / actions)


# %% right="q2" why="by the other form"
def epsilon_greedy_probs(q_values, epsilon):
    actions = q_values.shape[1]
    share = epsilon * actions / (actions - 1)
    probs = [[share / actions] * actions for _ in q_values]
    for row, values in zip(probs, q_values.tolist()):
        row[values.index(max(values))] += 1 - share
    return probs


def uniform_epsilon(epsilon, actions):
    return epsilon + epsilon / (actions - 1)


# %% [markdown]
# **See it.** Two thousand gamblers, each before a bandit of his own with ten arms, whose mean payments nobody knows
# (normal numbers; each payment adds a noise of standard deviation 1). Each keeps the mean of what every arm has paid
# him and pulls by your probabilities ([`sample_index`](../rlcourse/envs/tabular.py) turns them into actions). How
# much do they earn with $\varepsilon = 0$, 0.01 and 0.1?

# %%
from rlcourse.envs.tabular import sample_index


def gamblers(count=2000, arms=10, pulls=600):
    """The mean payment of many gamblers, pull after pull, for three ε."""
    series, who = {}, torch.arange(count)
    for epsilon in (0.0, 0.01, 0.1):
        random = generator(0, "gamblers of exercise 05a")
        worth = torch.randn(count, arms, generator=random, dtype=torch.float64)
        total, times, paid = torch.zeros_like(worth), torch.zeros_like(worth), []
        for _ in range(pulls):
            probs = torch.as_tensor(epsilon_greedy_probs(total / times.clamp(min=1), epsilon), dtype=torch.float64)
            arm = sample_index(probs, torch.rand(count, generator=random, dtype=torch.float64))
            payment = worth[who, arm] + torch.randn(count, generator=random, dtype=torch.float64)
            total[who, arm] += payment
            times[who, arm] += 1
            paid.append(float(payment.mean()))
        series[f"ε = {epsilon}"] = (range(1, pulls + 1), paid)
        print(f"ε = {epsilon}: {sum(paid[-100:]) / 100:.1f} per pull in the end; the best arm is worth "
              f"{float(worth.amax(1).mean()):.1f}")
    return curves(series, title="Ten arms", xlabel="pull", ylabel="mean payment")


ex.demo("q2", gamblers)

# %% [markdown]
# Without exploration most stay for ever with the first arm that did not disappoint them. With $\varepsilon = 0.1$ the
# good arms are found soon, and one pull in ten is then wasted on others for ever: this is why $\varepsilon$ falls in
# most programs.


# %% [markdown]
# ## q3 · After every step, by three rules
#
# *6 points · difficulty 3 of 5 · importance 5 of 5 · about 20 minutes · topic Q1*
#
# Online learning needs no memory: take a step, move one entry of the table a little, forget the step
# (lecture section Q1). With the rate $\alpha$,
#
# $$Q(s, a) \leftarrow Q(s, a) + \alpha \, \big(y - Q(s, a)\big) .$$
#
# The target $y$ is $r + \gamma$ times a value of $s'$, and only this value tells the rules apart:
#
# | `rule` | value of $s'$ | learns the values of |
# |---|---|---|
# | `"q"` | $\max_{a'} Q(s', a')$ | the best policy, whoever acts |
# | `"sarsa"` | $Q(s', a')$ of the action $a'$ that is taken next | the policy that acts |
# | `"expected_sarsa"` | $\sum_{a'} \pi(a' \mid s') \, Q(s', a')$, $\pi$ of q2 | the ε-greedy policy, whoever acts |
#
# The $\pi$ of expected SARSA is ε-greedy for the present table. Where the step terminated, $s'$ has no value. Give
# back the table as it was after each of the steps.
#
# <details><summary>Hint</summary>
#
# A loop over the steps, with the target first and the update after it. Work on a copy of the table, and append a copy
# of that. For expected SARSA you need the largest entry of the row and the sum of the others; which of two equal
# entries is the greedy one makes no difference to the sum.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *too many values to unpack (expected 5)*: a step has six entries, the last says whether it terminated.
#
# *All tables are equal*: `tables.append(q_values)` appends the same tensor each time; `q_values.clone()` is what it
# holds *now*.
#
# *'list' object has no attribute 'amax'*: the table is a tensor, but the steps are plain lists of numbers.
#
# </details>


# %% q="q3"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    """The table Q after each of T steps.

    q_values [S, A]: the table before the first step. steps: T lists [state, action, reward, next_state,
    next_action, terminated] of plain numbers; next_action is what was really done in next_state. rule: "q", "sarsa"
    or "expected_sarsa". learning_rate: α. discount: γ. epsilon: of the ε-greedy policy, A > 1. Returns [T, S, A]: T
    tables, as a tensor or a list.
    """
    ### SOLUTION
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        if rule == "q":
            value = row.max()
        elif rule == "sarsa":
            value = row[next_action]
        else:
            others = (row.sum() - row.max()) / (len(row) - 1)
            value = (1 - epsilon) * row.max() + epsilon * others
        target = reward if terminated else reward + discount * value
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return tables
    ### END


# %% tags=["check"]
ex.check("q3")


# %% wrong="q3" at_most=0 why="no terminal mask" hint="You look behind the end of the problem"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        others = (row.sum() - row.max()) / (len(row) - 1)
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * others}[rule]
        q_values[state, action] += learning_rate * (reward + discount * value - q_values[state, action])
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=0 why="one table under many names" hint="All your tables are the last one"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    tables = []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        others = (row.sum() - row.max()) / (len(row) - 1)
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * others}[rule]
        target = reward + discount * value * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values)
    return tables


# %% wrong="q3" at_most=0 why="all targets from the first table" hint="Online means that each update sees"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    table, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        others = (row.sum() - row.max()) / (len(row) - 1)
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * others}[rule]
        target = reward + discount * value * (not terminated)
        table[state, action] += learning_rate * (target - table[state, action])
        tables.append(table.clone())
    return tables


# %% wrong="q3" at_most=0 why="half-updated targets" hint="The table is changed before the target"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        q_values[state, action] *= 1 - learning_rate
        row = q_values[next_state]
        others = (row.sum() - row.max()) / (len(row) - 1)
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * others}[rule]
        q_values[state, action] += learning_rate * (reward + discount * value * (not terminated))
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=0 why="the old value is not subtracted" hint="The old value is not subtracted"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        others = (row.sum() - row.max()) / (len(row) - 1)
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * others}[rule]
        q_values[state, action] += learning_rate * (reward + discount * value * (not terminated))
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=0 why="no discount" hint="γ is forgotten"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        others = (row.sum() - row.max()) / (len(row) - 1)
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * others}[rule]
        target = reward + value * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=3 why="SARSA's action in Q-learning" hint="That is SARSA's value"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        if rule == "expected_sarsa":
            value = (1 - epsilon) * row.max() + epsilon * (row.sum() - row.max()) / (len(row) - 1)
        else:
            value = row[next_action]
        target = reward + discount * value * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=4 why="the maximum in SARSA" hint="SARSA does not take the maximum"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        if rule == "expected_sarsa":
            value = (1 - epsilon) * row.max() + epsilon * (row.sum() - row.max()) / (len(row) - 1)
        else:
            value = row.max()
        target = reward + discount * value * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=3 why="the uniform form in expected SARSA" hint="That is the uniform form of ε-greedy"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * row.mean()}[rule]
        target = reward + discount * value * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=3 why="the plain mean in expected SARSA" hint="That is the plain mean over all actions"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        value = {"q": row.max(), "sarsa": row[next_action], "expected_sarsa": row.mean()}[rule]
        target = reward + discount * value * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=2 why="one rule for all" hint="`rule` is ignored"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        target = reward + discount * q_values[next_state].max() * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return tables


# %% wrong="q3" at_most=0 why="the last table alone" hint="That is the last table alone"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    q_values = q_values.clone()
    for state, action, reward, next_state, next_action, terminated in steps:
        row = q_values[next_state]
        others = (row.sum() - row.max()) / (len(row) - 1)
        value = {"q": row.max(), "sarsa": row[next_action],
                 "expected_sarsa": (1 - epsilon) * row.max() + epsilon * others}[rule]
        target = reward + discount * value * (not terminated)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
    return q_values


# %% right="q3" why="a mean of old value and target, in a new table each time"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    answer = torch.zeros(len(steps), *q_values.shape, dtype=q_values.dtype)
    for t, (state, action, reward, next_state, next_action, terminated) in enumerate(steps):
        before = answer[t - 1] if t else q_values
        probs = torch.zeros_like(before[next_state])
        if rule == "sarsa":
            probs[next_action] = 1
        else:
            chance = epsilon if rule == "expected_sarsa" else 0.0
            probs += chance / (len(probs) - 1)
            probs[before[next_state].argmax()] = 1 - chance
        target = reward + (0 if terminated else discount) * (probs @ before[next_state])
        answer[t] = before
        answer[t, state, action] = (1 - learning_rate) * before[state, action] + learning_rate * target
    return answer


# %% right="q3" why="plain lists"
def learn(q_values, steps, rule, learning_rate, discount, epsilon):
    table, tables = q_values.tolist(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        best, *rest = sorted(table[next_state], reverse=True)
        value = best
        if rule == "sarsa":
            value = table[next_state][next_action]
        if rule == "expected_sarsa":
            value = best - epsilon * (best - sum(rest) / len(rest))
        if terminated:
            value = 0.0
        table[state][action] += learning_rate * (reward + discount * value - table[state][action])
        tables.append([list(row) for row in table])
    return tables


# %% [markdown]
# **See it.** The [`cliff`](../rlcourse/envs/maps.py) of Sutton and Barto: the shortest way to the goal, 13 steps,
# leads along the edge, and a step over it costs 100 (no discount here, so the way is worth −13; $\alpha = 0.5$).
# All three rules act ε-greedily with $\varepsilon = 0.1$ and learn with your function, step after step. Which one
# earns most while it learns, and which one has found the shortest way?

# %%
from rlcourse.envs.maps import cliff


def walk(mdp, rule, epsilon=0.1, episodes=250):
    """The payment of each episode while the table is learned with your function, and the greedy path's."""
    random, q_values = generator(0, "cliff of exercise 05a"), torch.zeros(mdp.num_states, 4, dtype=torch.float64)
    start, follow = int(mdp.initial.argmax()), mdp.transition_probs.argmax(-1).tolist()
    reward, over = mdp.reward_table.tolist(), mdp.terminal.tolist()

    def act(state, chance):
        greedy = int(q_values[state].argmax())
        others = [action for action in range(4) if action != greedy]
        return others[torch.randint(3, (), generator=random)] if torch.rand((), generator=random) < chance else greedy

    payments = []
    for episode in range(episodes + 1):
        state, action, paid, steps = start, act(start, epsilon), 0.0, 0
        while not over[state] and steps < 500:
            if episode == episodes:
                action = act(state, 0.0)
            after = follow[state][action]
            next_action = act(after, epsilon)
            paid, steps = paid + reward[state][action], steps + 1
            if episode < episodes:
                step = [state, action, reward[state][action], after, next_action, over[after]]
                q_values = torch.as_tensor(learn(q_values, [step], rule, 0.5, 1.0, epsilon)[-1], dtype=torch.float64)
            state, action = after, next_action
        payments.append(paid)
    return payments[:-1], payments[-1]


def along_the_cliff():
    """The payment per episode of the three rules, over windows of 25 episodes."""
    series, mdp = {}, cliff().mdp
    for label, rule in (("Q-learning", "q"), ("SARSA", "sarsa"), ("expected SARSA", "expected_sarsa")):
        payments, greedy = walk(mdp, rule)
        windows = torch.tensor(payments).unflatten(0, (-1, 25)).mean(1)
        series[label] = (range(25, 251, 25), windows)
        print(f"{label}: {windows[-4:].mean():.0f} per episode at the end of training, "
              f"{greedy:.0f} without exploration")
    return curves(series, title="Along the cliff, ε = 0.1", xlabel="episode", ylabel="payment (mean of 25)")


ex.demo("q3", along_the_cliff)

# %% [markdown]
# Q-learning has learned the values of the *best* policy, which never explores and walks along the edge. But it is an
# exploring policy that walks there, and falls. The other two have learned the values of the policy that acts, in
# which the edge is a dangerous place. Neither is wrong; they answer different questions.


# %% [markdown]
# ## q4 · Not quite a gradient
#
# *6 points · difficulty 3 of 5 · importance 5 of 5 · about 20 minutes · topic Q2*
#
# Where there are too many states for a table, $Q(o, \cdot)$ is a function with weights, of the observation $o$,
# which takes the place of the state $s$. The simplest is linear ($\phi(s) \, w$ in the lecture): the observation
# has $K$ features, the weights are a matrix `[K, A]`, and $Q(o, \cdot)$ is the product of both. As in every
# regression one follows the gradient of a squared error, here of
#
# $$L = \frac{1}{B} \sum_b \tfrac12 \big(Q(o_b, a_b) - y_b\big)^2,$$
#
# with the targets of q1, $y_b = r_b + \gamma \max_{a'} Q(o'_b, a')$, or $r_b$ where the problem is over. But the
# targets depend on the same weights, and they are *not* differentiated: $y$ is held fixed. What comes out is called
# a semi-gradient (lecture section Q2). In general it is the gradient of no function at all, and this is where the
# theory of gradient descent ends.
#
# Two things are as a real replay hands them out: only the action that was taken has been tried, the others are
# not concerned; and `reward` and `terminated` are columns, `[B, 1]`, while `action` is `[B]`. Mind the
# shapes, torch will not.
#
# <details><summary>Hint</summary>
#
# The weights come as plain numbers: `w = weights.clone().requires_grad_()`, then compute the loss with `w`. The
# gradient is `torch.autograd.grad(loss, w)[0]`. Compute the target inside `with torch.no_grad():`, or `detach()` it.
#
# Or by hand: what is the slope of $\frac12 (Q(o, a) - y)^2$ with respect to the weights of action $a$?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *element 0 of tensors does not require grad*: the loss does not depend on `w`. Did you detach too much, or
# compute with `weights`?
#
# *grad can be implicitly created only for scalar outputs*: take the mean over the batch first.
#
# *gather(): Expected dtype int64 for index*, or *Index tensor must have the same number of dimensions*:
# `q.gather(1, action[:, None])` takes one entry from each row, [B, 1].
#
# </details>


# %% q="q4"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    """The gradient of the mean of ½ (Q(o, a) − y)², in which the targets y are held fixed.

    weights [K, A]: Q(o, ·) = o @ weights. obs, next_obs [B, K]. action [B] (int64). reward, terminated [B, 1], the
    second bool: the problem was over with this step. discount: γ. Returns the gradient with respect to the
    weights [K, A].
    """
    ### SOLUTION
    w = weights.clone().requires_grad_()
    with torch.no_grad():
        best = (next_obs @ w).amax(-1)
        target = reward.squeeze(-1) + discount * torch.where(terminated.squeeze(-1), 0.0, best)
    q = (obs @ w).gather(1, action[:, None]).squeeze(-1)
    loss = 0.5 * (q - target).square().mean()
    return torch.autograd.grad(loss, w)[0]
    ### END


# %% tags=["check"]
ex.check("q4")


# %% wrong="q4" at_most=0 why="gradient through the target" hint="The gradient flows through the target"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    best = (next_obs @ w).amax(-1, keepdim=True)
    target = reward + discount * torch.where(terminated, 0.0, best)
    q = (obs @ w).gather(1, action[:, None])
    return torch.autograd.grad(0.5 * (q - target).square().mean(), w)[0]


# %% wrong="q4" at_most=1 why="[B] against [B, 1]" hint="[B] against [B, 1] is a matrix"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    with torch.no_grad():
        best = (next_obs @ w).amax(-1, keepdim=True)
        target = reward + discount * torch.where(terminated, 0.0, best)
    q = (obs @ w)[torch.arange(len(action)), action]
    return torch.autograd.grad(0.5 * (q - target).square().mean(), w)[0]


# %% wrong="q4" at_most=1 why="[B, 1] plus [B] in the target" hint="[B] against [B, 1] is a matrix"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    with torch.no_grad():
        target = reward + discount * torch.where(terminated, 0.0, (next_obs @ w).amax(-1))
    q = (obs @ w).gather(1, action[:, None])
    return torch.autograd.grad(0.5 * (q - target).square().mean(), w)[0]


# %% wrong="q4" at_most=0 why="without the ½" hint="The ½ before the square is missing"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    target = (reward + discount * ~terminated * (next_obs @ w).amax(-1, keepdim=True)).detach()
    q = (obs @ w).gather(1, action[:, None])
    return torch.autograd.grad(torch.nn.functional.mse_loss(q, target), w)[0]


# %% wrong="q4" at_most=1 why="sum over the batch" hint="You add up the batch"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    target = (reward + discount * ~terminated * (next_obs @ w).amax(-1, keepdim=True)).detach()
    q = (obs @ w).gather(1, action[:, None])
    return torch.autograd.grad(0.5 * (q - target).square().sum(), w)[0]


# %% wrong="q4" at_most=1 why="no terminal mask" hint="You look behind the end of the problem"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    target = (reward + discount * (next_obs @ w).amax(-1, keepdim=True)).detach()
    q = (obs @ w).gather(1, action[:, None])
    return torch.autograd.grad(0.5 * (q - target).square().mean(), w)[0]


# %% wrong="q4" at_most=0 why="all actions learn" hint="All actions are drawn to the target"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    target = (reward + discount * ~terminated * (next_obs @ w).amax(-1, keepdim=True)).detach()
    return torch.autograd.grad(0.5 * (obs @ w - target).square().mean(), w)[0]


# %% wrong="q4" at_most=1 why="the best action's value" hint="You compare the target with the *best* action's value"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    target = (reward + discount * ~terminated * (next_obs @ w).amax(-1, keepdim=True)).detach()
    q = (obs @ w).amax(-1, keepdim=True)
    return torch.autograd.grad(0.5 * (q - target).square().mean(), w)[0]


# %% wrong="q4" at_most=0 why="mean of the next values" hint="the maximum, not the mean"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    target = (reward + discount * ~terminated * (next_obs @ w).mean(-1, keepdim=True)).detach()
    q = (obs @ w).gather(1, action[:, None])
    return torch.autograd.grad(0.5 * (q - target).square().mean(), w)[0]


# %% wrong="q4" at_most=0 why="sign turned" hint="The sign is turned"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.clone().requires_grad_()
    target = (reward + discount * ~terminated * (next_obs @ w).amax(-1, keepdim=True)).detach()
    q = (obs @ w).gather(1, action[:, None])
    return -torch.autograd.grad(0.5 * (q - target).square().mean(), w)[0]


# %% wrong="q4" at_most=0 why="the loss itself" hint="That is the loss"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    target = reward + discount * ~terminated * (next_obs @ weights).amax(-1, keepdim=True)
    q = (obs @ weights).gather(1, action[:, None])
    return 0.5 * (q - target).square().mean()


# %% right="q4" why="by hand"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    gradient = torch.zeros_like(weights)
    for b, a in enumerate(action.tolist()):
        target = reward[b, 0]
        if not terminated[b, 0]:
            target = target + discount * max(next_obs[b] @ weights)
        gradient[:, a] += (obs[b] @ weights[:, a] - target) * obs[b] / len(obs)
    return gradient


# %% right="q4" why="a second set of weights for the target, and backward()"
def semi_gradient(weights, obs, action, reward, next_obs, terminated, discount):
    w = weights.detach().clone().requires_grad_(True)
    taken = torch.nn.functional.one_hot(action, weights.shape[1]).bool()
    target = torch.where(terminated, reward, reward + discount * (next_obs @ weights).amax(-1, keepdim=True))
    errors = torch.where(taken, obs @ w - target, 0.0)
    (errors.square().sum() / (2 * len(obs))).backward()
    return w.grad


# %% [markdown]
# **See it.** Why not follow the true gradient of that loss, through the target too? It would be a descent, and with
# small steps could not diverge. A coin, again and again: it falls for nothing, heads pay 1 and end, tails pay 0
# and end. They are worth $\gamma / 2$, 1 and 0, and a table has a place for each of the three numbers. Your direction
# finds them. And the gradient through the target?


# %%
def which_rests_where(discount=0.9, steps=400):
    """What heads are worth while a table follows your direction, and while it follows the true gradient."""
    eye = torch.eye(3, dtype=torch.float64)
    obs, after = eye[[0, 0, 1, 1, 2, 2]], eye[[1, 2, 0, 0, 0, 0]]
    over = torch.tensor([False, False, True, True, True, True])
    reward = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)

    def residual(w):
        w = w.clone().requires_grad_()
        error = (obs @ w)[:, 0] - reward - discount * ~over * (after @ w)[:, 0]
        return torch.autograd.grad(0.5 * error.square().mean(), w)[0]

    def yours(w):
        return torch.as_tensor(semi_gradient(w, obs, torch.zeros(6).long(), reward[:, None], after, over[:, None],
                                             discount))
    series = {}
    for label, direction in (("your semi-gradient", yours), ("the gradient through the target", residual)):
        w, values = torch.zeros(3, 1, dtype=torch.float64), []
        for _ in range(steps):
            values.append(float(w[1, 0]))
            w = w - 0.3 * direction(w)
        series[label] = (range(steps), values)
        print(f"{label}: coin {w[0, 0]:.3f}, heads {w[1, 0]:.3f}, tails {w[2, 0]:.3f}")
    return curves(series, title="What heads are worth", xlabel="step", ylabel="V(heads)")


ex.demo("q4", which_rests_where)

# %% [markdown]
# Heads *are* worth 1, and were paid 1 each time. But the squared error of the coin's two transitions shrinks if
# what they lead to becomes more alike, and a gradient that is allowed to change the next state's value uses that.
# It goes down, on a loss that counts the luck of the coin as an error. It is not the true gradient that is at fault
# but its one sampled successor: with a second, independent toss of the same coin for the second factor, it descends
# $(\mathbb E \, \delta)^2$ and finds the right values, slowly (lecture section Q2). Who has a second toss?


# %% [markdown]
# ## q5 · A memory that goes round
#
# *6 points · difficulty 3 of 5 · importance 4 of 5 · about 20 minutes · topic Q4*
#
# One step looks much like the one before, and a network that sees nothing else for a while forgets the rest. Since
# the target of q1 does not care who acted, and when, the steps can be kept and drawn in any order: experience
# replay (Lin 1992, lecture section Q4). The memory is a ring of $L$ rows, in which the newest transition is written
# over the oldest. Nothing is ever moved.
#
# In this course several independent training runs always go side by side. So the ring has an axis of runs, and no
# run may ever see a transition of another: the intervals in the plots would be worth nothing, and nothing else
# would show it. A transition is here just $D$ numbers. (The ring of the library has an axis of environments too.)
#
# * `store`: row $k$ of a run is written first, then row $k+1$, and behind row $L - 1$ comes row 0 again. `written`
#   says how many rows of each run have been written *in all*, so that you know where to go on.
# * `draw`: chance comes in as numbers $u$ from 0 to 1, one for each transition that is wanted, as everywhere in the
#   course. If $n$ rows hold something, $u$ picks row number $\lfloor u \, n \rfloor$ *of the ring*, counted from
#   row 0 of the tensor, however old it is (`int(u * n)`, or `.long()` for a tensor).
#
# <details><summary>Hint</summary>
#
# Two loops are a good answer to `store`, over the steps and the runs; what is `(written + t) % L`? If more steps come
# than there are rows, such a loop is right without a second thought.
#
# For `draw`: how many rows hold anything, when few have been written, and when very many have?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *index 5 is out of bounds for dimension 1 with size 5*: behind the last row comes row 0 again, `% L`; and no more
# than L rows are stored.
#
# *tensors used as indices must be long*: `(u * n).long()` cuts off what is behind the point.
#
# *shape '[2, 4, 1]' is invalid*, or numbers in the wrong run: `steps` has time first, the ring has runs first.
# `steps.transpose(0, 1)` exchanges them, `reshape` does not.
#
# </details>


# %% q="q5"
def store(ring, written, steps):
    """The ring after new steps have been written into it.

    ring [R, L, D]: L rows for each of R runs. written: how many rows have been written before, 0 or more, of which
    the ring holds the last L. steps [T, R, D]: T new transitions of each run, the oldest first; T may be
    larger than L. Returns the ring [R, L, D], the same tensor or a new one.
    """
    ### SOLUTION
    for t in range(len(steps)):
        ring[:, (written + t) % ring.shape[1]] = steps[t]
    return ring
    ### END


def draw(ring, written, uniform):
    """Transitions drawn from what is stored, each run's from its own.

    ring [R, L, D] after `written` rows, 1 or more. uniform [R, B]: numbers in [0, 1). Returns [R, B, D].
    """
    ### SOLUTION
    stored = min(written, ring.shape[1])
    rows = (uniform * stored).long()
    return torch.stack([ring[r, rows[r]] for r in range(len(ring))])
    ### END


# %% tags=["check"]
ex.check("q5")


# %% wrong="q5" at_most=2 why="reshape mixes the runs" hint="Runs are mixed up: `steps` has time on axis 0"
def store(ring, written, steps):
    runs, length, size = ring.shape
    rows = steps.reshape(runs, -1, size)
    for t in range(len(steps)):
        ring[:, (written + t) % length] = rows[:, t]
    return ring


# %% wrong="q5" at_most=3 why="never wraps" hint="Your ring stops when it is full"
def store(ring, written, steps):
    for t in range(len(steps)):
        if written + t < ring.shape[1]:
            ring[:, written + t] = steps[t]
    return ring


# %% wrong="q5" at_most=3 why="writes over the last row" hint="you always write into its last row"
def store(ring, written, steps):
    for t in range(len(steps)):
        ring[:, min(written + t, ring.shape[1] - 1)] = steps[t]
    return ring


# %% wrong="q5" at_most=3 why="begins at row 0" hint="You begin at row 0 each time"
def store(ring, written, steps):
    for t in range(len(steps)):
        ring[:, t % ring.shape[1]] = steps[t]
    return ring


# %% wrong="q5" at_most=2 why="one row too late" hint="You write one row too late"
def store(ring, written, steps):
    for t in range(len(steps)):
        written += 1
        ring[:, written % ring.shape[1]] = steps[t]
    return ring


# %% wrong="q5" at_most=2 why="over the newest row" hint="You write one row too early"
def store(ring, written, steps):
    for t in range(len(steps)):
        ring[:, (written + t - 1) % ring.shape[1]] = steps[t]
    return ring


# %% wrong="q5" at_most=4 why="keeps the first steps of many" hint="the *last* L remain"
def store(ring, written, steps):
    length = ring.shape[1]
    steps = steps[:length]
    rows = (written + torch.arange(len(steps))) % length
    ring[:, rows] = steps.transpose(0, 1)
    return ring


# %% wrong="q5" at_most=4 why="the last steps of many in the wrong rows" hint="the *last* L remain"
def store(ring, written, steps):
    length = ring.shape[1]
    steps = steps[-length:]
    rows = (written + torch.arange(len(steps))) % length
    ring[:, rows] = steps.transpose(0, 1)
    return ring


# %% wrong="q5" at_most=3 why="pushes all rows forward" hint="You push all rows forward"
def store(ring, written, steps):
    return torch.cat([ring, steps.transpose(0, 1)], 1)[:, -ring.shape[1]:]


# %% wrong="q5" at_most=4 why="draws rows never written" hint="You also draw rows that were never written"
def draw(ring, written, uniform):
    rows = (uniform * ring.shape[1]).long()
    return torch.stack([ring[r, rows[r]] for r in range(len(ring))])


# %% wrong="q5" at_most=4 why="counts all rows ever written" hint="You count more rows than there are"
def draw(ring, written, uniform):
    rows = (uniform * written).long() % ring.shape[1]
    return torch.stack([ring[r, rows[r]] for r in range(len(ring))])


# %% wrong="q5" at_most=3 why="one draw for all runs" hint="All runs draw the same rows"
def draw(ring, written, uniform):
    rows = (uniform[0] * min(written, ring.shape[1])).long()
    return ring[:, rows]


# %% wrong="q5" at_most=3 why="draws from all runs" hint="Runs are mixed up: you draw from all of them"
def draw(ring, written, uniform):
    stored = ring[:, :min(written, ring.shape[1])].reshape(-1, ring.shape[2])
    return stored[(uniform * len(stored)).long()]


# %% wrong="q5" at_most=3 why="the newest is never drawn" hint="The last row is never drawn"
def draw(ring, written, uniform):
    rows = (uniform * (min(written, ring.shape[1]) - 1)).long()
    return torch.stack([ring[r, rows[r]] for r in range(len(ring))])


# %% wrong="q5" at_most=3 why="all runs from all runs" hint="takes the rows of *every* run from every run"
def draw(ring, written, uniform):
    return ring[:, (uniform * min(written, ring.shape[1])).long()]


# %% right="q5" why="whole blocks, indexed on both axes"
def store(ring, written, steps):
    length, kept = ring.shape[1], steps[-ring.shape[1]:]
    rows = (written + len(steps) - len(kept) + torch.arange(len(kept))) % length
    ring[:, rows] = kept.transpose(0, 1)
    return ring


def draw(ring, written, uniform):
    rows = torch.floor(uniform * min(written, ring.shape[1])).long()
    return ring[torch.arange(ring.shape[0])[:, None], rows]


# %% right="q5" why="plain lists, run by run"
def store(ring, written, steps):
    rings = ring.tolist()
    for t, rows in enumerate(steps.tolist()):
        for r, row in enumerate(rows):
            rings[r][(written + t) % len(rings[r])] = row
    return rings


def draw(ring, written, uniform):
    stored = ring.tolist() if written >= ring.shape[1] else ring[:, :written].tolist()
    return [[rows[int(u * len(rows))] for u in chances] for rows, chances in zip(stored, uniform.tolist())]


# %% [markdown]
# **See it.** What is the memory good for? A network that is linear in forty random features is to learn the function
# $\cos 4x$ from a stream in which $x$ drifts to and fro between −1 and 1, once in 2000 steps. It learns either from
# the newest 16 numbers, or from 16 drawn from your ring, of 2000 rows or of 200.

# %%
def learning_from_a_stream(steps=6000):
    """The error over the whole interval while a stream goes by, with and without a memory."""
    random = generator(0, "stream of exercise 05a")
    slope, shift = (torch.randn(2, 40, generator=random, dtype=torch.float64) * torch.tensor([[4.0], [2.0]])).unbind()

    def features(x):
        return torch.tanh(slope * x[..., None] + shift) / 40**0.5

    when = torch.arange(steps + 16, dtype=torch.float64)
    stream = torch.sin(2 * torch.pi * when / 2000)[:, None, None]  # [T, R = 1, D = 1]
    grid, series = torch.linspace(-1, 1, 101, dtype=torch.float64), {}
    for label, rows in (("the newest 16", 16), ("a ring of 200", 200), ("a ring of 2000", 2000)):
        ring, weights, errors = torch.zeros(1, rows, 1, dtype=torch.float64), torch.zeros(40).double(), []
        ring = torch.as_tensor(store(ring, 0, stream[:16]))
        for t in range(16, steps + 16):
            ring = torch.as_tensor(store(ring, t, stream[t:t + 1]))
            uniform = torch.rand(1, 16, generator=random, dtype=torch.float64)
            x = torch.as_tensor(draw(ring, t + 1, uniform))[0, :, 0]
            phi = features(x)
            weights = weights - 2.0 * (phi @ weights - torch.cos(4 * x)) @ phi / 16
            if t % 50 == 0:
                errors.append(float((features(grid) @ weights - torch.cos(4 * grid)).square().mean().sqrt()))
        series[label] = (range(50, steps + 16, 50), errors)
        print(f"{label}: error {min(errors[-40:]):.2f} to {max(errors[-40:]):.2f} over the last 2000 steps")
    return curves(series, title="Learning from a slow stream", xlabel="step", ylabel="error over all x")


ex.demo("q5", learning_from_a_stream)

# %% [markdown]
# The ring of 16 rows is no memory: the network follows $x$ around and forgets what it knew elsewhere. Once the ring
# holds a whole period, 2000 steps, a draw from it is like a draw from everywhere.


# %% [markdown]
# ## q6 · A target that stands still, or follows
#
# *5 points · difficulty 2 of 5 · importance 4 of 5 · about 12 minutes · topic Q4*
#
# A target that is computed with the very weights that move towards it runs ahead of them. So a second network, the
# *target network* with the weights $\varphi'$, computes it: an older copy of the critic's weights $\varphi$
# (lecture section Q4). There are two ways to keep it up to date: $\varphi' \leftarrow \varphi$ after every $k$-th
# update, or after each update
#
# $$\varphi' \leftarrow (1 - \eta) \, \varphi' + \eta \, \varphi .$$
#
# The first jumps and then stands still, the second follows slowly (Polyak averaging). Papers do not agree on
# which of the two networks the rate multiplies; here, and in the library, $\eta$ multiplies the *critic*, so that 1
# copies it and 0 leaves the target alone.
#
# Each update changes the critic first, by a row of `changes`, which is what an optimiser would have added to its
# weights; then it is the target's turn.
#
# <details><summary>Hint</summary>
#
# The two functions differ in one line. In Python `for t in range(T)` counts from 0: how many updates have there been
# after the one with number t?
#
# Two names for one tensor are one tensor: after `target = critic`, what does `critic += change` change?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *All rows are equal*: `targets.append(target)` appends the same tensor each time, and `target += …` changes it
# afterwards. Append `target.clone()`.
#
# *modulo by zero*: `every` is at least 1; is it `t % every` that you wrote?
#
# </details>


# %% q="q6"
def copied(critic, target, changes, every):
    """The target after each of T updates, copied from the critic after every k-th of them.

    critic, target [P]: the weights before the first update. changes [T, P]: what each update adds to the critic.
    every: k, at least 1. Returns the target's weights after each update [T, P], as a tensor or a list.
    """
    ### SOLUTION
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        if (t + 1) % every == 0:
            target = critic
        targets.append(target)
    return torch.stack(targets)
    ### END


def followed(critic, target, changes, polyak_rate):
    """The target after each of T updates, moved towards the critic after each of them.

    critic, target, changes as above. polyak_rate: η, the weight of the critic. Returns [T, P].
    """
    ### SOLUTION
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        target = target + polyak_rate * (critic - target)
        targets.append(target)
    return torch.stack(targets)
    ### END


# %% tags=["check"]
ex.check("q6")


# %% wrong="q6" at_most=2 why="a second name for the critic" hint="the target is the critic itself"
def copied(critic, target, changes, every):
    targets = []
    for t in range(len(changes)):
        critic += changes[t]
        if (t + 1) % every == 0:
            target = critic
        targets.append(target.clone())
    return targets


# %% wrong="q6" at_most=2 why="copies after the first update" hint="You copy after the first update"
def copied(critic, target, changes, every):
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        if t % every == 0:
            target = critic
        targets.append(target)
    return targets


# %% wrong="q6" at_most=2 why="copies one update too late" hint="You copy one update too late"
def copied(critic, target, changes, every):
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        if t > 0 and t % every == 0:
            target = critic
        targets.append(target)
    return targets


# %% wrong="q6" at_most=2 why="copies before the update" hint="First the critic learns"
def copied(critic, target, changes, every):
    targets = []
    for t in range(len(changes)):
        if (t + 1) % every == 0:
            target = critic
        critic = critic + changes[t]
        targets.append(target)
    return targets


# %% wrong="q6" at_most=2 why="waits for one update too many" hint="You wait for one update too many"
def copied(critic, target, changes, every):
    targets, waited = [], 0
    for t in range(len(changes)):
        critic = critic + changes[t]
        if waited == every:
            target, waited = critic, 0
        else:
            waited += 1
        targets.append(target)
    return targets


# %% wrong="q6" at_most=2 why="copies once" hint="You copy once"
def copied(critic, target, changes, every):
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        if t + 1 == every:
            target = critic
        targets.append(target)
    return targets


# %% wrong="q6" at_most=2 why="never copies" hint="Your target never changes"
def copied(critic, target, changes, every):
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        targets.append(target)
    return targets


# %% wrong="q6" at_most=3 why="the rate on the wrong network" hint="The rate multiplies the wrong network"
def followed(critic, target, changes, polyak_rate):
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        target = polyak_rate * target + (1 - polyak_rate) * critic
        targets.append(target)
    return targets


# %% wrong="q6" at_most=3 why="follows the critic of before" hint="First the critic learns"
def followed(critic, target, changes, polyak_rate):
    targets = []
    for t in range(len(changes)):
        target = target + polyak_rate * (critic - target)
        critic = critic + changes[t]
        targets.append(target)
    return targets


# %% wrong="q6" at_most=3 why="one tensor in all rows" hint="All rows are the last one"
def followed(critic, target, changes, polyak_rate):
    targets = []
    for t in range(len(changes)):
        critic += changes[t]
        target += polyak_rate * (critic - target)
        targets.append(target)
    return targets


# %% wrong="q6" at_most=3 why="mixes with the first target" hint="You mix with the target at the start each time"
def followed(critic, target, changes, polyak_rate):
    targets = []
    for t in range(len(changes)):
        critic = critic + changes[t]
        targets.append((1 - polyak_rate) * target + polyak_rate * critic)
    return targets


# %% wrong="q6" at_most=3 why="a share of the change" hint="You add a share of the change"
def followed(critic, target, changes, polyak_rate):
    targets = []
    for t in range(len(changes)):
        target = target + polyak_rate * changes[t]
        targets.append(target)
    return targets


# %% right="q6" why="in place, with copies in the list"
def copied(critic, target, changes, every):
    targets = []
    for number, change in enumerate(changes, start=1):
        critic += change
        if number % every == 0:
            target.copy_(critic)
        targets.append(target.clone())
    return targets


def followed(critic, target, changes, polyak_rate):
    targets = []
    for change in changes:
        critic += change
        target.mul_(1 - polyak_rate).add_(polyak_rate * critic)
        targets.append(target.clone())
    return targets


# %% right="q6" why="all critics first"
def copied(critic, target, changes, every):
    stages = torch.cat([target[None], critic + changes.cumsum(0)])
    number = torch.arange(1, len(changes) + 1)
    return stages[number - number % every]


def followed(critic, target, changes, polyak_rate):
    critics, rows = critic + changes.cumsum(0), [target]
    for each in critics:
        rows.append(torch.lerp(rows[-1], each, polyak_rate))
    return torch.stack(rows[1:])


# %% [markdown]
# **See it.** A weight of the critic that wanders, and both targets behind it. The copy comes every 40 updates, so it
# is 0 to 39 updates old (the *lag* of the lecture), on average $(k - 1)/2 = 19.5$. For which $\eta$ has the follower,
# whose mean age is $(1 - \eta)/\eta$, the same?


# %%
def behind_a_wanderer(updates=400, every=40):
    """A wandering weight, the copy of it, and a follower of the same mean age."""
    changes = 0.05 * torch.randn(updates, 1, generator=generator(0, "wanderer of exercise 05a"), dtype=torch.float64)
    changes += 0.01
    zero, polyak_rate = torch.zeros(1, dtype=torch.float64), 2 / (every + 1)
    copy = torch.as_tensor(copied(zero, zero, changes, every))[:, 0]
    follower = torch.as_tensor(followed(zero, zero, changes, polyak_rate))[:, 0]
    critic, when = changes.cumsum(0)[:, 0], range(1, updates + 1)
    print(f"η = 2/(k + 1) = {polyak_rate:.3f}: the copy is {(critic - copy)[every:].mean():.2f} behind on average, "
          f"the follower {(critic - follower)[every:].mean():.2f}")
    return curves({"critic": (when, critic), f"copied every {every}": (when, copy),
                   f"followed, η = {polyak_rate:.3f}": (when, follower)},
                  title="Two targets of the same mean age", xlabel="update", ylabel="a weight")


ex.demo("q6", behind_a_wanderer)

# %% [markdown]
# The copy is a regression problem that stands still for 40 updates, and then another. The follower never stands
# still, and never jumps.


# %% [markdown]
# ## q7 · Where the weight grows, on paper
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 20 minutes · topic Q2*
#
# With a table Q-learning converges. With a function it may not, and the smallest example has two states and one
# weight (Tsitsiklis and Van Roy 1996, lecture section Q2). The values are approximated by $V(s) = \varphi(s) \, w$
# with $\varphi = 1$ in the first state and $\varphi = 2$ in the second. All rewards are 0; the policy in question
# leads from either state to the second one. So the true values are 0, and $w = 0$ is right.
#
# Both targets are $\gamma \cdot 2w$. But the data come from somebody else: a share $p$ of the transitions begins in
# the first state, $1 - p$ in the second. Three functions are asked for.
#
# * `step_factor`: a semi-gradient step on average over the data,
#
# $$w \leftarrow w + \alpha \sum_s d(s) \, \big(\gamma \cdot 2w - \varphi(s) \, w\big) \, \varphi(s) .$$
#
#   Here $d = (p, 1 - p)$ are the shares. By which factor does it multiply $w$?
#
# * `regression_factor`: an exact regression on targets from the *old* weight, as fitted Q-iteration does it,
#
# $$w' = \arg\min_{w'} \sum_s d(s) \, \big(\varphi(s) \, w' - \gamma \cdot 2w\big)^2 .$$
#
#   By which factor does it multiply $w$? No step size is left to be blamed.
#
# * `largest_discount`: the $\gamma$ up to which $w$ does not grow. It is the same for small steps and for the
#   regression.
#
# <details><summary>Hint</summary>
#
# Put the two states into the sum, one after the other, and take $w$ out of the bracket. For the regression set the
# derivative with respect to $w'$ to zero and solve.
#
# Two checks for your result: with $p = 0$, data from the second state alone, all is well for every $\gamma < 1$. With
# $p = 1$ the regression doubles $w$ at $\gamma = 1$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *ZeroDivisionError*: no denominator in the answers can be 0 for shares from 0 to 1. What did you divide by?
#
# *got None*: a function without `return`.
#
# </details>


# %% q="q7"
def step_factor(share, learning_rate, discount):
    """By which factor an average semi-gradient step multiplies w.

    share: p, the share of the first state in the data, 0 to 1. learning_rate: α. discount: γ. Returns a number.
    """
    ### SOLUTION
    first = 2 * discount - 1
    second = (2 * discount - 2) * 2
    return 1 + learning_rate * (share * first + (1 - share) * second)
    ### END


def regression_factor(share, discount):
    """By which factor an exact regression on targets from the old weight multiplies w. Returns a number."""
    ### SOLUTION
    return 2 * discount * (share + 2 * (1 - share)) / (share + 4 * (1 - share))
    ### END


def largest_discount(share):
    """The γ up to which w does not grow, neither by small steps nor by regressions. Returns a number."""
    ### SOLUTION
    return (4 - 3 * share) / (4 - 2 * share)
    ### END


# %% tags=["check"]
ex.check("q7")


# %% wrong="q7" at_most=3 why="residual gradient" hint="That is the residual gradient"
def step_factor(share, learning_rate, discount):
    return 1 - learning_rate * (share * (2 * discount - 1) ** 2 + (1 - share) * (2 * discount - 2) ** 2)


# %% wrong="q7" at_most=3 why="the slope is forgotten" hint="The slope of V(s) is missing"
def step_factor(share, learning_rate, discount):
    return 1 + learning_rate * (share * (2 * discount - 1) + (1 - share) * (2 * discount - 2))


# %% wrong="q7" at_most=3 why="only the first state" hint="The second state is missing"
def step_factor(share, learning_rate, discount):
    return 1 + learning_rate * share * (2 * discount - 1)


# %% wrong="q7" at_most=3 why="the change, not the factor" hint="The factor is 1 plus that"
def step_factor(share, learning_rate, discount):
    return learning_rate * (share * (2 * discount - 1) + 4 * (1 - share) * (discount - 1))


# %% wrong="q7" at_most=3 why="unweighted" hint="Each state counts with its share of the data"
def step_factor(share, learning_rate, discount):
    return 1 + learning_rate * (2 * discount - 1 + 4 * (discount - 1))


# %% wrong="q7" at_most=3 why="mean of two fits" hint="the mean of the weights that would fit each state alone"
def regression_factor(share, discount):
    return share * 2 * discount + (1 - share) * discount


# %% wrong="q7" at_most=3 why="φ forgotten in the normal equation" hint="every term is multiplied by φ(s) once more"
def regression_factor(share, discount):
    return 2 * discount / (share + 2 * (1 - share))


# %% wrong="q7" at_most=3 why="the shares exchanged" hint="The shares are exchanged"
def regression_factor(share, discount):
    return 2 * discount * ((1 - share) + 2 * share) / ((1 - share) + 4 * share)


# %% wrong="q7" at_most=3 why="right for one half alone" hint="That is right for p = ½"
def regression_factor(share, discount):
    return 6 * discount / 5


# %% wrong="q7" at_most=4 why="one half, always" hint="That is right for p = 1"
def largest_discount(share):
    return 0.5


# %% wrong="q7" at_most=4 why="turned round" hint="It is turned round"
def largest_discount(share):
    return (4 - 2 * share) / (4 - 3 * share)


# %% wrong="q7" at_most=4 why="never" hint="the weight grows before γ reaches 1"
def largest_discount(share):
    return 1.0


# %% right="q7" why="state by state, and the edge from the factor"
def step_factor(share, learning_rate, discount):
    w = 1.0
    for weight, feature in ((share, 1.0), (1 - share, 2.0)):
        w += learning_rate * weight * (discount * 2.0 - feature) * feature
    return w


def regression_factor(share, discount):
    features, data = torch.tensor([1.0, 2.0]).double(), torch.tensor([share, 1 - share]).double()
    target = torch.full((2,), 2 * discount).double()
    return ((data * features * target).sum() / (data * features**2).sum()).item()


def largest_discount(share):
    return 1 / regression_factor(share, 1.0)


# %% right="q7" why="sorted by powers of γ"
def step_factor(share, learning_rate, discount):
    return 1 - learning_rate * (4 - 3 * share) + learning_rate * discount * (4 - 2 * share)


def regression_factor(share, discount):
    return discount * (1 + share / (4 - 3 * share))


def largest_discount(share):
    return 1 - share / (4 - 2 * share)


# %% [markdown]
# **See it.** Fitted iteration from $w = 1$, by your factor, with data from both states alike, and the largest
# $\gamma$ over all shares ([`panels`](../rlcourse/plots/curves.py)).

# %%
from rlcourse.plots.curves import panels


def growing_weights():
    """The weight by rounds of fitting for three γ, and the edge between growing and shrinking."""
    rounds, shares = range(41), [share / 100 for share in range(101)]
    by_round = {f"γ = {discount}": (rounds, [regression_factor(0.5, discount) ** k for k in rounds])
                for discount in (0.7, 0.83, 0.95)}
    edge = {"largest γ": (shares, [largest_discount(share) for share in shares])}
    for share in (0.05, 0.5, 0.95):
        print(f"p = {share}: w grows for γ above {largest_discount(share):.3f}; with γ = 0.99 a regression multiplies "
              f"it by {regression_factor(share, 0.99):.3f}")
    return panels([dict(series=by_round, title="p = 1/2", xlabel="rounds of fitting", ylabel="w", log="y"),
                   dict(series=edge, title="Above the line w grows", xlabel="share p of the first state",
                        ylabel="γ")])


ex.demo("q7", growing_weights)

# %% [markdown]
# Nothing was sampled here, nothing explored, no reward was noisy, and there is no maximum. Bootstrapping, a function
# that ties two states together, and data that do not come from the policy in question are enough; with any
# two of the three the divergence can be avoided. The target network of q6 would only slow it down here: the
# regressions themselves lead away from 0.


# %% [markdown]
# ## Your score

# %%
ex.score()
