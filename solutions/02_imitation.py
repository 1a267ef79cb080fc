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
# mistakes it will make and when, put the worst case into one line of algebra, and mend a DAgger that does
# not converge. Then you teach a policy to express two right answers, turn aimless driving into lessons, and
# in the end your own DAgger keeps a car with a camera on the road.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and sections I1, I2, I5, I6 and I7 of [the lecture](../lectures/02_imitation.ipynb). All
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


# %% wrong="q1" at_most=0 why="divides by the sum of the whole table" hint="You divided by the total of the whole table"
def clone(counts, fallback):
    policy = counts / counts.sum()
    return torch.where(counts.sum(-1, keepdim=True) > 0, policy, fallback)


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


# %% wrong="q1" at_most=0 why="an if on a whole tensor" hint="Decide entry by entry"
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
# denominator needs a word of its own. A sum written as a loop over the steps is accepted too; the formula is
# what tells you how the cost grows.
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


# %% wrong="q3" at_most=1 why="the step of the fall is free" hint="The step on which the fall happens is paid for as well"
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
# ## q4 · Bug hunt: a DAgger that does not converge
#
# *5 points · difficulty 2 of 5 · importance 5 of 5 · about 15 minutes · topic I7*
#
# A friend has written DAgger:


# %%
def friends_dagger(rounds, collect, label, fit):
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
# and lets it loose on the [`lane`](../rlcourse/envs/lane.py) of the lecture: eight learners, one drive of 50
# steps in each round, the same error of 5 % wherever there are data
# ([`Config`](../rlcourse/algorithms/tabular_imitation.py)). The library's own
# [`train`](../rlcourse/algorithms/tabular_imitation.py) takes any loop in place of its own. After each round
# we compute exactly how many of 50 steps each learner gets wrong
# ([`state_marginals`](../rlcourse/exact/propagation.py), [`exact_cost`](../rlcourse/exact/propagation.py)). The
# line is the mean, the band reaches from the best learner to the worst.

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


def mean_and_range(cost):
    """Rounds, mean, lowest and highest of the runs [rounds + 1, runs]: what `curves` draws."""
    return range(len(cost)), cost.mean(1), cost.min(1).values, cost.max(1).values


curves({"your friend's DAgger": mean_and_range(mistakes_by_round(friends_dagger))},
       title="Expected mistakes in 50 steps", xlabel="round", ylabel="mistakes")

# %% [markdown]
# Every round brought 50 fresh labels from the expert, none of them wrong. The code runs, no loss is NaN,
# and each learner does well *on the data that it was given*. And yet most rounds are worse than plain
# cloning (round 0), and the last is the worst.
#
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
# Each learner of the picture knows something, only not the same thing as the one before. Follow rounds 0, 1
# and 2 on paper, and write down for each: who drove, who labelled, and *what `fit` was given*. Then
# compare the three lists with the algorithm in the lecture.
#
# </details>
#
# <details><summary>A second hint</summary>
#
# The learner of round 1 left the road in places that the one of round 0 had never seen, and got labels for
# them. Where does it learn what to do on the crown of the road? Say aloud what the letters D-Agg stand for.
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
    return friends_dagger(rounds, collect, label, fit)


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
# **See it.** Both loops on the same lane, from the same first drive. What does your learner do, in the round in
# which your friend's has forgotten the crown of the road?


# %%
def both_loops():
    """Your friend's loop and yours, on the same lane."""
    series = {}
    for label, loop in (("your friend's", friends_dagger), ("yours", dagger)):
        cost = mistakes_by_round(loop)
        series[label] = mean_and_range(cost)
        print(f"{label:>13}: {cost[0].mean():.1f} mistakes after round 0, {cost[-1].mean():.1f} after round 10")
    return curves(series, title="Expected mistakes in 50 steps: eight learners, mean and range",
                  xlabel="round", ylabel="mistakes")


ex.demo("q4", both_loops)

# %% [markdown]
# ## q5 · The likelihood of two right answers
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 15 minutes · topic I5*
#
# A tree stands in the middle of the road. Half of the drivers pass it on the left, half on the right, and a
# policy that predicts *the mean* of what they do drives into it. A policy that can say "either of these"
# gives a mixture: for each observation $K$ weights, means and widths,
#
# $$p(a \mid o) = \sum_k w_k \, \mathcal N(a; \mu_k, \sigma_k^2), \qquad
# \mathcal N(a; \mu, \sigma^2) = \frac{1}{\sigma \sqrt{2 \pi}} \, e^{-\frac{1}{2} \left( \frac{a - \mu}{\sigma} \right)^2},
# \qquad \sum_k w_k = 1.$$
#
# Cloning is maximum likelihood as before, so all that training needs is $\log p(a \mid o)$ (Bishop 1994).
# Write it, for a batch of one-dimensional actions, each with its own mixture. A network that has just
# been initialised may put all its components far from the data: your answer must still be right
# where the density itself is too small for a float64, which ends near $10^{-308}$. Its logarithm is not small at all.
#
# <details><summary>Hint</summary>
#
# Write $\log\,(w_k \, \mathcal N_k)$ as a sum of four terms, with shape `[B, K]`. What is left is the logarithm of a
# sum of exponentials, and `torch.logsumexp` takes it without ever leaving the logarithms.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *The size of tensor a (3) must match the size of tensor b (2)*: `action` is `[B]`, the rest `[B, K]`.
# `action[:, None]` has shape `[B, 1]` and meets every component.
#
# *log(): argument 'input' must be Tensor, not float*: for the number $2\pi$ use `math.log(2 * math.pi)`.
#
# *−inf came out*: you took the logarithm of a sum that had already become 0.
#
# </details>


# %% q="q5"
import math


def mixture_log_likelihood(action, weights, mean, std):
    """log p(a|o) of each action under its own mixture of Gaussians.

    action [B]. weights, mean, std [B, K]: w_k (they sum to 1), μ_k and the standard deviation σ_k of the
    components. Returns a tensor [B], in nats.
    """
    ### SOLUTION
    standardised = (action[:, None] - mean) / std
    log_component = -0.5 * standardised**2 - torch.log(std) - 0.5 * math.log(2 * math.pi)
    return torch.logsumexp(torch.log(weights) + log_component, -1)
    ### END


# %% tags=["check"]
ex.check("q5")


# %% wrong="q5" at_most=3 why="the logarithm of a sum that underflows" hint="Every density underflows to 0"
def mixture_log_likelihood(action, weights, mean, std):
    density = torch.exp(-0.5 * ((action[:, None] - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    return torch.log((weights * density).sum(-1))


# %% wrong="q5" at_most=1 why="the mean of the logarithms" hint="You take the mean of the logarithms"
def mixture_log_likelihood(action, weights, mean, std):
    component = torch.distributions.Normal(mean, std)
    return (weights * component.log_prob(action[:, None])).sum(-1)


# %% wrong="q5" at_most=1 why="forgets the weights" hint="every component counts in full"
def mixture_log_likelihood(action, weights, mean, std):
    component = torch.distributions.Normal(mean, std)
    return torch.logsumexp(component.log_prob(action[:, None]), -1)


# %% wrong="q5" at_most=0 why="adds the weights, not their logarithms" hint="add *log* w"
def mixture_log_likelihood(action, weights, mean, std):
    component = torch.distributions.Normal(mean, std)
    return torch.logsumexp(weights + component.log_prob(action[:, None]), -1)


# %% wrong="q5" at_most=2 why="forgets 1/σ" hint="The factor 1/σ of the density is missing"
def mixture_log_likelihood(action, weights, mean, std):
    log_component = -0.5 * ((action[:, None] - mean) / std) ** 2 - 0.5 * math.log(2 * math.pi)
    return torch.logsumexp(torch.log(weights) + log_component, -1)


# %% wrong="q5" at_most=0 why="forgets 2π" hint="The factor 1/√(2π) of the density is missing"
def mixture_log_likelihood(action, weights, mean, std):
    log_component = -0.5 * ((action[:, None] - mean) / std) ** 2 - torch.log(std)
    return torch.logsumexp(torch.log(weights) + log_component, -1)


# %% wrong="q5" at_most=2 why="the standard deviation as the variance" hint="You use `std` as if it were the variance"
def mixture_log_likelihood(action, weights, mean, std):
    log_component = -0.5 * (action[:, None] - mean) ** 2 / std - 0.5 * torch.log(2 * math.pi * std)
    return torch.logsumexp(torch.log(weights) + log_component, -1)


# %% wrong="q5" at_most=0 why="adds up the batch" hint="You add up the batch"
def mixture_log_likelihood(action, weights, mean, std):
    component = torch.distributions.Normal(mean, std)
    return torch.logsumexp(torch.log(weights) + component.log_prob(action[:, None]), -1).sum()


# %% wrong="q5" at_most=0 why="the loss instead of the log-likelihood" hint="The sign is turned"
def mixture_log_likelihood(action, weights, mean, std):
    component = torch.distributions.Normal(mean, std)
    return -torch.logsumexp(torch.log(weights) + component.log_prob(action[:, None]), -1)


# %% wrong="q5" at_most=2 why="action by action against component by component" hint="Two shapes do not line up"
def mixture_log_likelihood(action, weights, mean, std):
    log_component = -0.5 * ((action - mean) / std) ** 2 - torch.log(std) - 0.5 * math.log(2 * math.pi)
    return torch.logsumexp(torch.log(weights) + log_component, -1)


# %% right="q5" why="by the distributions of PyTorch"
def mixture_log_likelihood(action, weights, mean, std):
    from torch.distributions import Categorical, MixtureSameFamily, Normal
    return MixtureSameFamily(Categorical(weights), Normal(mean, std)).log_prob(action)


# %% right="q5" why="action by action, relative to the largest component"
def mixture_log_likelihood(action, weights, mean, std):
    answer = []
    for b in range(len(action)):
        logs = [math.log(w) - 0.5 * ((float(action[b]) - m) / s) ** 2 - math.log(s * math.sqrt(2 * math.pi))
                for w, m, s in zip(weights[b].tolist(), mean[b].tolist(), std[b].tolist())]
        top = max(logs)
        answer.append(top + math.log(sum(math.exp(log - top) for log in logs)))
    return answer


# %% [markdown]
# **See it.** Four hundred drivers just before the tree ([`uniforms`](../rlcourse/core/seeding.py),
# [`generator`](../rlcourse/core/seeding.py)): half steer to the left, half to the right. One Gaussian and a mixture
# of two are fitted to them by maximum likelihood, and your function draws both densities. Where does the single
# Gaussian have its peak, and how many of the drivers steered there?

# %%
from rlcourse.core.seeding import generator, uniforms


def at_the_tree(drivers=400):
    """The densities that one Gaussian and a mixture of two give to what the drivers did."""
    random = generator(0, "at the tree")
    side = torch.where(uniforms((drivers,), random) < 0.5, -0.7, 0.7)
    steering = side + 0.12 * torch.special.ndtri(uniforms((drivers,), random))
    left, right = steering[side > 0], steering[side < 0]
    grid = torch.linspace(-1.5, 1.5, 301, dtype=torch.float64)
    series = {}
    for label, groups in (("one Gaussian", [steering]), ("mixture of two", [right, left])):
        fit = [[len(group) / drivers, group.mean(), group.std()] for group in groups]
        weights, mean, std = torch.tensor(fit, dtype=torch.float64).T[:, None]

        def log_density(action):
            rows = (parameter.expand(len(action), -1) for parameter in (weights, mean, std))
            return torch.as_tensor(mixture_log_likelihood(action, *rows))

        series[label] = (grid, log_density(grid).exp())
        print(f"{label:>14}: {log_density(steering).mean():5.2f} nats a driver, "
              f"density straight ahead {series[label][1][150]:.2f}")
    return curves(series, title="Two good actions, and what the policies make of them",
                  xlabel="steering, left is positive; the tree is at 0", ylabel="density")


ex.demo("q5", at_the_tree)

# %% [markdown]
# ## q6 · Every drive is a lesson
#
# *5 points · difficulty 2 of 5 · importance 3 of 5 · about 15 minutes · topic I6*
#
# Somebody drove from $s_0$ to $s_T$, with no aim or with one that he missed. For a policy $\pi(a \mid s, g)$
# that is told where to go, none of it is wasted: at time $t$ the driver did $a_t$, and at a later time $k$ he *was*
# in $s_k$. So $a_t$ is an example of what to do in $s_t$ when one wants to be in $s_k$ (Kaelbling 1993; for cloning
# Lynch et al. 2019, Ghosh et al. 2021). Turn a drive into all examples of this kind,
#
# $$(s_t, \; g = s_k, \; a_t) \qquad \text{for all } 0 \le t < k \le T,$$
#
# in the order of $t$, and for one $t$ in the order of $k$.
#
# <details><summary>Hint</summary>
#
# Two nested loops and three lists are a good answer: `torch.stack(list)` makes a tensor of them. Which is the
# last $t$ that has an action, and which the last $k$ that has a state? Whoever wants no loops looks up
# `torch.triu_indices`.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *index 3 is out of bounds for dimension 0 with size 3*: there are $T$ actions and $T + 1$ states, so
# `actions[k]` does not exist for the last $k$. Is it $a_k$ that belongs into the example?
#
# *stack expects a non-empty TensorList*: a drive of one step has one example, and your loop made none.
#
# *not enough values to unpack*: the answer is three tensors, `return state, goal, action`.
#
# </details>


# %% q="q6"
def relabel(states, actions):
    """All examples (state, goal, action) that one drive gives.

    states [T + 1], actions [T] (int64): s_0 … s_T and a_0 … a_{T−1}. Returns three tensors
    [T (T + 1) / 2]: s_t, s_k and a_t for all t < k ≤ T, ordered by t, then by k.
    """
    ### SOLUTION
    state, goal, action = [], [], []
    for t in range(len(actions)):
        for k in range(t + 1, len(states)):
            state.append(states[t])
            goal.append(states[k])
            action.append(actions[t])
    return torch.stack(state), torch.stack(goal), torch.stack(action)
    ### END


# %% tags=["check"]
ex.check("q6")


# %% wrong="q6" at_most=0 why="only the last state is a goal" hint="Only the last state serves as a goal"
def relabel(states, actions):
    return states[:-1], states[-1].expand(len(actions)), actions


# %% wrong="q6" at_most=0 why="only the next state is a goal" hint="Only the next state serves as a goal"
def relabel(states, actions):
    return states[:-1], states[1:], actions


# %% wrong="q6" at_most=0 why="goals from the past as well" hint="States of the past are among your goals"
def relabel(states, actions):
    pairs = [(t, k) for t in range(len(actions)) for k in range(len(states)) if t != k]
    t, k = torch.tensor(pairs).T
    return states[t], states[k], actions[t]


# %% wrong="q6" at_most=0 why="all states are goals" hint="Every state serves as a goal"
def relabel(states, actions):
    T = len(actions)
    return states[:-1].repeat_interleave(T + 1), states.repeat(T), actions.repeat_interleave(T + 1)


# %% wrong="q6" at_most=0 why="a state is its own goal" hint="a state becomes its own goal"
def relabel(states, actions):
    pairs = [(t, k) for t in range(len(actions)) for k in range(t, len(states))]
    t, k = torch.tensor(pairs).T
    return states[t], states[k], actions[t]


# %% wrong="q6" at_most=0 why="the last state is left out" hint="The last state is never a goal"
def relabel(states, actions):
    pairs = [(t, k) for t in range(len(actions)) for k in range(t + 1, len(actions))]
    t, k = torch.tensor(pairs).T
    return states[t], states[k], actions[t]


# %% wrong="q6" at_most=0 why="triu_indices without the step ahead" hint="And the last state is missing"
def relabel(states, actions):
    t, k = torch.triu_indices(len(actions), len(actions))
    return states[t], states[k], actions[t]


# %% wrong="q6" at_most=0 why="the action that led into the goal" hint="You give the action that led into the goal"
def relabel(states, actions):
    pairs = [(t, k) for t in range(len(actions)) for k in range(t + 1, len(states))]
    t, k = torch.tensor(pairs).T
    return states[t], states[k], actions[k - 1]


# %% wrong="q6" at_most=0 why="the action at the goal" hint="You give the action taken at the goal"
def relabel(states, actions):
    pairs = [(t, k) for t in range(len(actions)) for k in range(t + 1, len(actions))]
    t, k = torch.tensor(pairs).T
    return states[t], states[k], actions[k]


# %% wrong="q6" at_most=0 why="the action at the goal, which the last state has not" hint="An index lies outside its axis"
def relabel(states, actions):
    examples = [(states[t], states[k], actions[k]) for t in range(len(actions)) for k in range(t + 1, len(states))]
    return tuple(torch.stack(part) for part in zip(*examples))


# %% wrong="q6" at_most=0 why="ordered by the goal" hint="The right pairs in another order"
def relabel(states, actions):
    pairs = [(t, k) for k in range(len(states)) for t in range(k)]
    t, k = torch.tensor(pairs).T
    return states[t], states[k], actions[t]


# %% wrong="q6" at_most=0 why="gives (goal, state, action)" hint="State and goal are exchanged"
def relabel(states, actions):
    t, k = torch.triu_indices(len(actions), len(actions))
    return states[k + 1], states[t], actions[t]


# %% wrong="q6" at_most=4 why="a window of ten steps" hint="Every pair t < k ≤ T once"
def relabel(states, actions):
    pairs = [(t, k) for t in range(len(actions)) for k in range(t + 1, min(t + 11, len(states)))]
    t, k = torch.tensor(pairs).T
    return states[t], states[k], actions[t]


# %% right="q6" why="without a loop"
def relabel(states, actions):
    t, k = torch.triu_indices(len(states), len(states), offset=1)
    return states[t], states[k], actions[t]


# %% right="q6" why="lists of numbers"
def relabel(states, actions):
    examples = [(s, g, a) for t, (s, a) in enumerate(zip(states.tolist(), actions.tolist()))
                for g in states[t + 1:].tolist()]
    return tuple(zip(*examples))


# %% [markdown]
# **See it.** A [`wanderer`](../rlcourse/envs/goals.py) walks about a room ([`goal_room`](../rlcourse/envs/goals.py)),
# every step by lot ([`sample_index`](../rlcourse/envs/tabular.py)). Your function relabels his walks of 20 steps,
# [`imitation`](../rlcourse/equations/imitation.py)`.clone` fits one table for each goal to them, and
# [`reach_probability`](../rlcourse/exact/goals.py) says exactly how often a walk of 20 steps with such a table
# passes through its goal, on average over all cells of the room. Nobody has shown the clone how to get anywhere. How
# much better than the wanderer will it be after 300 walks?

# %%
from rlcourse.envs.goals import goal_room, wanderer
from rlcourse.envs.tabular import sample_index
from rlcourse.equations import imitation
from rlcourse.exact.goals import reach_probability


def walks(mdp, policy, number, steps=20):
    """States [steps + 1, number] and actions [steps, number]."""
    random = generator(0, "walks")
    states, actions = [mdp.initial_state(uniforms((number, 1), random))], []
    for _ in range(steps):
        noise = uniforms((number, 2), random)
        actions.append(sample_index(policy[states[-1]], noise[:, 0]))
        states.append(mdp.transition(states[-1], actions[-1], noise[:, 1:]))
    return torch.stack(states), torch.stack(actions)


def lessons_from_walks():
    """How often a clone of relabelled walks reaches its goal, by the number of walks."""
    room = goal_room()
    aimless = wanderer(room)
    states, actions = walks(room.mdp, aimless, 300)
    counts = torch.zeros(room.mdp.num_states, *aimless.shape, dtype=torch.float64)
    one, reached = torch.ones((), dtype=torch.float64), {}
    for walk in range(300):
        state, goal, action = (torch.as_tensor(part) for part in relabel(states[:, walk], actions[:, walk]))
        counts.index_put_((goal, state, action), one, accumulate=True)
        if walk + 1 in (1, 3, 10, 30, 100, 300):
            policy = imitation.clone(counts, torch.full((4,), 0.25, dtype=torch.float64))
            reached[walk + 1] = reach_probability(room.mdp, policy, 20).mean()
    without = reach_probability(room.mdp, aimless.expand_as(counts), 20).mean()
    print(f"goals reached: {without:.0%} by the wanderer, {reached[300]:.0%} by the clone of 300 of his walks")
    series = {"clone of relabelled walks": (list(reached), list(reached.values())),
              "the wanderer himself": (list(reached), [without] * len(reached))}
    return curves(series, title="A policy that is told where to go, learned from walks that went nowhere",
                  xlabel="walks", ylabel="share of goals reached", log="x")


ex.demo("q6", lessons_from_walks)

# %% [markdown]
# ## Finale: your DAgger on the road
#
# Your loop of q4 has never looked inside a state or a policy. So it can have other ones: the states of a
# [`Car`](../rlcourse/envs/car.py) on a winding road with gusts of wind, the labels of a scripted driver
# ([`car_expert`](../rlcourse/envs/experts.py)), and for `fit` a neural network that sees nothing but one line of 24
# pixels. [`camera_imitation`](../rlcourse/algorithms/camera_imitation.py) takes your loop and teaches eight networks at
# once ([`behaviour_cloning`](../rlcourse/algorithms/behaviour_cloning.py) fits them;
# [`watch`](../rlcourse/widgets/app/watch.py) and [`learning_to_drive`](../rlcourse/plots/driving.py) show it). It takes
# about six seconds.
#
# What to see: round 0 is plain cloning of one demonstration, and about half of the drives leave the road, at the
# crosses. After your rounds the cars stay on it.

# %% tags=["unstable-picture"]
from rlcourse.algorithms import behaviour_cloning, camera_imitation
from rlcourse.envs.car import Car
from rlcourse.envs.experts import car_expert
from rlcourse.plots.driving import learning_to_drive
from rlcourse.widgets.app.watch import watch


def on_the_road(rounds=3):
    """Your loop teaches eight networks to drive."""
    car = Car()
    config = camera_imitation.Config(rounds=rounds, cloning=behaviour_cloning.Config(
        steps=500, learning_rate=0.003, snapshot_every=500))
    learning = camera_imitation.train(car, car_expert(car), config, seed=0, dagger=dagger)
    drivers = watch(learning, rounds, draw=learning_to_drive(car), name="your DAgger on the road", size=(8, 2.6))
    first, last = drivers.history[0], drivers.history[-1]
    print("as clones they leave the road on more than a quarter of their drives:", bool(first.mean() > 0.25))
    print("taught by your loop, on fewer than one in ten:", bool(last.mean() < 0.1))
    print("at least 6 of the 8 networks stay on it in all 16 drives:", bool((last == 0).sum() >= 6))


ex.demo("q4", on_the_road)

# %% [markdown]
# Your functions are kept as soon as their checks pass. Lecture 02 asks for your loop by the line below, and says whose
# it got. (A published solution keeps nothing, so there it is the library's.)

# %%
loop_of_the_lecture = ex.mine("dagger")

# %% [markdown]
# ## Your score

# %%
ex.score()
