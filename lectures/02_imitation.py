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
# In 1989 a van called ALVINN drove itself along a road, steered by a small neural network that had
# been trained on nothing but recordings of a person driving (Pomerleau 1989). The recipe could not be
# simpler: collect pairs of what the driver saw and what the driver did, and fit a function to them.
# It is supervised learning, and it comes with supervised learning's promise: *what is right on 99 % of
# the held-out data is right 99 % of the time*.
#
# This lecture is about why that promise does not hold. A copy that is wrong on one step in a hundred
# of its teacher's drive can be wrong on most steps of its own. You will see it happen, measure by how
# much, prove that it cannot be worse than that, and then repair it, first with better data and then
# with a better question.
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
# state is the car's offset from the crown, the actions are *left*, *straight* and *right*, gusts push
# it about, and from two cells off the crown on the slope rolls it outwards. The expert has one rule:
# steer towards the crown.
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
# The arrows are what the expert would do in each cell, the numbers how often twenty
# demonstrations of a hundred steps pass through it. Look at the grey arrows. The expert knows what to do on the slope, but it is so good that
# it never gets there, and so its data never say. **The better the teacher, the narrower the data.**
# Everything in this lecture follows from that sentence.

# %% [markdown]
# ## I1 Behaviour cloning is maximum likelihood
#
# Let the data be pairs $(o_i, a_i)$, $i = 1 \dots n$, of observations and the expert's actions. Behaviour
# cloning chooses, among the policies $\pi_\theta(a \mid o)$ that we can represent, the one under which the
# recorded actions were most probable:
#
# $$\max_\theta \; \sum_{i=1}^n \log \pi_\theta(a_i \mid o_i).$$
#
# Nothing here is special to control. The inputs are treated as given, and only the labels are explained.
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
# and the likelihood says nothing at all. *Something* must be chosen there. We choose what a learner
# without other evidence would: the action that is most frequent in the data as a whole.
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
# The loss (`cloning_loss`, the mean negative log-likelihood) is as low as it can be: zero, because this
# expert is deterministic. By supervised learning's own measure the clone is perfect. At offsets ±2 it
# drives *straight*, for want of data.
#
# Two distributions hide in what we just did, and the rest of the lecture is about their difference. The
# clone was **trained under $p_{\text{data}}(o)$**, the observations that the expert's drives pass through. It
# will be **run under $p_{\pi_\theta}(o)$**, the observations that its own drives pass through. As long as it
# never errs the two are equal. Suppose, then, that it errs a little.

# %% [markdown]
# ## I2 Distribution shift
#
# No fitted function is perfect. To study what its errors do, we add them by hand, and only where the
# learner had data: an [`imperfect`](../rlcourse/equations/imitation.py) learner takes a wrong action with
# probability exactly $\varepsilon$ in every state that the data cover, whatever its other
# merits. That is a *better* learner than you can hope for from a network: it errs nowhere more often
# than it was told.
#
# How many mistakes will it make in a drive of $T$ steps? Count them with the cost
#
# $$c(s, a) = \mathbb 1[\,a \ne \pi^*(s)\,].$$
#
# The promise says $\varepsilon T$. Answer the question below before the picture appears; then play. What you
# see is exact: the densities come from propagating $p_\pi(s_t)$ forward, not from samples. Only the
# white lines are samples, eight drives under the same luck. (The widget is
# [`distribution_shift`](../rlcourse/widgets/app/distribution_shift.py); its numbers come from
# [`compute`](../rlcourse/widgets/models/distribution_shift.py).)

# %%
from rlcourse.widgets.app.distribution_shift import distribution_shift

distribution_shift()

# %% [markdown]
# **What to notice.**
#
# 1. At the first steps the two densities are the same. The difference *grows with t*: it is not the
#    error that is large but its consequences, and they add up.
# 2. The lost probability does not spread evenly. It collects in the ditch, where the data said
#    nothing and the most frequent action, *straight*, keeps the car there.
# 3. On the lower right the axes are logarithmic, so a power of $T$ is a straight line and its slope is the
#    exponent. The exact cost starts beside $\varepsilon T$ (slope 1), then climbs with the dotted line (slope 2),
#    and for large $\varepsilon T$ bends back to slope 1, because nobody can make more than one mistake a step.
# 4. Noise in the expert makes the data *worse* demonstrations and the imitator *better*. We return to
#    this in I4.
#
# ### The worst world: two tightropes
#
# To find out how bad it can get, take the gentlest step out of the lane's complications. On a
# [tightrope](../rlcourse/envs/tightrope.py) the expert walks *forward*. Any other action is a fall. On one
# rope a fall is final: after it every action counts as a mistake. On the other the expert would climb
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
# It is sometimes written by the time of the first mistake. With probability $(1-\varepsilon)^k \varepsilon$ it comes
# at step $k$ and costs the $T - k$ steps that are left: $\varepsilon T + (1-\varepsilon)\,\varepsilon (T-1) +
# (1-\varepsilon)^2 \varepsilon (T-2) + \dots$, which is the same sum in another order.
#
# On the rope where a fall is final both inequalities are equalities. So (A) is not a pessimist's bound:
# **there is a world in which it is exactly what happens.** That is a claim we can try to refute. On the
# left of each line below stands the formula, [`no_recovery_cost`](../rlcourse/equations/imitation.py); on the
# right, sharing no line of code with it, the distribution propagated forward step by step by
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
# "Grows like $T^2$" can be measured without any formula: run imitators, count mistakes, double the
# horizon, and take $\log_2$ of the ratio. It is 1 for linear and 2 for quadratic growth. Eight independent
# batches of drives give an interval: the mean over the batches and the 95 % interval of Student's $t$
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
    print(f"{epsilon:6}  {horizon:3} → {2 * horizon:3} {epsilon * horizon:7.2f}    {mean:.2f} [{low:.2f}, {high:.2f}]"
          f"             {exact:.2f}")

# %% [markdown]
# Slope 2 where $\varepsilon T \ll 1$, and the bend towards 1 beyond: by $\varepsilon T = 10$ the imitator has almost
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
# state, and as long as their actions agree they use the same noise, so that they stay together. Let
# $M_t$ be the event that they have parted before step $t$.
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
# $$P(M_t) \;\le\; \sum_{k<t} P(\text{learner errs in } s^*_k)
#   \;=\; \sum_{k<t} \mathbb E_{s \sim p_{\text{train}}(s_k)}\big[\pi_\theta(a \ne \pi^*(s) \mid s)\big] \;\le\; \varepsilon t .$$
#
# *Step 3, from distance to cost.* Let $e(s) = \sum_a \pi_\theta(a \mid s)\, c(s,a)$, a number between 0 and 1. Two
# expectations of such a function differ by at most the total variation:
#
# $$\mathbb E\,c_t = \mathbb E_{p_\theta(s_t)}[e] \;\le\; \mathbb E_{p_{\text{train}}(s_t)}[e] + P(M_t)
#   \;\le\; \varepsilon + \varepsilon t , \qquad
#   \mathbb E \sum_{t=0}^{T-1} c_t \;\le\; \frac{\varepsilon T (T+1)}{2}. \tag{B}$$
#
# The result is (A) to first order, from a much weaker assumption. (One subtlety: the cost must be the
# mistake itself on the expert's states, so that $\mathbb E_{p_{\text{train}}}[e] \le \varepsilon$.)
#
# Could it be wrong? Here are 300 random problems with random learners, made up without any thought of
# this proof. For each we compute its $\varepsilon$ in both senses and compare the exact cost with both bounds.
#
# *Read the code:* [`random_mdp`](../rlcourse/envs/random_problems.py),
# [`random_deterministic_policy`](../rlcourse/envs/random_problems.py),
# [`expectation_bound`](../rlcourse/equations/imitation.py) (B), [`distribution_shift_bound`](../rlcourse/equations/imitation.py) (step 2),
# [`total_variation`](../rlcourse/exact/propagation.py).

# %%
from rlcourse.envs.random_problems import random_deterministic_policy, random_mdp
from rlcourse.equations.imitation import distribution_shift_bound, expectation_bound
from rlcourse.exact.propagation import total_variation

horizon, over_a, over_b, over_distance = 12, [], [], []
for seed in range(300):
    problem, teacher = random_mdp(6, 3, seed=seed), random_deterministic_policy(6, 3, seed=seed)
    rates = 0.1 * torch.rand(6, 1, generator=generator(seed, "error rates"), dtype=torch.float64)
    learner = (1 - rates) * teacher + rates * (1 - teacher) / 2
    cost = 1 - teacher
    experts, own = state_marginals(problem, teacher, horizon), state_marginals(problem, learner, horizon)
    mistakes = float(exact_cost(own, learner, cost).sum())
    everywhere, expected = rates.max(), exact_cost(experts, learner, cost).max()
    over_a.append(mistakes / float(no_recovery_cost(everywhere, torch.tensor(horizon))))
    over_b.append(mistakes / float(expectation_bound(expected, torch.tensor(horizon))))
    allowed = distribution_shift_bound(expected, torch.arange(1, horizon + 1))
    over_distance.append(float((total_variation(own, experts)[1:] / allowed).max()))
for name, ratios in (("cost over bound (A)", over_a), ("cost over bound (B)", over_b),
                     ("total variation over εt", over_distance)):
    print(f"{name:24} largest of 300: {max(ratios):.3f}   never above 1: {max(ratios) <= 1}")

# %% [markdown]
# No ratio exceeds 1. They are well below it because random problems forgive: after a wrong turn
# their chains mix, and learner and expert soon meet again. (Equality needs a tightrope.)
#
# ### A proof that is not one
#
# In slides and notes you will find a shorter argument. "Up to step $t$ the learner has made no mistake with
# probability $(1-\varepsilon)^t$, so
#
# $$p_\theta(s_t) = (1-\varepsilon)^t\, p_{\text{train}}(s_t) + \big(1 - (1-\varepsilon)^t\big)\, p_{\text{mistake}}(s_t),$$
#
# and therefore the L1 distance is at most $2\,(1 - (1-\varepsilon)^t)$." Under assumption A, with the error *exactly* $\varepsilon$ in
# every state, this is right: whether a mistake happens is then independent of where the learner is. Under
# assumption B it is wrong, because being free of mistakes so far tells you *which* states you were in.
#
# A counterexample needs two steps. Two final ropes, side by side; each demonstration walks one of
# them, half of them the left, half the right. Let the learner err with probability $2\varepsilon$ on the left rope at
# even steps and on the right rope at odd steps, and never otherwise. At every step the error in expectation
# is $\tfrac12 \cdot 2\varepsilon = \varepsilon$.

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
# At $t = 2$ the learner has had its one dangerous step on either rope, and the distance is the whole of
# $2\varepsilon t$. Proof B's bound is not only true but attained.
#
# Three more slips to recognise: calling the L1 distance the total variation (a factor of two), writing
# $2(1-\varepsilon)^t$ for $2(1 - (1-\varepsilon)^t)$ (it shrinks with $t$), and stopping at "the error is $\varepsilon T$".

# %% [markdown]
# ## I3 Why two assumptions
#
# Assumption A implies B, and the bounds agree to first order. Why keep them apart? Because they are
# different promises, and only one of them is ever made to you.
#
# **A** speaks of every state in the training distribution's support. Nobody can give it from data: a
# finite sample says nothing about a state of probability $10^{-6}$. **B** is what learning theory delivers. A
# generalisation bound, or simply the error on held-out demonstrations, is an average under
# $p_{\text{train}}$. When you report a validation error you are quoting the $\varepsilon$ of B.
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
# The two learners would get the same validation score. One of them makes more mistakes than
# the other, since an error beside the slope sends the car over its edge, and an error on
# the crown mostly does not. *Where* a learner errs matters, and an average cannot say.
#
# There is a third reading, the weakest: the average over all steps of a demonstration is at most
# $\varepsilon$, but not at each step. Then step 2 gives $P(M_t) \le \varepsilon T$ at every $t$, and the bound becomes
# $\varepsilon T + \varepsilon T^2$: twice as large, still quadratic.

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
# was the last slider; here is what it does, exactly, for the imitator of the widget with
# $\varepsilon = 0.01$. (Drawn by [`panels`](../rlcourse/plots/curves.py).)

# %%
from rlcourse.plots.curves import panels
from rlcourse.widgets.models.distribution_shift import compute

frames = {noise: compute(world="lane", epsilon=0.01, horizon=100, noise=noise) for noise in (0.0, 0.01, 0.05)}
horizons = np.arange(1, 201)
for noise, frame in frames.items():
    print(f"η = {noise:4}: data cover {int(frame.covered.sum()):2} cells, mistakes in 100 steps "
          f"{frame.cost_here:6.2f}, factor for twice the horizon {frame.doubling:.2f}")
panels([
    dict(title="Expected mistakes", xlabel="horizon T", ylabel="mistakes", log="xy",
         series={f"noise η = {noise}": (horizons, frame.cost[:200]) for noise, frame in frames.items()}
         | {"εT": (horizons, frame.promised[:200])}),
    dict(title="Where the imitator is at t = 200", xlabel="offset from the crown [cells]",
         ylabel="probability", log="y",
         series={f"noise η = {noise}": (np.arange(-6, 7), frame.learner_density[200])
                 for noise, frame in frames.items()})])

# %% [markdown]
# With one disturbed step in twenty the cost is back at almost $\varepsilon T$, and doubling the horizon doubles it.
# The quadratic growth was never a law of imitation. It was the price of demonstrations in which nothing
# goes wrong.
#
# Where it breaks: noise must be large enough to reach the places to which the *learner's* errors lead, and
# small enough to be survivable. On the rope where a fall is final it is useless, since nothing that the
# expert does after a fall is worth learning. And someone has to ride in the car.

# %% [markdown]
# ## I7 DAgger: ask where the learner goes
#
# I4 guessed where the learner would go wrong. There is a way not to guess. Let the learner drive, note where
# it goes, and ask the expert what it *would have done there*. Add the answers to the data, fit again, drive
# again. This is DAgger, *dataset aggregation* (Ross, Gordon and Bagnell 2011):
#
# > collect drives of the expert and fit a first policy;\
# > repeat: drive with the **current policy**; let the **expert label** every state that was visited;
# > add these pairs to **all** the data so far; fit again.
#
# The loop in [`dagger`](../rlcourse/algorithms/dagger.py) is as short as that, and knows neither tables nor
# networks. Three things in it are easy to get wrong, and you will meet each in the exercise: who drives
# (the learner), who labels (the expert), and what is kept (everything).
#
# Below, [`train`](../rlcourse/algorithms/tabular_imitation.py) runs it for eight independent learners on the
# lane: five drives of a hundred steps a round, errors of 1 % wherever there is data. Beside them, eight
# learners get *exactly as many labels*, but from five more drives of the expert. Costs are exact for each
# learner. (Settings: [`Config`](../rlcourse/algorithms/tabular_imitation.py); picture:
# [`curves`](../rlcourse/plots/curves.py).)

# %%
from rlcourse.algorithms.tabular_imitation import Config, train
from rlcourse.plots.curves import curves


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
print("all 8 DAgger learners below 1.2 mistakes after 8 rounds:",
      bool((costs["the learner drives: DAgger"][-1] < 1.2).all()))
curves({name: (np.arange(len(table)), *np.stack([mean_interval(row) for row in table]).T)
        for name, table in costs.items()},
       title="Mistakes in 100 steps, mean of 8 learners with 95 % interval (ε = 0.01)",
       xlabel="round (500 labels each)", ylabel="expected mistakes")

# %% [markdown]
# Nine times the demonstrations teach the cloner nothing, because they all say the same thing. The same
# number of labels, asked for where the *learner* goes, brings it to $\varepsilon T = 1$.
#
# Now play with it. As before, what you see is exact
# ([`dagger_rounds`](../rlcourse/widgets/app/dagger_rounds.py)).

# %%
from rlcourse.widgets.app.dagger_rounds import dagger_rounds

dagger_rounds()

# %% [markdown]
# **What to notice.** The labels do not grow outwards from the crown. They come first where a lost learner spends its
# time, in the ditch and beside it, and then fill the gap. A learner that has learned to leave the ditch but not
# to cross the slope is stuck in between, and *that* is where the next labels come from: data and learner
# chase each other until they agree. And on one of the ropes nothing helps, however many labels arrive.
#
# ### Why the cost becomes linear
#
# The proof has two parts that are worth keeping apart. The first is about *driving*: an error that is small on
# the learner's **own** states costs only a linear amount. The second is about *learning*: DAgger finds such a learner.
#
# **Part 1, from error to cost.** Let $d^t_\pi$ be the distribution of the learner's state at step $t$, and
#
# $$\varepsilon = \frac1T \sum_{t=0}^{T-1} \mathbb E_{s \sim d^t_\pi}\big[\pi(a \ne \pi^*(s) \mid s)\big]$$
#
# its error *on its own drives*. If the cost is the mistake itself there is nothing to prove: $J(\pi) = \varepsilon T$ by
# definition. For any other cost $C(s,a)$, crashes for instance, use the performance-difference lemma of F7: the costs of two
# policies differ by the first one's expected advantages under the second,
#
# $$J(\pi) - J(\pi^*) = \sum_{t=0}^{T-1} \mathbb E_{s \sim d^t_\pi,\, a \sim \pi}\big[Q^{\pi^*}_t(s,a) - V^{\pi^*}_t(s)\big].$$
#
# (In two lines: add and subtract $V^{\pi^*}_t(s_t)$ along a drive of $\pi$; the sum telescopes, because
# $\mathbb E[C(s_t, a_t) + V^{\pi^*}_{t+1}(s_{t+1})] = \mathbb E[Q_t^{\pi^*}(s_t, a_t)]$, and $V_T = 0$.) The bracket is zero where the
# learner does what the expert would. Elsewhere it is the price of *one* mistake, if the expert takes over
# right afterwards. Call its largest value $u$, the problem's **recoverability**. Then
#
# $$J(\pi) \;\le\; J(\pi^*) + u\,\varepsilon\,T . \tag{D}$$
#
# **Part 2, from rounds to error.** Let $\ell_i(\pi) = \mathbb E_{s \sim d_{\pi_i}}[\text{loss of } \pi \text{ at } s]$ be the loss on the
# states of the $i$-th learner, averaged over the steps of its drive. DAgger picks
# $\pi_{i+1} = \arg\min_\pi \sum_{j \le i} \ell_j(\pi)$: the policy that would have been best on all rounds so far. In online learning this is
# called *follow the leader*, and what we need is that it has little regret:
#
# $$\frac1N \sum_{i=1}^N \ell_i(\pi_i) \;\le\; \underbrace{\min_\pi \frac1N \sum_{i=1}^N \ell_i(\pi)}_{\varepsilon_N}
#   \;+\; \underbrace{\frac{2 L^2}{\alpha}\,\frac{1 + \ln N}{N}}_{\gamma_N \,\to\, 0},$$
#
# where each loss is $L$-Lipschitz and $\alpha$-strongly convex in the policy's parameters.
#
# *Be the leader.* If one could play $\pi_{i+1}$ already in round $i$ there would be no regret:
# $\sum_{i \le N} \ell_i(\pi_{i+1}) \le \sum_{i \le N} \ell_i(\pi)$ for every $\pi$. By induction: let it hold for $N - 1$ rounds, and in
# particular against $\pi = \pi_{N+1}$. Add $\ell_N(\pi_{N+1})$ on both sides. The right-hand side is now
# $\sum_{i \le N} \ell_i(\pi_{N+1})$, which is the minimum over $\pi$ by the choice of $\pi_{N+1}$. So the regret is at most
# $\sum_i [\ell_i(\pi_i) - \ell_i(\pi_{i+1})] \le \sum_i L \,\|\pi_i - \pi_{i+1}\|$.
#
# *The leader changes slowly.* Let $F_i = \sum_{j \le i} \ell_j$. It is $i\alpha$-strongly convex with its minimum at $\pi_{i+1}$, so
# $\tfrac{i\alpha}{2}\|\pi_i - \pi_{i+1}\|^2 \le F_i(\pi_i) - F_i(\pi_{i+1})$. Of the right-hand side, the part from $F_{i-1}$ is at most zero, because
# $\pi_i$ minimises $F_{i-1}$, and the part from $\ell_i$ is at most $L\|\pi_i - \pi_{i+1}\|$. Divide:
# $\|\pi_i - \pi_{i+1}\| \le 2L/(i\alpha)$. Summing $L$ times this over $i$ gives $\frac{2L^2}{\alpha} \sum_i \frac1i \le \frac{2L^2}{\alpha}(1 + \ln N)$. ∎
#
# Together: the average of the learners' errors, each on its own drives, is at most $\varepsilon_N + \gamma_N$, so the best of them is at least
# that good, and with a loss that bounds the 0/1 error its cost is at most $J(\pi^*) + uT(\varepsilon_N + \gamma_N)$. **Linear in $T$.**
#
# Read the small print, since every clause can fail:
#
# - $\varepsilon_N$ is the best error of *any policy in the class* on the **mixture of the learners' own distributions**. It is not
#   the validation error of I3, and nobody promises that it is small. If the expert's rule cannot be represented off its own path, it is not.
# - The 0/1 error is not convex. The theorem is about a convex surrogate above it (a network has not even that).
# - Expectations stand where you have samples; finite data add the usual $O(1/\sqrt{\text{number of drives}})$.
# - $u$ must not grow with $T$. **That is the clause on which the rope decides.** Let us compute it, backwards in time,
#   with [`finite_horizon_values`](../rlcourse/exact/evaluation.py).

# %%
from rlcourse.equations.imitation import dagger_bound
from rlcourse.exact.evaluation import finite_horizon_values

climb = tightrope.tightrope(recoverable=True)
teacher = tightrope.expert_policy()
problems = {
    "rope, a fall is final": (rope, teacher, tightrope.mistake_cost(recoverable=False)),
    "rope, climbing back": (climb, teacher, tightrope.mistake_cost(recoverable=True)),
    "lane, cost: mistakes": (world, expert, lane.mistake_cost()),
    "lane, cost: in the ditch": (world, expert, lane.ditch_cost()),
}


def recoverability(problem, teacher, cost, horizon):
    values, q_values = finite_horizon_values(problem, teacher, horizon, reward_table=cost)
    return float((q_values - values[:-1, :, None]).max())


print(f"{'recoverability u':26}" + "".join(f"{f'T = {horizon}':>10}" for horizon in (25, 50, 100)))
for name, (problem, teaches, cost) in problems.items():
    print(f"{name:26}" + "".join(f"{recoverability(problem, teaches, cost, h):10.2f}" for h in (25, 50, 100)))

# %% [markdown]
# On the first rope a single mistake costs all that is left, $u = T$: the "linear" bound is $\varepsilon T^2$ again. On the others $u$ is
# a small constant, even where the cost is time in the ditch and one wrong turn can lead to several bad steps.
#
# Now the whole claim, on both ropes and the lane. For each round we compute the learners' own error $\varepsilon$, the bound
# [`dagger_bound`](../rlcourse/equations/imitation.py), and the exact cost, each learner by itself. If (D) were wrong for any
# of the eight in any round, the last column would say so.

# %%
config = Config(rounds=6)
print(f"{'':26} after cloning          after 6 rounds")
print(f"{'':26} own error   cost       own error   cost    uεT     all 56 within the bound")
for name, (problem, teaches, cost) in problems.items():
    mistake = 1 - teaches
    u = recoverability(problem, teaches, cost, config.horizon)
    expert_cost = float(exact_cost(state_marginals(problem, teaches, config.horizon), teaches, cost).sum())
    errors, totals = [], []
    for snapshot in train(problem, teaches, config, seed=0):
        for policy in snapshot.policy:
            marginals = state_marginals(problem, policy, config.horizon)
            errors.append(float(exact_cost(marginals, policy, mistake).mean()))
            totals.append(float(exact_cost(marginals, policy, cost).sum()))
    errors, totals = np.array(errors).reshape(-1, 8), np.array(totals).reshape(-1, 8)
    bounds = dagger_bound(torch.tensor(errors), torch.tensor(config.horizon), u).numpy()
    holds = bool((totals - expert_cost <= bounds + 1e-9).all())
    print(f"{name:26} {errors[0].mean():9.3f} {totals[0].mean():6.2f}       {errors[-1].mean():9.3f} "
          f"{totals[-1].mean():6.2f} {bounds[-1].mean():6.2f}     {holds}")

# %% [markdown]
# Look at the first line. DAgger *succeeds* there in its own terms: labels are collected after the fall, and the learner's own error,
# measured against what the teacher says, drops to $\varepsilon$. The cost does not move, and the bound, true as ever, allows it:
# $u \varepsilon T = \varepsilon T^2$. **DAgger makes a learner do what its teacher would do. It cannot make that worth
# anything.** On the second rope the one new thing that the learner hears, *climb*, changes everything.
#
# ### What it costs
#
# DAgger buys its guarantee with something that cloning never needs: an expert who answers for states that somebody else chose. A person
# finds it hard to say how she *would* steer while the wheel does not answer, and somebody has to sit in a car that is
# driven by a bad policy. In the original algorithm a mixture $\beta_i \pi^* + (1 - \beta_i)\pi_i$ drives, with $\beta_i \to 0$; here $\beta$ is 1 in
# the first round and 0 afterwards, which the theorem allows and practice mostly prefers.
