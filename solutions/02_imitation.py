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
# # Exercise 02 · Imitation learning
#
# In the lecture you watched a cloned driver drift off the road. Here you build that experiment
# yourself, from the clone to the repair: you fit a policy to demonstrations, predict *exactly* how many
# mistakes it will make and when, put the worst case into one line of algebra, and mend a DAgger that
# learns something every day and forgets it overnight.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and sections I1, I2 and I7 of [the lecture](../lectures/02_imitation.ipynb). All
# tensors are float64. Read the shapes in the docstrings first: they are half of each answer.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("02_imitation")

# %% [markdown]
# ## q1 · Behaviour cloning in a table
#
# *4 points · difficulty 1 of 5 · importance 5 of 5 · about 10 minutes · topic I1*
#
# An expert was watched for a while. The table $n(s, a)$ says how often it took action $a$ in state
# $s$. Cloning asks for the policy that makes what was seen most likely,
#
# $$\max_\pi \; \sum_{s,a} n(s, a) \, \log \pi(a \mid s)
# \qquad\text{with}\qquad \sum_a \pi(a \mid s) = 1 \text{ for every } s,$$
#
# and for a table the answer needs no gradient descent. Where the expert was never seen the
# likelihood does not care what you do, so somebody has to decide: in those states use `fallback`.
#
# <details><summary>Hint</summary>
#
# With one state only: you saw action 0 three times and action 1 once. Maximise
# $3 \log p + \log(1 - p)$. What does the answer look like for $n_0$ and $n_1$? For the empty rows,
# `torch.where(condition, this, that)` picks row by row.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *Boolean value of Tensor with more than one value is ambiguous*: an `if` met a whole tensor. Every
# row decides for itself: use `torch.where`, with a condition of shape `[S, 1]`.
#
# *The size of tensor a (2) must match the size of tensor b (3)*: you divided `[S, A]` by `[S]`. A sum
# with `keepdim=True` has shape `[S, 1]` and divides row by row.
#
# *My table has NaN in it*: 0/0. PyTorch does not raise there.
#
# </details>


# %% q="q1"
def clone(counts, fallback):
    """The maximum-likelihood policy of a table of counts.

    counts [S, A]: how often the expert took each action in each state. fallback [A]: the
    distribution to use in states without data. Returns the policy π(a|s) [S, A].
    """
    ### SOLUTION
    total = counts.sum(-1, keepdim=True)
    return torch.where(total > 0, counts / total, fallback)
    ### END


# %% tags=["check"]
ex.check("q1")


# %% wrong="q1" at_most=0 why="normalises over the states" hint="You divide by the sum over the states"
def clone(counts, fallback):
    total = counts.sum(0, keepdim=True)
    return torch.where(counts.sum(-1, keepdim=True) > 0, counts / total, fallback)


# %% wrong="q1" at_most=2 why="0/0 in states without data" hint="divides 0 by 0, which is NaN"
def clone(counts, fallback):
    return counts / counts.sum(-1, keepdim=True)


# %% wrong="q1" at_most=0 why="keeps the most frequent action only" hint="You keep only the most frequent action"
def clone(counts, fallback):
    best = torch.nn.functional.one_hot(counts.argmax(-1), counts.shape[-1]).double()
    return torch.where(counts.sum(-1, keepdim=True) > 0, best, fallback)


# %% wrong="q1" at_most=2 why="uniform instead of the fallback" hint="they should get `fallback`"
def clone(counts, fallback):
    total = counts.sum(-1, keepdim=True)
    uniform = torch.full_like(counts, 1 / counts.shape[1])
    return torch.where(total > 0, counts / total.clamp(min=1), uniform)


# %% wrong="q1" at_most=0 why="adds the fallback as pseudo-counts" hint="You add the fallback to the counts"
def clone(counts, fallback):
    smoothed = counts + fallback
    return smoothed / smoothed.sum(-1, keepdim=True)


# %% wrong="q1" at_most=1 why="an if on a whole tensor" hint="Decide entry by entry"
def clone(counts, fallback):
    total = counts.sum(-1, keepdim=True)
    if total > 0:
        return counts / total
    return fallback.expand_as(counts)


# %% wrong="q1" at_most=0 why="no return" hint="does every way through it end with `return`"
def clone(counts, fallback):
    policy = counts / counts.sum(-1, keepdim=True)
    policy[counts.sum(-1) == 0] = fallback


# %% right="q1" why="state by state"
def clone(counts, fallback):
    policy = torch.zeros_like(counts)
    for s in range(len(counts)):
        n = counts[s].sum()
        policy[s] = counts[s] / n if n > 0 else fallback
    return policy


# %% right="q1" why="rows without data replaced afterwards, in float32"
def clone(counts, fallback):
    policy = counts.float() / counts.float().sum(1)[:, None]
    policy[policy.isnan().any(1)] = fallback.float()
    return policy


# %% [markdown]
# ## q2 · Expected mistakes, step by step
#
# *6 points · difficulty 3 of 5 · importance 5 of 5 · about 20 minutes · topic I2*
#
# How many mistakes will a learner make? You could let it drive ten thousand times and count. In a
# table you can know. Carry the state distribution forward: start from $p(s_0)$ and, at every step,
#
# $$\mathbb{E}\,c_t = \sum_s p(s_t = s) \sum_a \pi(a \mid s)\, c(s, a), \qquad
# p(s_{t+1} = s') = \sum_s \sum_a p(s_t = s)\, \pi(a \mid s)\, p(s' \mid s, a).$$
#
# These two lines are the whole of section I2 in code. The first is what a mistake costs *now*; the
# second is how today's mistakes decide which states tomorrow's are made in.
#
# <details><summary>Hint</summary>
#
# One loop over the steps, two lines in it, in the order above. `torch.einsum` likes one letter for
# each axis: `s` for the state, `a` for the action, `n` for the next state. Which letters does the
# second formula sum over, and which one is left?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *einsum(): subscript … has size …*: two axes of different lengths share a letter. Write the shape of
# every tensor above the line.
#
# *expected … same dtype, Float and Double*: `torch.zeros(n)` is float32; the tables are float64. Take
# `dtype=initial.dtype`, or collect the costs in a list and `torch.stack` them.
#
# *The first number is right, the others are not*: print the distribution after one step. Does it
# still sum to 1?
#
# </details>


# %% q="q2"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    """The expected cost of each step, exactly.

    transition_probs [S, A, S]: p(s'|s, a) at [s, a, s']. initial [S]: p(s_0). policy [S, A]: π(a|s).
    cost [S, A]: c(s, a). Returns E c_t for t = 0 … horizon − 1, a tensor [horizon].
    """
    ### SOLUTION
    marginal = initial
    costs = []
    for _ in range(horizon):
        costs.append(torch.einsum("s,sa,sa->", marginal, policy, cost))
        marginal = torch.einsum("s,sa,san->n", marginal, policy, transition_probs)
    return torch.stack(costs)
    ### END


# %% tags=["check"]
ex.check("q2")


# %% wrong="q2" at_most=1 why="never leaves the initial distribution" hint="Every step uses the initial distribution"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    costs = []
    for _ in range(horizon):
        costs.append(torch.einsum("s,sa,sa->", initial, policy, cost))
        marginal = torch.einsum("s,sa,san->n", initial, policy, transition_probs)
    return torch.stack(costs)


# %% wrong="q2" at_most=0 why="one step late" hint="You are one step late"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    marginal = initial
    costs = []
    for _ in range(horizon):
        marginal = torch.einsum("s,sa,san->n", marginal, policy, transition_probs)
        costs.append(torch.einsum("s,sa,sa->", marginal, policy, cost))
    return torch.stack(costs)


# %% wrong="q2" at_most=0 why="costs are not weighted by the policy" hint="You add the costs of all actions"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    marginal = initial
    costs = []
    for _ in range(horizon):
        costs.append((marginal * cost.sum(-1)).sum())
        marginal = torch.einsum("s,sa,san->n", marginal, policy, transition_probs)
    return torch.stack(costs)


# %% wrong="q2" at_most=1 why="axes of the transition table exchanged" hint="Two axes of the transition table are exchanged"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    marginal = initial
    costs = []
    for _ in range(horizon):
        costs.append(torch.einsum("s,sa,sa->", marginal, policy, cost))
        marginal = torch.einsum("s,sa,nas->n", marginal, policy, transition_probs)
    return torch.stack(costs)


# %% wrong="q2" at_most=1 why="running totals" hint="These are running totals"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    marginal = initial
    costs = []
    for _ in range(horizon):
        costs.append((marginal[:, None] * policy * cost).sum())
        marginal = torch.einsum("s,sa,san->n", marginal, policy, transition_probs)
    return torch.stack(costs).cumsum(0)


# %% wrong="q2" at_most=0 why="the distribution after the last step is paid as well" hint="One step too many"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    marginal = initial
    costs = []
    for _ in range(horizon + 1):
        costs.append((marginal[:, None] * policy * cost).sum())
        marginal = torch.einsum("s,sa,san->n", marginal, policy, transition_probs)
    return torch.stack(costs)


# %% right="q2" why="by the Markov chain of the policy"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    chain = (policy[:, :, None] * transition_probs).sum(1)
    by_state = (policy * cost).sum(1)
    p = initial.clone()
    out = torch.zeros(horizon, dtype=torch.float64)
    for t in range(horizon):
        out[t] = p @ by_state
        p = p @ chain
    return out


# %% right="q2" why="backwards, from the values"
def expected_mistakes(transition_probs, initial, policy, cost, horizon):
    answer = []
    for t in range(horizon):
        value = (policy * cost).sum(1)
        for _ in range(t):
            value = (policy * (transition_probs @ value)).sum(1)
        answer.append(float(initial @ value))
    return answer


# %% [markdown]
# **See it.** On [`tightrope`](../rlcourse/envs/tightrope.py) the expert walks forward and never falls. A
# clone errs with probability $\varepsilon$ at each step; its cost is
# [`mistake_cost`](../rlcourse/envs/tightrope.py), one for each step on which it does not do what the
# expert would. Two ropes: on one a fall is final. On the other there is a way back up, but the
# demonstrations do not show it, so this clone tries it only one time in twenty. Before you run the cell:
# where do the two curves ([`curves`](../rlcourse/plots/curves.py)) end?

# %%
from rlcourse.envs.tightrope import mistake_cost, tightrope
from rlcourse.plots.curves import curves


def two_ropes(epsilon=0.02, horizon=120):
    """The cost of a clone on both tightropes, by your function."""
    policy = torch.tensor([[1 - epsilon, epsilon], [0.95, 0.05]], dtype=torch.float64)
    series = {}
    for recoverable, label in ((False, "a fall is final"), (True, "a way back that the data do not show")):
        rope = tightrope(recoverable)
        cost = expected_mistakes(rope.transition_probs, rope.initial, policy, mistake_cost(recoverable), horizon)
        series[label] = (range(horizon), cost)
    series["ε, the error on the training states"] = (range(horizon), [epsilon] * horizon)
    return curves(series, title=f"A learner with an error of {epsilon:.0%} on the expert's states",
                  xlabel="step t", ylabel="expected mistakes at step t")


ex.demo("q2", two_ropes)

# %% [markdown]
# ## q3 · The tightrope in closed form
#
# *5 points · difficulty 2 of 5 · importance 4 of 5 · about 15 minutes · topic I2*
#
# On the rope where a fall is final everything can be summed by hand. At each step the learner
# slips with probability $\varepsilon$. The step on which it slips costs 1, and so does every step
# after it, down to the last of the $T$ steps. What is the expected cost of the whole walk?
#
# Write the exact answer as a function of `epsilon` and `horizon`. It is compared at several points,
# among them a very small $\varepsilon$, and $\varepsilon = 0$, where a formula with $\varepsilon$ in the
# denominator needs a word of its own.
#
# <details><summary>Hint</summary>
#
# Count the other way round: step $t$ (from 0) is *free* only if all of the first $t + 1$ actions were
# right. What is the probability of that? The sum over $t$ is geometric.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *ZeroDivisionError*: somebody asked for $\varepsilon = 0$. A learner that never errs pays nothing.
#
# *pow() received an invalid combination of arguments*: `epsilon` is a plain Python number, not a tensor.
# Python's own `**` is all you need.
#
# </details>


# %% q="q3"
def tightrope_cost(epsilon, horizon):
    """The expected number of steps, of `horizon`, that are paid for (a number).

    epsilon: the probability of a slip at each step, in [0, 1]; horizon: T, at least 1.
    """
    ### SOLUTION
    if epsilon == 0:
        return 0.0
    on_the_rope_at_the_end = (1 - epsilon) ** horizon
    return horizon - (1 - epsilon) * (1 - on_the_rope_at_the_end) / epsilon
    ### END


# %% tags=["check"]
ex.check("q3")


# %% wrong="q3" at_most=1 why="each slip costs one step" hint="εT counts each slip as one lost step"
def tightrope_cost(epsilon, horizon):
    return epsilon * horizon


# %% wrong="q3" at_most=1 why="the approximation for small εT" hint="εT²/2 is only the approximation"
def tightrope_cost(epsilon, horizon):
    return epsilon * horizon**2 / 2


# %% wrong="q3" at_most=1 why="the bound of proof B" hint="εT(T+1)/2 is a bound"
def tightrope_cost(epsilon, horizon):
    return epsilon * horizon * (horizon + 1) / 2


# %% wrong="q3" at_most=1 why="everyone who falls pays all steps" hint="You charge all T steps"
def tightrope_cost(epsilon, horizon):
    return horizon * (1 - (1 - epsilon) ** horizon)


# %% wrong="q3" at_most=1 why="the step of the fall is free" hint="a factor (1−ε) is missing"
def tightrope_cost(epsilon, horizon):
    if epsilon == 0:
        return 0.0
    return horizon - (1 - (1 - epsilon) ** horizon) / epsilon


# %% wrong="q3" at_most=3 why="divides by zero at ε = 0" hint="for which argument is the denominator 0"
def tightrope_cost(epsilon, horizon):
    return horizon - (1 - epsilon) * (1 - (1 - epsilon) ** horizon) / epsilon


# %% right="q3" why="the sum, term by term"
def tightrope_cost(epsilon, horizon):
    return sum(1 - (1 - epsilon) ** (t + 1) for t in range(horizon))


# %% right="q3" why="a tensor of the terms"
def tightrope_cost(epsilon, horizon):
    t = torch.arange(1, horizon + 1)
    return (1 - torch.tensor(1 - epsilon, dtype=torch.float64) ** t).sum()


# %% [markdown]
# **See it.** Your formula beside the two rough answers that everybody gives first, for $\varepsilon = 0.01$.
# Where is $\varepsilon T^2/2$ good, and where does it claim more mistakes than there are steps?


# %%
def rough_answers(epsilon=0.01):
    """T, εT, your formula and εT²/2, as a small table."""
    print(f"{'T':>5} {'εT':>8} {'exact':>8} {'εT²/2':>8}")
    for horizon in (5, 10, 50, 100, 500, 1000):
        exact = tightrope_cost(epsilon, horizon)
        print(f"{horizon:5} {epsilon * horizon:8.2f} {exact:8.2f} {epsilon * horizon**2 / 2:8.2f}")


ex.demo("q3", rough_answers)

# %% [markdown]
# ## q4 · Bug hunt: a DAgger that forgets
#
# *5 points · difficulty 2 of 5 · importance 5 of 5 · about 15 minutes · topic I7*
#
# A friend has written DAgger and let it loose on the lane of the lecture: eight learners, one drive of
# 50 steps in each round, the same error of 5 % wherever there are data. After each round we computed
# exactly how many of 50 steps the eight would get wrong on average:
#
# ```
# round  mistakes
#     0      13.5  █████████████▌
#     1      16.2  ████████████████
#     2      15.2  ███████████████
#     3      14.0  ██████████████
#     4      15.3  ███████████████▌
#     5      17.3  █████████████████▌
#     6      11.8  ████████████
#     7      12.3  ████████████▌
#     8      15.7  ███████████████▌
#     9      16.4  ████████████████▌
#    10      30.4  ██████████████████████████████▌
# ```
#
# Every round brought 50 fresh labels from the expert, none of them wrong. The code runs, no loss is NaN,
# and each learner does well *on the data that it was given*. And yet, ten rounds later, it is worse than
# plain cloning (round 0). This is the code:


# %%
def forgetful_dagger(rounds, collect, label, fit):
    """A loop with a bug. Do not mend it here: the picture at the end compares it with yours."""
    policies = []
    policy = None
    for _ in range(rounds + 1):
        states = collect(policy)
        dataset = [(states, label(states))]
        policy = fit(dataset)
        policies.append(policy)
    return policies


# %% [markdown]
# Find the bug and write the loop as it should be. What you are given:
#
# - `collect(policy)` lets `policy` drive once and returns the states it visited; `collect(None)` lets the
#   expert drive;
# - `label(states)` asks the expert for its actions in those states. Its time is what DAgger costs, so ask
#   once for each state;
# - `fit(dataset)` learns a policy from a list of `(states, labels)` pairs.
#
# Your loop returns the list of all policies: plain cloning first, then one for each round. It never looks
# inside a state or a policy, so the same loop will drive tables here and a car with cameras in the lecture.
#
# <details><summary>Hint</summary>
#
# Look at the curve again: it does not stay bad in the same way, it wobbles. Each learner knows something,
# only not the same thing as the one before. Then say aloud what the letters D-Agg stand for.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *fit: expected a list of (states, labels) pairs*: `dataset` must be a list, also when it holds one pair:
# `[(states, labels)]`.
#
# *collect: … it is over*: `collect` was called more often than once a round.
#
# *A list of another length*: `rounds` rounds give `rounds + 1` policies.
#
# </details>


# %% q="q4"
def dagger(rounds, collect, label, fit):
    """DAgger's loop: returns the list of rounds + 1 policies, plain cloning first."""
    ### SOLUTION
    policies = []
    policy = None
    dataset = []
    for _ in range(rounds + 1):
        states = collect(policy)
        dataset.append((states, label(states)))
        policy = fit(dataset)
        policies.append(policy)
    return policies
    ### END


# %% tags=["check"]
ex.check("q4")


# %% wrong="q4" at_most=1 why="the bug, still there" hint="forgets the earlier ones"
def dagger(rounds, collect, label, fit):
    return forgetful_dagger(rounds, collect, label, fit)


# %% wrong="q4" at_most=1 why="labels are the learner's own actions" hint="The labels are what the learner did"
def dagger(rounds, collect, label, fit):
    policies, policy, dataset = [], None, []
    for _ in range(rounds + 1):
        states = collect(policy)
        labels = label(states) if policy is None else policy[states].argmax(-1)
        dataset.append((states, labels))
        policy = fit(dataset)
        policies.append(policy)
    return policies


# %% wrong="q4" at_most=1 why="the expert drives in every round" hint="The expert drives in every round"
def dagger(rounds, collect, label, fit):
    policies, dataset = [], []
    for _ in range(rounds + 1):
        states = collect(None)
        dataset.append((states, label(states)))
        policies.append(fit(dataset))
    return policies


# %% wrong="q4" at_most=3 why="the first policy drives in every round" hint="The same first policy drives"
def dagger(rounds, collect, label, fit):
    states = collect(None)
    dataset = [(states, label(states))]
    first = fit(dataset)
    policies = [first]
    for _ in range(rounds):
        states = collect(first)
        dataset.append((states, label(states)))
        policies.append(fit(dataset))
    return policies


# %% wrong="q4" at_most=0 why="one round too few" hint="One policy is missing"
def dagger(rounds, collect, label, fit):
    policies, policy, dataset = [], None, []
    for _ in range(rounds):
        states = collect(policy)
        dataset.append((states, label(states)))
        policy = fit(dataset)
        policies.append(policy)
    return policies


# %% wrong="q4" at_most=4 why="asks for every label again in every round" hint="The expert's time is what DAgger costs"
def dagger(rounds, collect, label, fit):
    policies, policy, drives = [], None, []
    for _ in range(rounds + 1):
        drives.append(collect(policy))
        policy = fit([(states, label(states)) for states in drives])
        policies.append(policy)
    return policies


# %% wrong="q4" at_most=0 why="gives fit the states alone" hint="expected a list of (states, labels) pairs"
def dagger(rounds, collect, label, fit):
    policies, policy, states = [], None, torch.zeros(0, dtype=torch.int64)
    for _ in range(rounds + 1):
        states = torch.cat([states, collect(policy)])
        policy = fit(states)
        policies.append(policy)
    return policies


# %% right="q4" why="a generator, and one growing pair of tensors"
def dagger(rounds, collect, label, fit):
    states = collect(None)
    labels = label(states)
    policy = fit([(states, labels)])
    yield policy
    for _ in range(rounds):
        new = collect(policy)
        states, labels = torch.cat([states, new]), torch.cat([labels, label(new)])
        policy = fit([(states, labels)])
        yield policy


# %% right="q4" why="the latest policy is the last of the list"
def dagger(rounds, collect, label, fit):
    dataset, policies = [], []
    while len(policies) <= rounds:
        states = collect(policies[-1] if policies else None)
        dataset = dataset + [(states, label(states))]
        policies += [fit(dataset)]
    return policies


# %% [markdown]
# **See it.** Both loops on the [`lane`](../rlcourse/envs/lane.py), trained by the library's own
# [`train`](../rlcourse/algorithms/tabular_imitation.py), which takes any loop in place of its own, with
# the settings of the story above ([`Config`](../rlcourse/algorithms/tabular_imitation.py)). The mistakes of
# each learner are exact ([`state_marginals`](../rlcourse/exact/propagation.py),
# [`exact_cost`](../rlcourse/exact/propagation.py)); lines are means over the eight learners, bands reach
# from the best to the worst of them.

# %%
from rlcourse.algorithms.tabular_imitation import Config, train
from rlcourse.envs import lane
from rlcourse.exact.propagation import exact_cost, state_marginals


def mistakes_by_round(loop):
    """Exact expected mistakes in 50 steps [rounds + 1, learners]."""
    world, config = lane.lane(), Config(rounds=10, episodes=1, horizon=50, epsilon=0.05)
    table = []
    for snapshot in train(world, lane.expert_policy(), config, seed=0, dagger=loop):
        costs = [exact_cost(state_marginals(world, policy, 50), policy, lane.mistake_cost()).sum()
                 for policy in snapshot.policy]
        table.append(torch.stack(costs))
    return torch.stack(table)


def both_loops():
    """The forgetful loop and yours, on the same lane."""
    series = {}
    for label, loop in (("forgetful", forgetful_dagger), ("yours", dagger)):
        cost = mistakes_by_round(loop)
        series[label] = (range(len(cost)), cost.mean(1), cost.min(1).values, cost.max(1).values)
        print(f"{label:>9}: {cost[0].mean():.1f} mistakes after round 0, {cost[-1].mean():.1f} after round 10")
    return curves(series, title="Expected mistakes in 50 steps: eight learners, mean and range",
                  xlabel="round", ylabel="mistakes")


ex.demo("q4", both_loops)

# %% [markdown]
# ## Your score

# %%
ex.score()
