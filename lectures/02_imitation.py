# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lecture 02 · Imitation learning: why a good copy drives badly
#
# Around 1990 a small neural network called ALVINN learned in a few minutes to steer a van, by watching a person drive
# (Pomerleau 1991). The recipe could not be simpler: collect pairs of what the driver saw and what the driver
# did, and fit a function to them. It is supervised learning, and it comes with supervised learning's promise:
# *what is right on 99 % of the held-out data is right 99 % of the time*.
#
# This lecture is about why that promise does not hold. A copy that errs on one step in a hundred of its
# teacher's walk can err on most steps of its own (114 of 200, in I2). You will see it happen, compute by how much, prove that it
# cannot be worse than that, and then repair it, first with better data and then with a better question.
#
# **You need** from lecture 01: the state distribution $p_\pi(s_t)$ and how it is propagated (F2), and
# the performance-difference lemma (F7), which is repeated where it is used.
#
# **You will be able to** say what cloning maximises, compute exactly what an imitator's errors cost,
# prove the quadratic bound in two ways and know why there are two, choose data that teach recovery,
# choose a policy that can express two right answers, and run and defend DAgger.

# %%
from rlcourse.notebook import start

start()

# %% [markdown]
# ## The smallest car
#
# We want a world small enough that nothing has to be estimated. Here is one: a road with a
# [camber](../rlcourse/envs/lane.py), high in the middle and falling off to a ditch on each side. The
# state is the car's offset from the crown, in cells, and the actions are *left*, *straight* and *right*. On three
# steps in ten a gust pushes the car one cell to a random side, and from two cells off the crown on, the slope rolls
# it outwards on every other step. The expert has one rule: steer towards the crown.
#
# *Read the code:* [`lane`](../rlcourse/envs/lane.py), [`drive`](../rlcourse/algorithms/tabular_imitation.py), [`count_labels`](../rlcourse/algorithms/tabular_imitation.py),
# [`generator`](../rlcourse/core/seeding.py), [`lane_picture`](../rlcourse/plots/imitation.py).

# %%
import numpy as np
import torch

from rlcourse.algorithms.tabular_imitation import count_labels, drive
from rlcourse.core.seeding import generator
from rlcourse.envs import lane
from rlcourse.plots.imitation import lane_picture, tightropes_picture

world = lane.lane()
expert = lane.expert_policy()
expert_action = expert.argmax(-1)

states = drive(world, expert[None], episodes=20, horizon=100, random=generator(0, "demonstrations"))
counts = count_labels(states, expert_action[states], world.num_states, world.num_actions)[0]
lane_picture(expert_action.numpy(), counts.sum(-1).numpy())

# %% [markdown]
# The arrows are what the expert would do in each cell (the dot: straight on), the numbers how often twenty
# demonstrations of a hundred steps pass through it; blue is what the data show. Look at the grey arrows. The
# expert knows what to do on the slope, but it is so good that it never gets there, and so its data never say.
# **The better the teacher, the narrower the data.**

# %% [markdown]
# ## I1 Behaviour cloning is maximum likelihood
#
# Let the data be pairs $(o_i, a_i)$, $i = 1 \dots n$, of observations and the expert's actions. Behaviour
# cloning chooses, among the policies $\pi_\theta(a \mid o)$ that we can represent, the one under which the
# recorded actions were most probable:
#
# $$\max_\theta \; \sum_{i=1}^n \log \pi_\theta(a_i \mid o_i).$$
#
# (On the lane the observation is the state, $o = s$, and we write $s$ until a camera appears in I4.) Nothing here
# is special to control. The inputs are treated as given, and only the labels are explained.
#
# In a table the maximum has a closed form. Let $n(s, a)$ count how often action $a$ was recorded in
# state $s$. The sum above is $\sum_s \sum_a n(s,a) \log \pi(a \mid s)$, so each state can be treated by itself.
# Write $\hat p(a \mid s) = n(s,a) / \sum_{a'} n(s,a')$ for the frequencies. Then
#
# $$\sum_a \hat p(a \mid s) \log \pi(a \mid s)
#   = -H(\hat p(\cdot \mid s)) - \mathrm{KL}\big(\hat p(\cdot \mid s) \,\|\, \pi(\cdot \mid s)\big),$$
#
# and since a KL divergence is never negative, and zero only for equal distributions, the maximum is at
# $\pi = \hat p$: **a cloned table is the table of frequencies.** Where a state was never visited, $n(s, \cdot) = 0$
# and the likelihood says nothing at all. *Something* must be chosen there, and we choose the action that is most
# frequent in the data as a whole.
#
# That choice is ours, and it matters. A learner that copied the nearest labelled cell would drive this lane
# perfectly. Nothing in the likelihood prefers the one or the other; and with camera pictures, what is "nearest"
# is anybody's guess.
#
# *Read the code:* [`clone`](../rlcourse/equations/imitation.py), [`most_frequent_action`](../rlcourse/equations/imitation.py), [`cloning_loss`](../rlcourse/equations/imitation.py).

# %%
from rlcourse.equations.imitation import clone, cloning_loss, most_frequent_action

cloned = clone(counts, most_frequent_action(counts))
for state in range(4, 9):
    print(f"{world.state_names[state]:>6}:", "   ".join(
        f"{name} {share:.2f}" for name, share in zip(world.action_names, cloned[state].tolist())))
shaken = 0.99 * cloned + 0.01 / world.num_actions
print(f"loss of the clone {float(cloning_loss(cloned, counts)):.4f} nats, "
      f"of the clone mixed with 1 % noise {float(cloning_loss(shaken, counts)):.4f} nats")

# %% [markdown]
# The loss (the mean negative log-likelihood) is as low as it can be: zero, because this
# expert is deterministic. By supervised learning's own measure the clone is perfect. At offsets ±2 it
# drives *straight*, for want of data.
#
# Two distributions hide in what we just did, and the rest of the lecture is about their difference. The
# clone was **trained under $p_{\text{train}}(o)$**, the observations that the expert's drives pass through. It
# will be **run under $p_\theta(o)$**, the observations that its own drives pass through. As long as it
# never errs the two are equal. Suppose, then, that it errs a little.

# %% [markdown]
# ## I2 Distribution shift
#
# No fitted function is perfect. To study what its errors do, we add them by hand, and only where the learner had
# data: an [`imperfect`](../rlcourse/equations/imitation.py) learner takes a wrong action, any of them alike,
# with probability exactly $\varepsilon$ in every state that the data cover. Where they do not, it falls back on the
# most frequent action. The expert $\pi^*$ is deterministic throughout I2 to I4; I5 removes that.
#
# How many mistakes will it make in a drive of $T$ steps? Count them with the cost
#
# $$c(s, a) = \mathbb 1[\,a \ne \pi^*(s)\,].$$
#
# The promise says $\varepsilon T$. Answer the question below before the picture appears; then play. What you see is
# exact: the densities come from propagating $p_\theta(s_t)$ forward, not from samples. A cell counts as covered if
# twenty demonstrations of a hundred steps are expected to visit it at least once. Only the white lines are
# samples: eight drives, with random numbers that stay the same as you move a slider. (The widget is
# [`distribution_shift`](../rlcourse/widgets/app/distribution_shift.py); its numbers come from
# [`compute`](../rlcourse/widgets/models/distribution_shift.py).)

# %%
from rlcourse.widgets.app.distribution_shift import distribution_shift

distribution_shift()

# %% [markdown]
# **What to notice.**
#
# 1. At $t = 0$ the two densities are equal, and for a few steps you cannot tell them apart. The difference *grows
#    with $t$*: it is not the error that is large but its consequences, and they add up.
# 2. The lost probability does not spread evenly. It collects in the ditches, where the data said nothing and the
#    most frequent action, *straight*, keeps the car.
# 3. On the lower right both axes are logarithmic, so a power of $T$ is a straight line and its slope is the
#    exponent. The exact cost leaves $\varepsilon T$ (slope 1) within the first few steps, climbs almost as steeply as the
#    grey line (slope 2), and for large $\varepsilon T$ (set $\varepsilon$ to 0.1) bends back to slope 1, because nobody makes more than one
#    mistake a step.
# 4. Noise in the expert makes the demonstrations *worse* and the imitator *better*. We return to this in I4.
#
# ### The worst world: two tightropes
#
# To find out how bad it can get, strip the lane to two states. On a
# [`tightrope`](../rlcourse/envs/tightrope.py) the expert walks *forward*. Any other action is a fall. On one rope a
# fall is final: every step after it costs 1, by decree, for no action is right any more. On the other the expert would climb
# back, but since it never falls, its data do not show how. (Drawn by
# [`tightropes_picture`](../rlcourse/plots/imitation.py).)

# %%
tightropes_picture()

# %% [markdown]
# The imitator has seen only *forward*. In the state *fallen* it has no data, so it does what is most
# frequent: it goes on walking forward, in the air. On both ropes, then, the first mistake is followed by
# mistakes for ever, and we can write down what that costs.
#
# ### Proof A: an error of at most ε on every training state
#
# Let the learner err with probability at most $\varepsilon$ in *every* state that the expert can reach.
# Count steps from $t = 0$. Let $S_t$ be the probability that no mistake was made on the steps before $t$, so
# that $S_0 = 1$.
#
# *As long as no mistake was made, the learner has done what the expert does, and so it is in a state that
# the expert can reach.* There it errs with probability at most $\varepsilon$. Hence
# $S_{t+1} \ge (1 - \varepsilon)\, S_t$, and by induction $S_t \ge (1 - \varepsilon)^t$.
#
# *A mistake on step $t$ means that not all steps up to and including $t$ were free of mistakes.* Hence
# $\mathbb E\, c_t \le 1 - S_{t+1} \le 1 - (1 - \varepsilon)^{t+1}$. This step is generous: it supposes
# that after the first mistake all is lost. Summing over $t = 0 \dots T - 1$ with the geometric series,
#
# $$\mathbb E \sum_{t=0}^{T-1} c_t \;\le\; T - (1-\varepsilon)\,\frac{1 - (1-\varepsilon)^T}{\varepsilon}
#   \;=\; \frac{\varepsilon T (T+1)}{2} + O(\varepsilon^2 T^3). \tag{A}$$
#
# (The same sum, ordered by the step $k$ of the first mistake, which spoils the $T - k$ steps that are left:
# $\sum_k (1-\varepsilon)^k\, \varepsilon\, (T-k)$.)
#
# On the rope where a fall is final both inequalities are equalities. So (A) is not a pessimist's bound:
# **there is a world in which it is exactly what happens.** That is a claim we can try to refute. Below, one column
# is the formula, [`no_recovery_cost`](../rlcourse/equations/imitation.py); the next shares no line of code with
# it: the distribution propagated forward step by step by
# [`state_marginals`](../rlcourse/exact/propagation.py) and
# [`exact_cost`](../rlcourse/exact/propagation.py).

# %%
from rlcourse.envs import tightrope
from rlcourse.equations.imitation import imperfect, no_recovery_cost
from rlcourse.exact.propagation import exact_cost, state_marginals

rope = tightrope.tightrope(recoverable=False)
walks_forward = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
seen = torch.tensor([True, False])


def rope_mistakes(epsilon, horizon):
    learner = imperfect(walks_forward, seen, epsilon)
    marginals = state_marginals(rope, learner, horizon)
    return float(exact_cost(marginals, learner, tightrope.mistake_cost(recoverable=False)).sum())


print("     ε     T        εT   formula (A)   propagated    εT²/2")
for epsilon, horizon in ((0.001, 50), (0.001, 100), (0.01, 100), (0.01, 200), (0.1, 200)):
    formula = no_recovery_cost(torch.tensor(epsilon, dtype=torch.float64), torch.tensor(horizon))
    print(f"{epsilon:6} {horizon:5} {epsilon * horizon:9.2f} {float(formula):13.6f} "
          f"{rope_mistakes(epsilon, horizon):12.6f} {epsilon * horizon**2 / 2:8.2f}")

# %% [markdown]
# Formula and propagation agree to all digits shown. Compare the last column: $\varepsilon T^2/2$ is a good
# approximation in the first two lines, where $\varepsilon T \ll 1$, and nonsense in the last, where it
# counts ten times as many mistakes as there are steps. **Quadratic growth is a statement about small $\varepsilon T$.**
#
# ### The slope, measured
#
# "Grows like $T^2$" can be measured without any formula: let imitators walk, add up how likely a mistake is in
# every state that they visit, double the horizon, and take $\log_2$ of the ratio. It is 1 for linear and 2 for
# quadratic growth. Eight independent batches of walks give an interval: the mean over the batches and the 95 %
# interval of Student's $t$
# ([`mean_interval`](../rlcourse/results/intervals.py)).

# %%
from rlcourse.results.intervals import mean_interval


def sampled_mistakes(epsilon, horizon, drives=2000, runs=8):
    learner = imperfect(walks_forward, seen, epsilon)
    states = drive(rope, learner.expand(runs, -1, -1), drives, horizon, generator(1, f"{epsilon} {horizon}"))
    mistake_rate = (learner * tightrope.mistake_cost(recoverable=False)).sum(-1)
    return mistake_rate[states].sum(0).mean(-1)  # [runs]


print("     ε   T → 2T       εT   slope measured [95 %]        slope exact")
for epsilon, horizon in ((0.002, 25), (0.002, 50), (0.02, 50), (0.2, 50)):
    slopes = torch.log2(sampled_mistakes(epsilon, 2 * horizon) / sampled_mistakes(epsilon, horizon))
    mean, low, high = mean_interval(slopes.numpy())
    exact = np.log2(rope_mistakes(epsilon, 2 * horizon) / rope_mistakes(epsilon, horizon))
    print(f"{epsilon:6}  {horizon:3} → {2 * horizon:3} {epsilon * horizon:7.2f}    {mean:.3f} [{low:.3f}, {high:.3f}]"
          f"         {exact:.3f}, inside: {bool(low <= exact <= high)}")

# %% [markdown]
# Close to 2 where $\varepsilon T \ll 1$, and the bend towards 1 beyond: at $\varepsilon T = 10$ the imitator has almost
# surely fallen before half of the walk is over.
#
# ### Proof B: an error of at most ε in expectation
#
# Proof A assumed too much. A learner is judged on data, so what one can promise is an *average*: at every
# step $t$, under the expert's own distribution,
#
# $$\mathbb E_{s \sim p_{\text{train}}(s_t)}\, \big[\pi_\theta(a \ne \pi^*(s) \mid s)\big] \le \varepsilon .$$
#
# A single state may now be hopeless, as long as it is rare. The proof needs another idea: **let learner
# and expert drive side by side, in the same weather.** Formally, couple them: both start in the same
# state, and as long as their actions agree they use the same noise, so that they stay together. At every step the
# learner announces, by a fresh draw, what it would do in the *expert's* state $s^*_k$; while they are together, that
# is also what it does. They *part* at the first step at which their actions differ. Let $M_t$ be the event that this
# happened before step $t$.
#
# *Step 1, the distance is at most the chance of having parted.* Without $M_t$ the two states at time $t$ are
# the same. So for every set $E$ of states, $P(s_t^\theta \in E) - P(s_t^* \in E) \le P(M_t)$. The largest such
# difference is the **total variation**, which is *half* of the L1 distance:
#
# $$\tfrac12 \sum_s \big|p_\theta(s_t) - p_{\text{train}}(s_t)\big| \;\le\; P(M_t).$$
#
# *Step 2, the chance of having parted is at most $\varepsilon t$.* If they parted before $t$, they parted for the
# first time at some step $k < t$. Until then they were together, so the learner erred in the *expert's*
# state $s_k^*$. Forgetting that all earlier steps went well only makes the event larger:
#
# $$P(M_t) \;\le\; \sum_{k<t} P(\text{the announcement for } s^*_k \text{ is wrong})
#   \;=\; \sum_{k<t} \mathbb E_{s \sim p_{\text{train}}(s_k)}\big[\pi_\theta(a \ne \pi^*(s) \mid s)\big] \;\le\; \varepsilon t .$$
#
# *Step 3, from distance to cost.* Let $e(s) = \sum_a \pi_\theta(a \mid s)\, c(s,a)$, a number between 0 and 1. Two
# expectations of such a function differ by at most the total variation:
#
# $$\mathbb E\,c_t = \mathbb E_{p_\theta(s_t)}[e] \;\le\; \mathbb E_{p_{\text{train}}(s_t)}[e] + P(M_t)
#   \;\le\; \varepsilon + \varepsilon t , \qquad
#   \mathbb E \sum_{t=0}^{T-1} c_t \;\le\; \frac{\varepsilon T (T+1)}{2}. \tag{B}$$
#
# The result is (A) to first order, from a much weaker assumption. Under this assumption alone it cannot be
# improved: take $T$ final ropes, each walked by one demonstration in $T$, and a learner that falls from rope $k$ at
# step $k$ with probability $\varepsilon T \le 1$ (a policy may depend on $t$). Its error in expectation is $\varepsilon$ at every step, and its cost is (B).
#
# Could the proof be wrong? Here are 300 random problems, each with a learner that errs a little where the expert
# goes and *always* where the expert never goes. For each we compute its $\varepsilon$ in both senses and compare the
# exact cost with both bounds.
#
# *Read the code:* [`random_mdp`](../rlcourse/envs/random_problems.py),
# [`random_deterministic_policy`](../rlcourse/envs/random_problems.py),
# [`expectation_bound`](../rlcourse/equations/imitation.py) (B), [`distribution_shift_bound`](../rlcourse/equations/imitation.py) (step 2),
# [`total_variation`](../rlcourse/exact/propagation.py).

# %%
from rlcourse.envs.random_problems import random_deterministic_policy, random_mdp
from rlcourse.equations.imitation import distribution_shift_bound, expectation_bound
from rlcourse.exact.propagation import total_variation

horizon, states, ratios = 6, 100, []
for seed in range(300):
    problem = random_mdp(states, 3, seed=seed, successors=2)
    teacher = random_deterministic_policy(states, 3, seed=seed)
    experts = state_marginals(problem, teacher, horizon)
    visited = experts[:-1].sum(0) > 0
    rates = 0.2 * torch.rand(states, generator=generator(seed, "error rates"), dtype=torch.float64)
    rates = torch.where(visited, rates if seed % 2 else rates[0], 1.0)  # even seeds: one rate for all
    learner = (1 - rates)[:, None] * teacher + rates[:, None] * (1 - teacher) / 2

    own = state_marginals(problem, learner, horizon)
    mistakes = exact_cost(own, learner, 1 - teacher).sum()
    everywhere, expected = rates[visited].max(), exact_cost(experts, learner, 1 - teacher).max()
    steps, times = torch.tensor(horizon), torch.arange(1, horizon + 1)
    ratios.append((float(mistakes / no_recovery_cost(everywhere, steps)),
                   float(mistakes / expectation_bound(expected, steps)),
                   float((total_variation(own, experts)[1:] / distribution_shift_bound(expected, times)).max())))
for name, ratio in zip(("cost over bound (A)", "cost over bound (B)", "total variation over εt"), np.array(ratios).T):
    print(f"{name:24} largest of 300: {ratio.max():.3f}   none above 1: {bool((ratio <= 1 + 1e-9).all())}")

# %% [markdown]
# No ratio exceeds 1. The costs come within about a fifth of their bounds, and the total variation attains its own. It matters that these learners know nothing off the expert's
# path: one that erred rarely *everywhere* would cost no more than $\varepsilon T$, and would test nothing.
#
# ### A proof that is not one
#
# A shorter argument circulates. "Up to step $t$ the learner has made no mistake with
# probability $(1-\varepsilon)^t$, so
#
# $$p_\theta(s_t) = (1-\varepsilon)^t\, p_{\text{train}}(s_t) + \big(1 - (1-\varepsilon)^t\big)\, p_{\text{mistake}}(s_t),$$
#
# and therefore the L1 distance is at most $2\,(1 - (1-\varepsilon)^t)$." With the error *exactly* $\varepsilon$ in every
# state that the expert can reach, this is right: whether a mistake happens is then independent of where the learner is. Under
# assumption B it is wrong, because being free of mistakes so far tells you *which* states you were in.
#
# A counterexample needs two steps. Two final ropes, side by side; each demonstration walks one of
# them, half of them the left, half the right. Let the learner err with probability $2\varepsilon$ on the left rope at
# even steps and on the right rope at odd steps, and never otherwise. At every step the error in expectation is $\tfrac12 \cdot 2\varepsilon = \varepsilon$. The ropes are
# [`two_ropes`](../rlcourse/envs/tightrope.py).

# %%
ropes = tightrope.two_ropes()
epsilon, steps = 0.2, 8
left_errs = torch.tensor([2 * epsilon, 0.0], dtype=torch.float64).repeat(steps // 2)  # at even, odd steps
right_errs = left_errs.roll(1)
fallen = torch.zeros_like(left_errs)
errs = torch.stack([left_errs, right_errs, fallen], dim=-1)  # [T, S]
learner, teacher = torch.stack([1 - errs, errs], dim=-1), torch.tensor([[1.0, 0.0]] * 3, dtype=torch.float64)

distance = 2 * total_variation(state_marginals(ropes, learner, steps), state_marginals(ropes, teacher, steps))
print(" t   L1 distance   mixture's 2(1 − (1−ε)^t)   proof B's 2εt")
for t in range(5):
    mixture = 2 * (1 - (1 - epsilon) ** t)
    note = "  ← the mixture is violated" if distance[t] > mixture + 1e-12 else ""
    print(f"{t:2} {float(distance[t]):13.3f} {mixture:22.3f} {2 * epsilon * t:19.3f}{note}")

# %% [markdown]
# At $t = 2$ the learner has had one dangerous step on either rope, and the distance is the whole of
# $2\varepsilon t$: here step 2 of proof B is attained, and the mixture is not even true.
#
# Four more slips to recognise: calling the L1 distance the total variation (a factor of two), writing
# $2(1-\varepsilon)^t$ for $2(1 - (1-\varepsilon)^t)$ (it shrinks with $t$), expanding the sum of proof A with
# $(1-\varepsilon)(\varepsilon T - 1)$ where $(1-\varepsilon)\,\varepsilon\,(T - 1)$ is meant (negative for small $\varepsilon T$), and stopping at "the error is
# $\varepsilon T$".

# %% [markdown]
# ## I3 Why two assumptions
#
# Assumption A implies B, and the bounds agree to first order. Why keep them apart? Because they are
# different promises, and only one of them is ever made to you.
#
# **A** speaks of every state in the training distribution's support. Nobody can give it from data: a
# finite sample says nothing about a state of probability $10^{-6}$. **B** is of the kind that learning theory
# delivers: a generalisation bound is an average under $p_{\text{train}}$.
#
# And B allows learners that A excludes. Spend the same average error, on the lane, in two ways: evenly
# over the states of the data, or all of it one cell left of the crown.

# %%
covered = counts.sum(-1) > 0
marginals = state_marginals(world, expert, 100)
share = marginals[:-1].mean(0)  # how much of a demonstration is spent in each cell
one_left = world.state_names.index("-1")

rates_even = torch.where(covered, 0.01, 0.0).double()
rates_focused = torch.zeros_like(rates_even)
rates_focused[one_left] = 0.01 / share[one_left]


def cloned_with(rates):
    return torch.where(covered[:, None], (1 - rates)[:, None] * cloned + rates[:, None] * (1 - cloned) / 2, cloned)


for name, rates in (("evenly", rates_even), ("at one cell", rates_focused)):
    policy = cloned_with(rates)
    on_data = float(exact_cost(marginals, policy, lane.mistake_cost()).mean())
    own = float(exact_cost(state_marginals(world, policy, 100), policy, lane.mistake_cost()).sum())
    print(f"error spent {name:12} largest rate {float(rates.max()):.3f}   average on the data {on_data:.4f}   "
          f"mistakes in 100 steps {own:.2f}")

# %% [markdown]
# The two learners would get the same validation score. One of them makes almost twice as many mistakes as the
# other, since an error beside the slope can send the car over its edge, and an error on the crown mostly does
# not. *Where* a learner errs matters, and an average cannot say.
#
# There is a third reading, the weakest, and it is the one that a validation error gives you: the average over
# states *and steps* is $\varepsilon$. Let $e_k$ be the error at step $k$, so that $\sum_k e_k = \varepsilon T$. An error at step $k$
# can spoil the $T - k$ steps from there on, and the proof gives $\sum_k e_k (T - k) \le \varepsilon T^2$: about twice (B),
# still quadratic, and attained when all errors fall on the first step. This is the form in which Ross and Bagnell
# (2010) proved the bound.

# %% [markdown]
# ## I4 Data that teach recovery
#
# Both proofs give up after the first mistake. That is not a weakness of the proofs: on the data they
# speak of, there is nothing to learn about what comes after. So change the data. If the demonstrations
# contained mistakes *and what the expert does about them*, then the first mistake would not be the end.
#
# One way is to disturb the expert. While it demonstrates, replace its action now and then, with
# probability $\eta$, by a random one, *but record what it wanted to do*. This is the idea of DART (Laskey, Lee, Fox, Dragan
# and Goldberg 2017), whose noise is fitted to the learner's errors while ours is uniform. In the widget it
# was the third slider; here is what it does, exactly, for the imitator of the widget with
# $\varepsilon = 0.01$. (Drawn by [`panels`](../rlcourse/plots/curves.py); the disturbed expert is
# [`noisy_expert`](../rlcourse/equations/imitation.py).)

# %%
from rlcourse.equations.imitation import noisy_expert
from rlcourse.plots.curves import panels
from rlcourse.widgets.models.distribution_shift import compute

frames = {noise: compute(world="lane", epsilon=0.01, horizon=100, noise=noise) for noise in (0.0, 0.01, 0.05, 0.3)}
horizons = np.arange(1, 201)
for noise, frame in frames.items():
    disturbed = noisy_expert(expert, noise)
    in_ditch = exact_cost(state_marginals(world, disturbed, 100), disturbed, lane.ditch_cost()).sum()
    print(f"η = {noise:4}: data cover {int(frame.covered.sum()):2} cells, imitator's mistakes in 100 steps "
          f"{frame.cost_here:5.2f}, factor for twice the horizon {frame.doubling:.2f}; "
          f"demonstrator's steps in the ditch {float(in_ditch):.4f}")
in_a_ditch = {noise: frame.learner_density[200][[0, -1]].sum() for noise, frame in frames.items()}
print(f"imitator in a ditch at t = 200: {in_a_ditch[0.0]:.3f} for η = 0, {in_a_ditch[0.05]:.5f} for η = 0.05")
panels([
    dict(title="Expected mistakes (ε = 0.01)", xlabel="horizon T", ylabel="mistakes", log="xy",
         series={f"noise η = {noise}": (horizons, frame.cost[:200]) for noise, frame in frames.items()}
         | {"εT": (horizons, frame.promised[:200])}),
    dict(title="Where the imitator is at t = 200 (ε = 0.01)", xlabel="offset from the crown [cells]",
         ylabel="probability", log="y",
         series={f"noise η = {noise}": (np.arange(-6, 7), frame.learner_density[200])
                 for noise, frame in frames.items()})])

# %% [markdown]
# With $\eta = 0.05$ (one step in thirty is really disturbed, since a random action is sometimes the right one) the
# cost is back at almost $\varepsilon T$, and twice the horizon costs about twice as much. The probability of ending in a
# ditch falls by a factor of more than a hundred. (On the left, the last two curves coincide.) The quadratic growth was never a law of imitation. It was the
# price of demonstrations in which nothing goes wrong.
#
# Where it breaks: the noise must be large enough to reach the places to which the *learner's* errors lead, and
# small enough for somebody to sit through it; the last column says what the demonstrator suffers. On the rope
# where a fall is final it is useless, since nothing that the expert does after a fall is worth learning.

# %% [markdown]
# ### Cameras instead of cells
#
# On the lane one could list the states. Now take a car that sees. The [`Car`](../rlcourse/envs/car.py) drives at constant speed on
# a winding track, gusts turn it a little, and all that the learner gets is one line of 24 pixels, 10 m ahead. The teacher
# ([`car_expert`](../rlcourse/envs/experts.py)) knows where it is and steers for the middle of the road. Each of eight learners is
# given *one* demonstration, 300 pictures with the teacher's steering, and fits a small network to it.
#
# Where should pictures of mistakes come from? There is a second way besides noise, older than DART, and it needs
# no mistakes at all. **Put a camera on each side of the car.** A camera $c$ metres to the left sees what the car
# would see if it were $c$ further to the left, and what to do there follows from geometry. On a straight road, an
# arc that starts parallel to it and $c$ beside its middle is back on the middle after a distance $d \gg c$ if its
# curvature is $2c/d^2$; on a bend this is added to the bend's own. So the label is the teacher's steering minus
# $2c/d^2$, in units of the largest steering (here $c = \pm 1$ m and $d = 10$ m;
# [`corrected_steering`](../rlcourse/envs/experts.py)). We are lucky: our teacher steers by the same rule, so the
# corrected label is what he would have said there. On a real road it is only a good guess. Pomerleau (1991) shifted
# and turned his pictures by computation to the same end; Bojarski et al. (2016) used three cameras on a real car.
#
# The cell below trains eight networks in each of four ways, then lets each network drive 16 times, 1.4 laps at a
# time. The noise has a standard deviation of 0.3 of full steering. Three cameras also mean three times the
# pictures, so the fourth way is a control: three demonstrations instead of one.
#
# *Read the code:* [`camera_imitation`](../rlcourse/algorithms/camera_imitation.py),
# [`drives_picture`](../rlcourse/plots/driving.py).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import camera_imitation
from rlcourse.envs.car import Car
from rlcourse.envs.experts import car_expert
from rlcourse.plots.driving import drives_picture

car = Car()
ways = {"one camera": camera_imitation.Config(),
        "three cameras": camera_imitation.Config(cameras=(0.0, 1.0, -1.0)),
        "noise in the teacher": camera_imitation.Config(noise=0.3),
        "three demonstrations": camera_imitation.Config(demonstrations=3)}
drivers = {}
print("of 128 drives ...      pictures a network   more than 1 in 8 leave the road   fewer than 1 in 10")
for name, config in ways.items():
    *_, drivers[name] = camera_imitation.train(car, car_expert(car), config, seed=0)
    rate = float(drivers[name].crash_rate.mean())
    print(f"{name:21} {drivers[name].pairs:10} {str(rate > 0.125):>28} {str(rate < 0.1):>26}")
print("most of the eight networks with one camera leave the road at least once:",
      bool((drivers["one camera"].crash_rate > 0).sum() > 4))
drives_picture(car, {name: (driver.states[:, :, :2].flatten(1, 2), driver.on_road[:, :, :2].flatten(1, 2))
                     for name, driver in drivers.items()})

# %% [markdown]
# Each panel shows two drives of each network; a cross marks where one left the road.
#
# One demonstration, almost a lap and a half long, is enough for a car that stays on the road if it shows what to do
# beside the middle of it, and not enough if it does not. The clone does well on the pictures that it was shown. Then
# gusts carry it a little further out than they ever carried its teacher, and there its steering is a guess.
#
# We shall come back to the car in I7, with a way that does not have to guess where pictures of mistakes should come
# from. First, two questions about *what* is copied: what if there are two right answers, and what if nobody said
# what the question was?

# %% [markdown]
# ## I5 When two answers are right
#
# So far the expert had one answer to every question. Now a fallen tree lies across the road. Some drivers pass its
# left end, some its right, and from almost the same place: two good actions for what is, to a smooth function, one
# observation. What does a clone make of that?
#
# Look first at the most common choice, least squares, $\min_f \mathbb E\,\|a - f(o)\|^2$. For one observation write
# $a - f = (a - \bar a) + (\bar a - f)$ with $\bar a = \mathbb E[a \mid o]$. The cross term has expectation zero, and what is
# left, $\mathrm{Var}(a \mid o) + \|\bar a - f\|^2$, is smallest at $f(o) = \mathbb E[a \mid o]$: with endless data **least
# squares returns the mean of the demonstrators**, here half-way between left and right. Nobody ever steered there,
# for there is the tree.
#
# A Gaussian $\mathcal N(\mu(o), \sigma(o)^2)$ fitted by likelihood does not help. Its maximum matches mean and variance, so
# it puts its *peak* on the tree and is wide enough to reach both sides. The remedy is not more data, and not a larger
# network. It is a policy that can **express** two answers. Here are four, with the loss that each minimises.
#
# **Several Gaussians** (Bishop 1994). The network returns $K$ means, widths and weights, and is trained on
# $-\log \pi(a \mid o)$ with
#
# $$\pi(a \mid o) = \sum_k w_k(o)\, \mathcal N(a;\, \mu_k(o), \sigma_k(o)^2).$$
#
# The sum is inside the logarithm. With the logarithm inside the sum, $\sum_k w_k \log \mathcal N_k$, it would be another
# loss: a mean of parabolas is a parabola, so that is one Gaussian again. $K$ must be chosen, and with two modes in each of
# $D$ action dimensions one needs $2^D$.
#
# **One dimension after the other, in bins** (van den Oord, Kalchbrenner and Kavukcuoglu 2016, for images). Cut each
# action dimension into bins of width $w$, and predict each given those before it:
#
# $$\pi(a \mid o) = \prod_d \frac1w\, P\big(\mathrm{bin}(a_d) \mid \mathrm{bin}(a_1), \dots, \mathrm{bin}(a_{d-1}), o\big).$$
#
# The chain rule makes this exact for *any* distribution over bins, with every value inside a bin equally likely. The
# price is resolution, and one pass of the network for every dimension.
#
# **A hidden number that decides** (conditional VAE: Kingma and Welling 2014; Sohn, Lee and Yan 2015). Draw
# $z \sim p(z) = \mathcal N(z; 0, I)$ and let the network decide with it: $\pi(a \mid o) = \int \pi(a \mid z, o)\, p(z)\, dz$. The
# integral cannot be computed. But for every density $q(z) > 0$, by Jensen's inequality for the concave logarithm,
#
# $$\log \pi(a \mid o) = \log \mathbb E_{q}\Big[\frac{\pi(a \mid z, o)\, p(z)}{q(z)}\Big]
#   \;\ge\; \mathbb E_q[\log \pi(a \mid z, o)] - \mathrm{KL}(q \,\|\, p),$$
#
# and one maximises the right-hand side over the policy and over $q = q(z \mid a, o)$, a second network that guesses
# which $z$ an action came from. Lecture 12 is about this.
#
# **A flow from noise to actions** (Lipman et al. 2023; Liu, Gong and Liu 2023; a close relative of diffusion). Draw
# noise $a_0 \sim \mathcal N(0, I)$, independently of it a demonstration $(o, a_1)$, and $\tau$ evenly from $[0, 1]$. Connect
# noise and action by a straight line, $a_\tau = (1-\tau)\, a_0 + \tau\, a_1$, and regress on its velocity:
#
# $$\min_v \; \mathbb E\, \big\|v(a_\tau, \tau, o) - (a_1 - a_0)\big\|^2 .$$
#
# By the derivation above the best $v$ is the mean velocity $\mathbb E[a_1 - a_0 \mid a_\tau, o]$. Here the mean is what we want:
# mass is conserved, so the density of $a_\tau$ changes only through the mean velocity at each place, and following
# $\dot x = v(x, \tau, o)$ from $\tau = 0$ to $1$ turns the noise into the demonstrators' distribution, wherever $v$ is smooth
# enough for this equation to have one solution.
#
# Below all of them learn live from the same demonstrations at the [`Fork`](../rlcourse/envs/fork.py), 100 drives for
# each of eight runs, and then drive 200 times each. Regression and the single Gaussian are the controls.
#
# *Read the code:* the losses are in [`imitation_heads`](../rlcourse/equations/imitation_heads.py), the heads
# [`RegressionHead`](../rlcourse/nets/heads_regression.py), [`GaussianHead`](../rlcourse/nets/heads_gaussian.py),
# [`MixtureHead`](../rlcourse/nets/heads_mixture.py), [`AutoregressiveHead`](../rlcourse/nets/heads_autoregressive.py),
# [`CVAEHead`](../rlcourse/nets/heads_cvae.py), [`FlowHead`](../rlcourse/nets/heads_flow.py) are carried by a
# [`Policy`](../rlcourse/nets/policies.py). Drives: [`DynamicsSource`](../rlcourse/data/sources.py),
# [`rollout`](../rlcourse/data/rollout.py), [`samples_by_run`](../rlcourse/core/runs.py),
# [`fork_expert`](../rlcourse/envs/experts.py). Training:
# [`behaviour_cloning`](../rlcourse/algorithms/behaviour_cloning.py), [`watch`](../rlcourse/widgets/app/watch.py),
# [`losses`](../rlcourse/plots/training.py), [`fork_picture`](../rlcourse/plots/imitation.py).

# %%
from rlcourse.algorithms import behaviour_cloning
from rlcourse.core.runs import samples_by_run
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.experts import fork_expert
from rlcourse.envs.fork import Fork

fork, runs = Fork(tree_at=3.0, tree_radius=1.1), 8


def fork_source(drives, name):
    return DynamicsSource(fork, runs, drives, random=generator(0, name), dtype=torch.float64)


demonstrations = rollout(fork_source(100, "fork demonstrations"), fork_expert(fork, generator(0, "sides")),
                         fork.steps_to_tree)
obs, action = samples_by_run(demonstrations.obs), samples_by_run(demonstrations.action)
first = action[:, (obs[0, :, 0] == 0)]
print(f"{obs.shape[1]} pairs for each run; at the start {float((first > 0).double().mean()):.0%} steer left, "
      f"mean action {float(first.mean()):+.2f}, smallest |action| {float(first.abs().min()):.2f}")
print(f"demonstrators that pass the tree: {float(demonstrations.reward.sum(0).mean()):.0%}")

# %% tags=["unstable-picture"]
from rlcourse.nets.heads_autoregressive import AutoregressiveHead
from rlcourse.nets.heads_cvae import CVAEHead
from rlcourse.nets.heads_flow import FlowHead
from rlcourse.nets.heads_gaussian import GaussianHead
from rlcourse.nets.heads_mixture import MixtureHead
from rlcourse.nets.heads_regression import RegressionHead
from rlcourse.nets.policies import Policy
from rlcourse.plots.imitation import fork_picture
from rlcourse.plots.training import losses
from rlcourse.widgets.app.watch import watch

heads = {"regression": (RegressionHead, 300), "one Gaussian": (GaussianHead, 300), "mixture": (MixtureHead, 500),
         "autoregressive": (AutoregressiveHead, 300), "latent variable": (CVAEHead, 1000),
         "flow matching": (FlowHead, 600)}
policies = {}
for name, (head, steps) in heads.items():
    policy = Policy(head(2, 1, runs=runs, seed=0, hidden=(32, 32)), fork.action_space,
                    encode=lambda o: o / o.new_tensor([4.0, 0.7]) - o.new_tensor([1.0, 0.0]))
    training = behaviour_cloning.train(policy, obs, action, behaviour_cloning.Config(steps=steps), seed=0)
    policies[name] = watch(training, steps, draw=losses(name), name=f"cloning with {name}", size=(7, 1.6)).policy

# %% [markdown]
# The losses are in different units and cannot be compared with each other. But look at the regression's: it stops at
# one third. A third of the pairs are at the start, where the action is $\pm 1$ and no function of the observation can
# tell which: this is the $\mathrm{Var}(a \mid o)$ of the derivation.

# %% tags=["unstable-picture"]
tree_hits, drives = {}, {"demonstrators": torch.cat([demonstrations.obs, demonstrations.next_obs[-1:]])[:, 0, :24]}
for name, policy in policies.items():
    policy = policy.to("cpu", torch.float64)  # training may have moved it
    driven = rollout(fork_source(200, "test drives"), policy, fork.steps_to_tree, random=generator(0, name))
    tree_hits[name] = 1 - driven.reward.sum(0).mean(-1).numpy()
    drives[name] = torch.cat([driven.obs, driven.next_obs[-1:]])[:, 0, :24]

print("share of test drives that end in the tree, mean of 8 runs, rounded to tenths:")
for name, hits in tree_hits.items():
    print(f"  {name:16} {hits.mean():.1f}")
claims = {"every regression run hits the tree more often than not": tree_hits["regression"].min() > 0.5,
          "every Gaussian run hits it on more than a quarter of its drives": tree_hits["one Gaussian"].min() > 0.25,
          "every run of mixture, bins and flow on less than a fifth":
              max(tree_hits[name].max() for name in ("mixture", "autoregressive", "flow matching")) < 0.2,
          "the latent variable on average more often than each of these, and less often than the Gaussian":
              max(tree_hits[name].mean() for name in ("mixture", "autoregressive", "flow matching"))
              < tree_hits["latent variable"].mean() < tree_hits["one Gaussian"].mean()}
for claim, true in claims.items():
    print(f"{claim}: {bool(true)}")
fork_picture({name: paths.movedim(1, 0).numpy() for name, paths in drives.items()}, fork.tree_at, fork.tree_radius)

# %% [markdown]
# Dashed drives end in the tree; shown are 24 drives of the first run, with left above.
#
# **What to notice.** Regression sets out for the middle of the tree, as the derivation says it must, and when it at last
# leans to one side it is too late. The Gaussian knows how far apart the two answers are but not that there is nothing
# between them. The mixture, the bins and the flow take a side. The latent variable does too, mostly: its decoder is a
# *continuous* function of $z$, so it cannot jump from left to right without passing between them, and the $z$ that lie
# there are drawn now and then. Flow matching has the same weakness, since its flow is continuous too, but to a smaller degree.
#
# How much of this is the fork's geometry? The tree above is three steps away: who hesitates once is lost. The control
# has the same regression, and the same number of updates, at a tree that is eight steps away.

# %%
far = Fork()
seen_from_afar = rollout(DynamicsSource(far, runs, 100, random=generator(0, "far"), dtype=torch.float64),
                         fork_expert(far, generator(0, "far sides")), far.steps_to_tree)
policy = Policy(RegressionHead(2, 1, runs=runs, seed=0, hidden=(32, 32)), far.action_space,
                encode=lambda o: o / o.new_tensor([4.0, 0.7]) - o.new_tensor([1.0, 0.0]))
*_, last = behaviour_cloning.train(policy, samples_by_run(seen_from_afar.obs), samples_by_run(seen_from_afar.action),
                                   behaviour_cloning.Config(steps=300), seed=0)
driven = rollout(DynamicsSource(far, runs, 200, random=generator(0, "far tests"), dtype=torch.float64),
                 last.policy.to("cpu", torch.float64), far.steps_to_tree)
print(f"{far.steps_to_tree} steps to the tree: regression hits it on fewer than one drive in ten:",
      bool(1 - driven.reward.sum(0).mean() < 0.1))

# %% [markdown]
# With room to spare the same mean action does no harm here: the car drifts a little to one side, and from there the data
# have one answer. A policy that cannot express two answers fails where the choice cannot be put off. (How soon it leaves
# the middle also depends on how the observation is scaled.)
#
# Which one should you use? For few action dimensions start with the mixture or the bins; for many, a flow.
#
# Where this breaks: an expressive policy imitates *everything*, the demonstrators' accidents included; it does nothing
# against the drift of I2; and each of the four has a knob (components, bins, latent size, integration steps) that the
# data do not set.
#
# ### Two troubles that no head cures
#
# **The demonstrator had reasons that the policy cannot see.** Two drivers, one careful and one bold, are one stochastic driver to a policy that sees
# only the road; and one who decides by what happened a minute ago is not a function of the present observation at all. Such *non-Markov*
# demonstrators call for observations with a history. But histories bring the opposite trouble.
#
# **Causal confusion** (de Haan, Jayaraman and Levine 2019). Give the policy more to see, and it may explain the expert's actions by something that
# goes with them without causing them. The standard example is a brake light on the dashboard: it is lit while the expert
# brakes, so "brake when the light is lit" fits all but the first picture of every braking, and a policy that follows it never starts. The
# recorded previous action is such a light. More data of the same kind hardly help, since the confusion is *in* the data; seeing what happens when the
# learner acts does, and that is the subject of I7.

# %% [markdown]
# ## I6 Goals: every drive is a demonstration of something
#
# I5 took it that the demonstrators' reasons are hidden. Often one of them is not: where they ended up.
#
# Demonstrations are expensive, and most of what people do demonstrates nothing in particular. But look at a drive from
# its end: whatever the driver meant to do, it shows *a way to get where it went*. **Hindsight relabelling** takes every
# pair $(s_t, a_t)$ and every state $s_{t'}$ that came later, calls that state the goal $g$, and clones a policy with a goal,
# $\pi(a \mid s, g)$, from the triples (Kaelbling 1993 for the idea; Andrychowicz et al. 2017 in Q-learning; Lynch et al. 2019
# and Ghosh et al. 2021 for cloning).
#
# What does such a clone learn from endless data? In state $s$, the action $a$ is labelled with $g$ as often as the
# demonstrator $\beta$ takes $a$ *and* is at $g$ later. Cloning normalises over $a$, so by Bayes' rule
#
# $$\pi(a \mid s, g) \;\propto\; \beta(a \mid s)\;\, p_\beta(s_{t'} = g \mid s_t = s,\, a_t = a), \tag{G}$$
#
# where $(t, t')$ is drawn like the pairs, every $t < t' \le T$ equally often. (A goal that is visited twice counts twice; where
# $g$ never follows, the clone falls back on anything at all.)
#
# It is the demonstrator's habit, tilted towards the actions that happened to lead to $g$. Try it on the worst demonstrator there is, somebody who wanders about a
# [`goal_room`](../rlcourse/envs/goals.py) at random, 20 steps at a time. Because the room is a table, (G) can be computed without sampling anything.
#
# *Read the code:* [`wanderer`](../rlcourse/envs/goals.py), [`relabelled_counts`](../rlcourse/exact/goals.py) (the frequencies of the triples),
# [`reach_probability`](../rlcourse/exact/goals.py) (how often a goal is reached in time), [`room_picture`](../rlcourse/plots/imitation.py).

# %%
from rlcourse.envs.goals import goal_room, wanderer
from rlcourse.exact.goals import reach_probability, relabelled_counts
from rlcourse.plots.imitation import room_picture

room, horizon = goal_room(), 20
cells = room.mdp.num_states
anything = torch.full((4,), 0.25, dtype=torch.float64)
goal_policies = {"wandering": wanderer(room).expand(cells, -1, -1)}
triples = relabelled_counts(room.mdp, wanderer(room)[None], torch.ones(1, dtype=torch.float64), horizon)
goal_policies["cloned with hindsight"] = clone(triples, anything)
for_every_goal = torch.full((cells,), 1 / cells, dtype=torch.float64)
triples = relabelled_counts(room.mdp, goal_policies["cloned with hindsight"], for_every_goal, horizon)
goal_policies["and once more"] = clone(triples, anything)

reached = {name: reach_probability(room.mdp, policy, horizon) for name, policy in goal_policies.items()}
for name, probability in reached.items():
    print(f"{name:22} reaches a goal with probability {float(probability.mean()):.3f} (mean over 39 goals), "
          f"the worst one {float(probability.min()):.3f}")
room_picture({name: room.picture(probability).numpy() for name, probability in reached.items()})

# %% [markdown]
# The number in a cell is the probability, in per cent, of reaching *that* cell within 20 steps, from the top left corner,
# when it is the goal. A policy cloned from random wandering reaches nine goals in ten, and its worst goal four times in
# five, although the wanderer himself arrived less than once in four. And the trick can be repeated: let the clone pursue
# goals, relabel *its* drives, clone again.
#
# ### Two distribution shifts
#
# The clone is trained on pairs of state and goal that occur together in the data, and run on pairs that we choose. So two distributions can shift. **States**:
# once it errs, it is where no demonstrator went on the way to $g$; that is I2 again. **Goals**: it knows the way to places where demonstrators often end up, and you may ask
# for others. A goal far from all data is to this policy what the slope was to the lane's clone.
#
# ### Where it fails: luck
#
# (G) asks *after which action did $g$ come?* It does not ask *what brings $g$ about?* With one decision and no luck the
# two agree: what led to $g$ once leads to it always. (Over many steps a detour may be copied, but it still arrives.) Let
# there be luck, and they come apart. A [`ferry`](../rlcourse/envs/goals.py) goes to an island, but half of the time a
# storm drives it to the village, to which there is also a road. The travellers know all this and do the right thing:
# for the village they take the road, for the island the ferry. Eight in ten want to see the island. Now clone them with
# hindsight.
#
# *Read the code:* [`ferry_travellers`](../rlcourse/envs/goals.py), [`ferry_commands`](../rlcourse/envs/goals.py), [`commanded_counts`](../rlcourse/exact/goals.py).

# %%
from rlcourse.envs.goals import ferry, ferry_commands, ferry_travellers
from rlcourse.exact.goals import commanded_counts

crossing, travellers, wishes = ferry(), ferry_travellers(), ferry_commands(island=0.8)
village, either = crossing.state_names.index("village"), torch.tensor([0.5, 0.5], dtype=torch.float64)


def report(name, goal_policy):
    arrives = reach_probability(crossing, goal_policy, 1)[village]
    print(f"{name:34} told “village”: ferry {float(goal_policy[village, 0, 1]):.3f}, arrives {float(arrives):.3f}")


report("the travellers", travellers)
report("cloned from what they were told", clone(commanded_counts(crossing, travellers, wishes, 1), either))
goal_policy = travellers
for round_number in range(1, 6):
    goal_policy = clone(relabelled_counts(crossing, goal_policy, wishes, 1), either)
    report(f"cloned with hindsight, round {round_number}", goal_policy)

# %% [markdown]
# By hand: of those who *arrived at* the village, $0.2$ took the road and $0.8 \cdot \tfrac12 = 0.4$ the ferry. So two thirds of its
# visitors came by ferry, and the clone, asked for the village, takes the ferry two times out of three. It has mistaken bad luck on the way to the island for a way to the village.
# Every further round makes it worse. More data would not help: this is what endless data teach. Labels that say what the traveller *wanted*
# would, and so would asking which action makes $g$ most *probable*. That is what Q-learning does, if its goals are drawn without
# looking at the outcome; with hindsight goals, in a world with luck, it inherits the same bias. The same confusion returns, larger, when whole sequences are modelled and conditioned on a high return (lecture 11).

# %% [markdown]
# ## I7 DAgger: ask where the learner goes
#
# I4 guessed where the learner would go wrong. There is a way not to guess. Let the learner drive, note where it
# goes, and ask the expert what it *would have done there*. Add the answers to the data, fit again, drive again.
# This is DAgger, *dataset aggregation* (Ross, Gordon and Bagnell 2011):
#
# > collect drives of the expert and fit a first policy;\
# > repeat: drive with the **current policy**; let the **expert label** every state that was visited;
# > add these pairs to **all** the data so far; fit again.
#
# The loop in [`dagger`](../rlcourse/algorithms/dagger.py) is as short as that, and knows neither tables nor
# networks. Three things in it are easy to get wrong: who drives (the learner), who labels (the expert), and what is
# kept (everything).
#
# Below, [`train`](../rlcourse/algorithms/tabular_imitation.py) runs it for eight independent learners on the lane:
# five drives of a hundred steps a round, errors of 1 % wherever there are data. Beside them, eight learners get
# *exactly as many labels*, but from five more drives of the expert. Costs are exact for each learner. (Settings:
# [`Config`](../rlcourse/algorithms/tabular_imitation.py); picture: [`runs`](../rlcourse/plots/curves.py).)

# %%
from rlcourse.algorithms.tabular_imitation import Config, train
from rlcourse.plots.curves import runs as runs_picture


def costs_by_round(problem, teacher, cost, config):
    """Exact expected mistakes [rounds + 1, runs] in a drive as long as the training drives."""
    return np.array([[float(exact_cost(state_marginals(problem, policy, config.horizon), policy, cost).sum())
                      for policy in snapshot.policy]
                     for snapshot in train(problem, teacher, config, seed=0)])


by_who = {"the learner drives: DAgger": Config(learner_drives=True),
          "the expert drives: cloning": Config(learner_drives=False)}
costs = {name: costs_by_round(world, expert, lane.mistake_cost(), config) for name, config in by_who.items()}
for name, table in costs.items():
    print(f"{name}: mean mistakes by round", " ".join(f"{value:5.2f}" for value in table.mean(1)))
for number in (1, 5, 8):
    print(f"the eight DAgger learners after round {number}:",
          " ".join(f"{value:.2f}" for value in sorted(costs["the learner drives: DAgger"][number])))
runs_picture(costs, title="Mistakes in 100 steps, eight learners each (ε = 0.01)",
             xlabel="round (500 labels each)", ylabel="expected mistakes", levels={"εT": 1.0})

# %% [markdown]
# Nine times the demonstrations teach the cloner nothing about new cells, because they all say the same thing. (In
# reality they would lower $\varepsilon$, which we hold fixed; they would not change the exponent. The eight thin lines of
# the cloners are one line.) The same number of labels, asked for where the *learner* goes, brings seven of the eight
# to $\varepsilon T = 1$, and the last to 1.18.
#
# Look at the single lines. The learners do not improve evenly, they wait for luck: after round 5 most are done, and one is
# still where it was after round 1, since the cells that it lacks did not turn up in its drives. A mean with an interval
# would have hidden that.
#
# Now play with it ([`dagger_rounds`](../rlcourse/widgets/app/dagger_rounds.py)). There is no sampling in the widget: the
# drives of a round are replaced by what they are expected to visit, and a cell counts as labelled once a visit is
# expected. So it knows no bad luck, and it is faster than the learners above.

# %%
from rlcourse.widgets.app.dagger_rounds import dagger_rounds

dagger_rounds()

# %% [markdown]
# **What to notice.** With few drives a round the labels do not grow outwards from the crown. They come first where a
# lost learner spends its time, in the ditch and beside it, and the gap is filled from there. A learner that has
# learned to leave the ditch but not to cross the slope is stuck in between, and *that* is where the next labels come from.
# Data and learner approach each other, though not in every round. And on one of the ropes nothing helps, however many labels arrive.
#
# ### Why the cost becomes linear: the price of one mistake
#
# The proof has two parts that are worth keeping apart. The first is about *driving*: an error that is small on the
# learner's **own** states costs only a linear amount. The second is about *learning*: DAgger finds such a learner.
#
# Let $C(s, a)$ be any cost, crashes for instance, $J(\pi)$ the expected sum of it over $T$ steps, and $V^{\pi^*}_t$, $Q^{\pi^*}_t$ the
# expected cost *still to come* from step $t$ on if the expert acts from there on, or after the action $a$. Let
#
# $$\varepsilon = \frac1T \sum_{t=0}^{T-1} \mathbb E_{s \sim p_\theta(s_t)}\big[\pi_\theta(a \ne \pi^*(s) \mid s)\big]$$
#
# be the learner's error *on its own drives*. By the performance-difference lemma of F7, the difference in cost is the sum of the expert's
# advantages along the learner's drives:
#
# $$J(\pi_\theta) - J(\pi^*) = \sum_{t=0}^{T-1} \mathbb E_{s \sim p_\theta(s_t),\, a \sim \pi_\theta}\big[Q^{\pi^*}_t(s,a) - V^{\pi^*}_t(s)\big].$$
#
# (In two lines: $\mathbb E[C(s_t, a_t) + V^{\pi^*}_{t+1}(s_{t+1})] = \mathbb E[Q_t^{\pi^*}(s_t, a_t)]$ along a drive of the learner. Sum
# over $t$; the values telescope, with $V^{\pi^*}_T = 0$, down to $V^{\pi^*}_0(s_0)$, whose expectation is $J(\pi^*)$.) The bracket is zero where the
# learner does what the expert would. Elsewhere it is the price of *one* mistake, if the expert takes over
# right afterwards. Call its largest value over all $t$, $s$ and $a$ the problem's **recoverability** $u \ge 0$. Then
#
# $$J(\pi_\theta) \;\le\; J(\pi^*) + u\,\varepsilon\,T . \tag{D}$$
#
# If the cost is the mistake itself, $u = 1$ and (D) is an equality. (Not on the final rope, where being fallen costs as well.)
#
# ### Why the error becomes small: follow the leader
#
# Let $\ell_i(\pi)$ be the loss of $\pi$ on the states of the $i$-th learner, averaged over its drive. DAgger picks
# $\pi_{i+1} = \arg\min_\pi \sum_{j \le i} \ell_j(\pi)$: the policy that would have been best on all rounds so far. (The expert's own first drives
# add one more term to the sum and $O(1/N)$ to the result; we leave it out.) In online learning this is called *follow the leader*. If policies have parameters in a
# closed convex set, and every loss is $L$-Lipschitz and $\alpha$-strongly convex in them, it has little regret:
#
# $$\frac1N \sum_{i=1}^N \ell_i(\pi_i) \;\le\; \underbrace{\min_\pi \frac1N \sum_{i=1}^N \ell_i(\pi)}_{\varepsilon_N}
#   \;+\; \underbrace{\frac{2 L^2}{\alpha}\,\frac{1 + \ln N}{N}}_{\gamma_N \,\to\, 0}.$$
#
# So the average of the learners' losses, each on its own drives, is at most $\varepsilon_N + \gamma_N$, and the best of them is at least that good. If
# the loss is never below the 0/1 error, (D) gives that learner a cost of at most $J(\pi^*) + uT(\varepsilon_N + \gamma_N)$: **linear in $T$**, once $N$ is large enough for
# $u T \gamma_N$ not to matter.
#
# <details><summary>The proof of the inequality, in two steps</summary>
#
# *Be the leader.* If one could play $\pi_{i+1}$ already in round $i$ there would be no regret:
# $\sum_{i \le N} \ell_i(\pi_{i+1}) \le \sum_{i \le N} \ell_i(\pi)$ for every $\pi$. By induction: let it hold for $N - 1$ rounds, and in
# particular against $\pi = \pi_{N+1}$ (for $N - 1 = 0$ both sides are empty sums). Add $\ell_N(\pi_{N+1})$ on both sides. The right-hand side is now
# $\sum_{i \le N} \ell_i(\pi_{N+1})$, which is the minimum over $\pi$ by the choice of $\pi_{N+1}$. So the regret is at most
# $\sum_i [\ell_i(\pi_i) - \ell_i(\pi_{i+1})] \le \sum_i L \,\|\pi_i - \pi_{i+1}\|$, where $\|\cdot\|$ measures parameters.
#
# *The leader changes slowly.* Let $F_i = \sum_{j \le i} \ell_j$. It is $i\alpha$-strongly convex with its minimum at $\pi_{i+1}$, so
# $\tfrac{i\alpha}{2}\|\pi_i - \pi_{i+1}\|^2 \le F_i(\pi_i) - F_i(\pi_{i+1})$. Of the right-hand side, the part from $F_{i-1}$ is at most zero, because
# $\pi_i$ minimises $F_{i-1}$, and the part from $\ell_i$ is at most $L\|\pi_i - \pi_{i+1}\|$. Divide:
# $\|\pi_i - \pi_{i+1}\| \le 2L/(i\alpha)$. Summing $L$ times this over $i$ gives $\frac{2L^2}{\alpha} \sum_i \frac1i \le \frac{2L^2}{\alpha}(1 + \ln N)$. ∎
#
# </details>
#
# ### The small print
#
# Every clause can fail:
#
# - $\varepsilon_N$ is the best error of *any policy in the class* on the **mixture of the learners' own distributions**. It is not the validation error
#   of I3, and nobody promises that it is small. If the expert's rule cannot be represented off its own path, it will be large.
# - The guarantee is for the *best* round, or one drawn at random, and not for the last. Choose by driving.
# - The 0/1 error is not convex; the theorem is about a convex loss above it. For a network that loss is convex in the outputs, not in the
#   parameters; for our tables with their fallback the theorem does not hold either, only its conclusion is seen to.
# - Expectations stand where you have samples. (The finite-sample form is in the paper.)
# - $u$ must not grow with $T$. **This is the clause that separates the two ropes.** Let us compute it, backwards in time, with
#   [`finite_horizon_values`](../rlcourse/exact/evaluation.py).

# %%
from rlcourse.equations.imitation import dagger_bound
from rlcourse.exact.evaluation import finite_horizon_values

climb = tightrope.tightrope(recoverable=True)
rope_expert = tightrope.expert_policy()
problems = {
    "rope, a fall is final": (rope, rope_expert, tightrope.mistake_cost(recoverable=False)),
    "rope, climbing back": (climb, rope_expert, tightrope.mistake_cost(recoverable=True)),
    "lane, cost: mistakes": (world, expert, lane.mistake_cost()),
    "lane, cost: in the ditch": (world, expert, lane.ditch_cost()),
}


def recoverability(problem, teacher, cost, horizon):
    values, q_values = finite_horizon_values(problem, teacher, horizon, reward_table=cost)
    return float((q_values - values[:-1, :, None]).max())


print(f"{'recoverability u':26}" + "".join(f"{f'T = {horizon}':>10}" for horizon in (25, 50, 100)))
for name, (problem, teacher, cost) in problems.items():
    print(f"{name:26}" + "".join(f"{recoverability(problem, teacher, cost, h):10.2f}" for h in (25, 50, 100)))

# %% [markdown]
# On the first rope a single mistake costs all that is left, $u = T$: the "linear" bound is $\varepsilon T^2$ again. On the others $u$ is
# a small constant, even where the cost is time in the ditch and one wrong turn can lead to several bad steps.
#
# Now the whole claim, for every learner in every round: its own error $\varepsilon$, the bound
# [`dagger_bound`](../rlcourse/equations/imitation.py), and the exact cost. (Where the cost is the mistake, the bound must be met exactly; the first and the last line
# are the ones that could fail, and they have room.)

# %%
config = Config(rounds=6)
print(f"{'':26} after cloning          after 6 rounds")
print(f"{'':26} own error   cost       own error   cost    uεT     all 56 within the bound")
for name, (problem, teacher, cost) in problems.items():
    u = recoverability(problem, teacher, cost, config.horizon)
    expert_cost = float(exact_cost(state_marginals(problem, teacher, config.horizon), teacher, cost).sum())
    errors, totals = [], []
    for snapshot in train(problem, teacher, config, seed=0):
        for policy in snapshot.policy:
            marginals = state_marginals(problem, policy, config.horizon)
            errors.append(float(exact_cost(marginals, policy, 1 - teacher).mean()))
            totals.append(float(exact_cost(marginals, policy, cost).sum()))
    errors, totals = np.array(errors).reshape(-1, 8), np.array(totals).reshape(-1, 8)
    bounds = dagger_bound(torch.tensor(errors), torch.tensor(config.horizon), u).numpy()
    holds = bool((totals - expert_cost <= bounds + 1e-9).all())
    print(f"{name:26} {errors[0].mean():9.3f} {totals[0].mean():6.2f}       {errors[-1].mean():9.3f} "
          f"{totals[-1].mean():6.2f} {bounds[-1].mean():6.2f}     {holds}")

# %% [markdown]
# Look at the first line. DAgger *succeeds* there in its own terms: labels are collected after the fall, and the learner's own error,
# measured against what the teacher says, drops to $\varepsilon$. The cost does not move, and the bound, true as ever, allows it:
# $u \varepsilon T = \varepsilon T^2$: the teacher goes on saying *climb*, to no effect. **DAgger makes a learner do what its teacher would do. It cannot make that worth
# anything.** On the second rope the one new thing that the learner hears, *climb*, changes everything.

# %% [markdown]
# ### On the camera car
#
# The same loop, with networks. The teacher drives once, then the learner drives ten times a round, and the teacher says
# for every picture on the way what it would have done. Watch the share of drives that leave the road
# ([`learning_to_drive`](../rlcourse/plots/driving.py)). If you have done the exercise, the loop that teaches here is
# *yours*; the first line of the output says so.

# %% tags=["unstable-picture"]
from rlcourse.grading import exercise
from rlcourse.plots.driving import learning_to_drive

loop = exercise("02_imitation").mine("dagger")
learning = camera_imitation.train(car, car_expert(car), camera_imitation.Config(rounds=4), seed=0, dagger=loop)
taught = watch(learning, 4, draw=learning_to_drive(car), name="DAgger on the camera car", size=(8, 2.6))

# %%
as_many = camera_imitation.Config(demonstrations=41)
*_, well_fed = camera_imitation.train(car, car_expert(car), as_many, seed=0)
print(f"pictures a network: {taught.pairs} for DAgger, {well_fed.pairs} for a clone of 41 demonstrations")
print("cloning (round 0) leaves the road on more than a quarter of its drives:", bool(taught.history[0].mean() > 0.25))
print("a clone of 41 demonstrations on fewer than one in ten:", bool(well_fed.crash_rate.mean() < 0.1))
print("DAgger: after four rounds at least 7 of the 8 networks stay on it in all 16 drives:",
      bool((taught.history[-1] == 0).sum() >= 7))

# %% [markdown]
# Is it the questions, or the number of answers? The control says: here mostly the number. A clone with as many of the
# teacher's own drives leaves the road only now and then, which is quite unlike the lane. The difference lies in the
# teachers. The lane's expert *never* reaches the slope, however long it drives. This one is pushed about by gusts, so
# its data show a little of everything, and a network fills in what lies between. DAgger gets there with ten drives, not
# forty, and gets the last ones too. **How much it helps depends on what the demonstrations leave out.**

# %% [markdown]
# What closes is the gap between two distributions. Below are the densities of the car's offset from the middle of the road,
# on the teacher's drives and on those of cloned and taught networks, as long as they are on the road, which is 5 m
# wide ([`rollout_with_states`](../rlcourse/data/rollout.py), [`curves`](../rlcourse/plots/curves.py)).

# %% tags=["unstable-picture"]
from rlcourse.data.rollout import rollout_with_states
from rlcourse.plots.curves import curves

teachers = DynamicsSource(car, 8, 16, random=generator(0, "teacher's drives"))
offsets = {"teacher": rollout_with_states(teachers, car_expert(car), 300)[1][..., 1]}
for name, driver in {"cloned": drivers["one camera"], "taught by DAgger": taught}.items():
    offsets[name] = driver.states_on_road[..., 1]
edges = np.linspace(-2.5, 2.5, 41)
densities = {name: np.histogram(values.numpy().ravel(), edges, density=True)[0] for name, values in offsets.items()}
beyond = {name: float((values.abs() > 1.25).double().mean()) for name, values in offsets.items()}
print(f"beyond half of the half-width: teacher never: {beyond['teacher'] == 0}, "
      f"cloned more than once in 1000 steps: {beyond['cloned'] > 0.001}")
curves({name: ((edges[1:] + edges[:-1]) / 2, np.where(density > 0, density, np.nan))
        for name, density in densities.items()},
       title="Where the drives are", xlabel="offset from the middle of the road [m]", ylabel="density [1/m]", log="y")

# %% [markdown]
# The cloned networks have a tail that the teacher has not: these are the drives on their way off the road. The taught ones drive where their
# teacher drives.

# %% [markdown]
# ### What it costs
#
# DAgger buys its guarantee with something that cloning never needs: an expert who answers for states that somebody else chose. A person
# finds it hard to say how she *would* steer while the wheel does not answer, and somebody has to sit in a car that is
# driven by a bad policy. In the original algorithm a mixture $\beta_i \pi^* + (1 - \beta_i)\pi_i$ drives, with $\beta_i \to 0$; here, as in
# the simplest version in the paper, $\beta$ is 1 in the first round and 0 afterwards.

# %% [markdown]
# ## Questions you may have
#
# **Is $\varepsilon T^2$ the fault of cloning, or would every learner pay it?** With expert data alone nobody can do better in the worst case: where the data end,
# any choice may be the wrong one (Rajaraman, Yang, Jiao and Ramchandran 2020 make this precise). Better data, or an expert to ask, are the only ways out, besides knowing
# more about the world.
#
# **More demonstrations, or DAgger?** More demonstrations lower $\varepsilon$; asking the learner's questions lowers the exponent. For long horizons the second wins.
#
# **My expert is a person, and not deterministic. What is a mistake?** Replace the 0/1 cost by the total variation between learner's and expert's actions in a state. The coupling
# of proof B then parts with exactly that probability, and every step goes through.
#
# **How would I know $u$ for a real car?** You would not. But you can ask the question that it stands for: after one wrong action, can the expert bring things back,
# and how long does that take?
#
# ## What to take along
#
# - Cloning is maximum likelihood under the *expert's* distribution; what counts is the *learner's*. The gap grows with time.
# - An error of $\varepsilon$ costs up to $\varepsilon T (T+1)/2$, under two different assumptions, and on a tightrope nearly that much as long as $\varepsilon T$ is small.
# - Data with mistakes and recoveries in them, or answers where the learner goes, bring the extra cost down to $u \varepsilon T$, where $\varepsilon$ is now the
#   error on the learner's own drives. Whether that is good depends on $u$, and on what the data left out.
# - Two good answers need a policy that can say so; hindsight turns every drive into a lesson, and luck into a false one.
#
# All of this needed somebody who knows what to do. In [lecture 03](../README.md) nobody does: there is only a reward, and the policy's own drives are all the data.
# The distribution that shifts will then be an ally, for it depends on the policy's parameters, and one can differentiate through it.
#
# **Exercise.** [Build this experiment yourself](../exercises/02_imitation.ipynb): the clone, its exact cost, the closed form, a mixture's likelihood, hindsight, and a DAgger that does not converge
# until you mend it.
#
# ## References
#
# - D. A. Pomerleau (1991). Efficient training of artificial neural networks for autonomous navigation. *Neural Computation* 3(1).
# - L. P. Kaelbling (1993). Learning to achieve goals. *IJCAI*.
# - C. M. Bishop (1994). Mixture density networks. Technical report, Aston University.
# - S. Ross, J. A. Bagnell (2010). Efficient reductions for imitation learning. *AISTATS*.
# - S. Ross, G. J. Gordon, J. A. Bagnell (2011). A reduction of imitation learning and structured prediction to no-regret online learning. *AISTATS*.
# - D. P. Kingma, M. Welling (2014). Auto-encoding variational Bayes. *ICLR*.
# - K. Sohn, H. Lee, X. Yan (2015). Learning structured output representation using deep conditional generative models. *NIPS*.
# - M. Bojarski et al. (2016). End to end learning for self-driving cars. arXiv 1604.07316.
# - A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu (2016). Pixel recurrent neural networks. *ICML*.
# - M. Andrychowicz et al. (2017). Hindsight experience replay. *NIPS*.
# - M. Laskey, J. Lee, R. Fox, A. Dragan, K. Goldberg (2017). DART: noise injection for robust imitation learning. *CoRL*.
# - P. de Haan, D. Jayaraman, S. Levine (2019). Causal confusion in imitation learning. *NeurIPS*.
# - C. Lynch et al. (2019). Learning latent plans from play. *CoRL*.
# - N. Rajaraman, L. F. Yang, J. Jiao, K. Ramchandran (2020). Toward the fundamental limits of imitation learning. *NeurIPS*.
# - D. Ghosh et al. (2021). Learning to reach goals via iterated supervised learning. *ICLR*.
# - Y. Lipman, R. T. Q. Chen, H. Ben-Hamu, M. Nickel, M. Le (2023). Flow matching for generative modeling. *ICLR*.
# - X. Liu, C. Gong, Q. Liu (2023). Flow straight and fast: learning to generate and transfer data with rectified flow. *ICLR*.
