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
# # Lecture 04 · Actor-critic: trust a critic, and how far
#
# Lecture 03 left us with an estimate that is right on average and far too noisy. Its weight, the reward-to-go of
# *one* episode, stands for an expectation. Could that expectation be learned? A **critic** is a learned function that
# predicts it. We ask the critic instead of waiting for the future. What it says has hardly any noise. But it may be
# wrong, and then it is wrong every time.
#
# So noise is exchanged for error, variance for **bias**. This lecture is about that exchange: how a critic is
# learned, how it turns into advantages, and a dial between trusting it completely and not at all. Then we collect
# what the exchange buys: a critic that knows the value of *actions* can learn from old data, and the policy from the
# critic.
#
# **You need** values from lecture 01 (F5) and, from lecture 03, the policy gradient with its baselines (P1 to P4),
# the ratio (P6), and the discount's two options (P8).
#
# **You will be able to**
#
# - fit a critic in two ways, and say how large bias and noise of each are;
# - write advantages with any mixture of rewards and critic, and treat terminated and truncated episodes rightly;
# - predict what an error of the critic does to them;
# - use a critic that sees the action without spoiling the gradient;
# - learn from a replay, and name the two places where the naive way goes wrong.

# %%
from rlcourse.notebook import start

start()

# %% [markdown]
# ## A world where credit comes late
#
# A corridor has eight cells, and somebody carries parcels through it:
#
#     cell 0 → 1 → 2 → 3 → 4 → 5 → 6 → 7 → cell 0, and a parcel is delivered
#
# There are two actions, *forward* and *back*. A step goes the other way than intended with probability 0.2, and a
# step back in cell 0 stays there. A delivery is worth 1. We pay what an action earns on average: in cell 7 0.8 for
# *forward* and 0.2 for *back*, elsewhere nothing. Our policy is not a good one: it chooses *forward* with probability
# 0.6. Whether a step was good shows many steps later, in the parcels; or at once, if one compares the values of the
# two cells.
#
# As always in this course, a world this small comes with the exact answers:
# $V^\pi(s) = \mathbb E\big[\sum_t \gamma^t r_t \mid s_0 = s\big]$, $Q^\pi(s,a)$ and the advantage
# $A^\pi = Q^\pi - V^\pi$.
#
# *Read the code:* [`corridor`](../rlcourse/envs/corridor.py) with [`corridor_policy`](../rlcourse/envs/corridor.py),
# [`policy_evaluation`](../rlcourse/exact/evaluation.py), [`q_from_value`](../rlcourse/exact/evaluation.py).

# %%
import numpy as np
import torch

from rlcourse.envs.corridor import corridor, corridor_policy
from rlcourse.exact.evaluation import policy_evaluation, q_from_value

walk, policy, discount = corridor(), corridor_policy(), 0.95
true_value = policy_evaluation(walk, policy, discount)
true_advantage = q_from_value(walk, true_value, discount) - true_value[:, None]
print("cell           " + "".join(f"{cell:8}" for cell in range(8)))
print("V^π            " + "".join(f"{x:8.3f}" for x in true_value))
print("A^π of forward " + "".join(f"{x:8.3f}" for x in true_advantage[:, 1]))

# %% [markdown]
# *Forward* is better than average everywhere, most of all at the end. But a single reward-to-go is a sum of payments
# that come sooner or later by luck. In cell 0 its standard deviation is 0.247 (A1 computes it), nearly forty times the
# advantage of *forward*. The advantages are small numbers hidden in large ones.

# %% [markdown]
# ## A1 Fitting a critic
#
# A critic $\hat V$ is fitted by regression: for every visited state a **target** $y_t$, and least squares. (We saw in
# lecture 02, I5, that the least-squares fit is the *mean* of its targets.) Which target?
#
# **Monte Carlo.** Take what came: $y_t = \sum_{t' \ge t} \gamma^{t'-t} r_{t'}$. Its mean is $V^\pi(s_t)$ by
# definition: no bias. Its noise is that of the whole future.
#
# **Bootstrapping**, or temporal differences (Sutton 1988). Take one reward, and ask the critic about the rest:
#
# $$y_t = r_t + \gamma\, \hat V(s_{t+1}) . \tag{TD}$$
#
# Only one step of luck is in it. But its mean is not $V^\pi(s_t)$. Since
# $V^\pi(s) = \mathbb E[r + \gamma V^\pi(s')]$, the bias is $\gamma\, \mathbb E\big[\hat V(s') - V^\pi(s')\big]$: the
# critic's own error, averaged one step later, and $\gamma$ times as large.
#
# Why should that ever be useful? Because the regression is repeated. If we could replace every target by its exact
# mean, each round of fitting would multiply the largest error by at most $\gamma$ (the contraction of F5), so that in
# a table it goes to zero. (With networks the argument fails; lecture 05 shows how.)
#
# Bias and noise of both, exactly, for a critic that knows nothing yet, $\hat V = 0$
# ([`target_moments`](../rlcourse/exact/actor_critic.py)):

# %%
from rlcourse.exact.actor_critic import target_moments

ignorant = torch.zeros(8, dtype=torch.float64)
print("target         bias in cell 0, 7    standard deviation in cell 0, 7")
for name, steps in (("bootstrapped", 1), ("Monte Carlo", None)):
    bias, variance = target_moments(walk, policy, ignorant, discount=discount, steps=steps)
    first, *_, last = bias.round(decimals=9).abs()  # none of them is positive
    spread = variance.sqrt()
    print(f"{name:14} {0 - first:8.3f} {0 - last:9.3f} {spread[0]:12.3f} {spread[-1]:10.3f}")

# %% [markdown]
# In cell 0, where nothing is ever paid, the bootstrapped target has no noise at all and misses the whole value. In
# cell 7 it keeps the luck of which action was taken, and misses all that comes after, about half of the value. Monte
# Carlo misses nothing, and has the noise of all that comes.
#
# **Which of them makes more of the same data?**
#
# - *What is measured.* An action moves the walker by one cell. A constant added to all values would change nothing
#   for the actor; how much better one cell is than the one before does. So we measure the error of the differences
#   $\hat V(s+1) - \hat V(s)$, root mean square over the seven pairs.
# - *The data.* Two hundred walkers, each with its own record of up to 3200 steps. (A hundred more are recorded, so
#   that what is cut off from a discounted sum has a weight of $0.95^{100} = 0.6\,\%$.) The sums may thus look
#   beyond the end of a record, which bootstrapping cannot: for short records Monte Carlo has more data than its rival.
# - *Monte Carlo:* a table with the average of the discounted sums after each visit
#   ([`average_target`](../rlcourse/equations/tabular_critic.py)).
# - *Bootstrapping:* the same record, refitted to (TD) until nothing changes. Where that ends has a closed form. With
#   the observed frequencies $\hat P$ of going from cell to cell and the observed mean rewards $\hat r$ it must
#   satisfy $\hat V = \hat r + \gamma \hat P \hat V$. So it is the exact value of *the world that the record
#   describes*, $\hat V = (I - \gamma \hat P)^{-1} \hat r$
#   ([`bootstrapped_table`](../rlcourse/equations/tabular_critic.py)).
#
# In both, a cell that was never visited has the value 0.
#
# *Read the code:* [`DynamicsSource`](../rlcourse/data/sources.py), [`rollout`](../rlcourse/data/rollout.py),
# [`generator`](../rlcourse/core/seeding.py), [`mean_interval`](../rlcourse/results/intervals.py),
# [`reward_to_go`](../rlcourse/equations/returns.py), [`curves`](../rlcourse/plots/curves.py).

# %%
from rlcourse.core.seeding import generator
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.equations.returns import reward_to_go
from rlcourse.equations.tabular_critic import average_target, bootstrapped_table

luck = generator(0, "steps")
walkers = DynamicsSource(walk, 200, 1, random=generator(0, "corridor"), dtype=torch.float64)
record = rollout(walkers, lambda cell: (torch.rand(cell.shape, generator=luck) < 0.6).long(), 3300)
sums = reward_to_go(record.reward, record.terminated, record.truncated, discount=discount)
cell, reward, after, ended, later = (
    field[:, :, 0].T for field in (record.obs, record.reward, record.next_obs, record.terminated, sums))


def fits(steps):
    """Both tables of every walker, [200, 8] each, from the first steps of its record."""
    seen = (cell[:, :steps], reward[:, :steps], after[:, :steps], ended[:, :steps])
    return (average_target(seen[0], later[:, :steps], num_states=8),
            bootstrapped_table(*seen, discount=discount, num_states=8))

# %% [markdown]
# From the same record the two fits have different errors. How much longer would the record of the worse one have to
# be? Once records are long, the error falls like $1/\sqrt{\text{steps}}$, so it is the *square* of the ratio of the
# errors that counts (from some four hundred steps on; above that the last columns are only a rough guide).

# %%
from rlcourse.plots.curves import curves
from rlcourse.results.intervals import mean_interval

lengths = (50, 100, 200, 400, 800, 1600, 3200)
shown = {"Monte Carlo": [], "bootstrapped": []}
print("steps   Monte Carlo   bootstrapped   as good as a record … times as long")
for steps in lengths:
    tables = fits(steps)
    wrong, level = ([part.square().mean(-1).sqrt() for part in parts] for parts in (
        [(table - true_value).diff() for table in tables], [table - true_value for table in tables]))
    for name, values in zip(shown, wrong):
        shown[name].append(mean_interval(values.numpy()))
    factors = [float(pair[0].mean() / pair[1].mean()) ** 2 for pair in (wrong, level)]
    print(f"{steps:5} {wrong[0].mean():13.4f} {wrong[1].mean():14.4f} {factors[0]:8.1f}"
          f"   (for the values themselves {factors[1]:.1f})")
print(f"the true differences are {true_value.diff().min():.3f} to {true_value.diff().max():.3f}")
curves({name: (lengths, *np.array(rows).T) for name, rows in shown.items()}, log="xy",
       xlabel="recorded steps", ylabel="error of the differences",
       title="A critic from the same record (mean of 200 walkers, 95 % Student interval)")

# %% [markdown]
# **What to notice.** From about eight hundred steps on, bootstrapping has half the error, and so needs a quarter of
# the data. When a walker goes from cell 5 to cell 6, bootstrapping tells cell 5 everything that is known about cell
# 6, also from visits that never came from cell 5. Monte Carlo tells it what happened to happen afterwards, the luck
# of the next payment and of the one after it included. After 3200 steps Monte Carlo's error is still seven tenths of
# the smallest difference that it should see. For the values themselves, whose common level both must learn from the
# same few payments, little is gained.
#
# **Where this breaks.** The comparison was in a table, and in a Markov world. With a network both fits are
# approximate, and what bootstrapping then converges to is another story (lecture 05). And if the critic does not see
# the whole state, $\hat V(s')$ is not enough to sum up the future; the Monte Carlo target stays right.

# %% [markdown]
# ## A2 Discounts once more
#
# The equation (TD) contains $\gamma$. What does it mean there, and who chooses it? It turns out to be the first dial
# of this lecture between noise and bias.
#
# Episodes that go on for ever may have infinite returns, so our critic needs $\gamma < 1$. There are two ways to read
# it. The first: a reward later is worth less. The second: after every step the world ends with probability
# $1 - \gamma$. Without any discount, a critic of that mortal world satisfies
# $V(s) = \mathbb E\big[r + \gamma\, V(s') + (1 - \gamma) \cdot 0\big]$, which is our equation.
#
# The factor $\gamma^t$ of P8 is back as well. With a critic the two options are, in expectation,
#
# $$\text{option 1:}\;\; \sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, \hat A_t, \qquad
#   \text{option 2:}\;\; \sum_t \gamma^t\, \nabla \log \pi_\theta(a_t \mid s_t)\, \hat A_t.$$
#
# Option 2 is the gradient of $J_\gamma$ (if $\hat A$ is right). The two can point in *opposite* directions. Here is a
# corridor whose walker is blind: one observation, so one $\pi$ for all steps. The way always leads on. Action 0 pays
# 1 on the first step, action 1 pays 2 on the last, ten steps later, and $\gamma = 0.9$. At the start, the late reward
# is worth $2 \cdot 0.9^{10} = 0.70$, less than 1. Where it is paid it is worth 2. All steps share the same two
# logits, so the gradient is the sum of what the steps ask for.
#
# *Read the code:* [`blind_corridor`](../rlcourse/envs/corridor.py),
# [`gradient_by_theorem`](../rlcourse/exact/policy_gradient.py), and for the estimate
# [`every_batch`](../rlcourse/exact/policy_gradient.py), [`moments`](../rlcourse/exact/policy_gradient.py),
# [`discount_weight`](../rlcourse/equations/policy_gradient.py),
# [`gradient_estimate`](../rlcourse/equations/policy_gradient.py).

# %%
from rlcourse.envs.corridor import blind_corridor
from rlcourse.equations.policy_gradient import discount_weight, gradient_estimate
from rlcourse.exact.policy_gradient import every_batch, gradient_by_theorem, moments

blind, even = blind_corridor(10), torch.zeros(12, 2, dtype=torch.float64)  # π = ½ in all 12 states
walks = every_batch(blind, even, 11)
ends = walks.terminated, walks.truncated
for option in (1, 2):
    theorem = gradient_by_theorem(blind, even, 11, 0.9, option).sum(0)  # over the states: shared logits
    weight = discount_weight(walks.reward, *ends, discount=0.9, option=option)
    mean, _ = moments(walks.prob, gradient_estimate(walks.score, weight))
    print(f"option {option}: logits ({theorem[0]:+.4f}, {theorem[1]:+.4f}); the mean estimate over all "
          f"{len(walks.prob)} walks ({mean[0::2].sum():+.4f}, {mean[1::2].sum():+.4f})")

# %% [markdown]
# Every step's pull is $\pi(1-\pi) = \frac14$ times what it may win. Option 1 lets the first step ask for action 0
# with $\frac14 \cdot 1$ and the last for action 1 with $\frac14 \cdot 2$. Option 2 weighs the last one with
# $0.9^{10}$. A walker that can see, with a table, has no such conflict: each cell's logits get their own pull, and $\gamma^t > 0$
# changes only how strong it is, not its direction.
#
# Option 1 is what is used, since we want a policy that is good at every step. But $\gamma$ is still inside
# $\hat A_t$. Why keep it there, if what we want is not discounted? As a means against noise. Let us want the
# undiscounted return of $T = 6$ steps in the two rooms of lecture 03, and discount all the same. No critic is needed
# to see the effect: the weight is the discounted reward-to-go. Every episode can be listed, so the bias and the noise
# (the standard deviation with one episode) are exact, and the error with $N$ episodes is
# $\sqrt{\text{bias}^2 + \text{noise}^2 / N}$. All are divided by $\|\nabla J\|$.
#
# *Read the code:* [`two_rooms`](../rlcourse/envs/two_rooms.py), [`policy_logits`](../rlcourse/envs/two_rooms.py),
# [`gradient_by_autograd`](../rlcourse/exact/policy_gradient.py).

# %%
from rlcourse.envs.two_rooms import policy_logits, two_rooms
from rlcourse.exact.policy_gradient import gradient_by_autograd

rooms, logits = two_rooms(), policy_logits()
listed, wanted = every_batch(rooms, logits, 6), gradient_by_autograd(rooms, logits, 6).flatten()
print("   γ    bias   noise   error with 8 episodes   with 512")
for gamma in (0.0, 0.3, 0.6, 0.8, 0.9, 0.98, 1.0):
    weight = reward_to_go(listed.reward, listed.terminated, listed.truncated, discount=gamma)
    mean, spread = moments(listed.prob, gradient_estimate(listed.score, weight))
    bias, noise = (mean - wanted).norm() / wanted.norm(), spread.trace().sqrt() / wanted.norm()
    few, many = ((bias**2 + noise**2 / count) ** 0.5 for count in (8, 512))
    print(f"{gamma:4.2f} {bias:7.2f} {noise:7.2f} {few:15.2f} {many:18.3f}")

# %% [markdown]
# Of the seven discounts, $\gamma = 0.6$ gives the best estimate of the *undiscounted* gradient with eight episodes;
# with 512 it is 0.98, hardly better than none. (With $\eta = 1 - \gamma$, the squared bias is of order $\eta^2$, and the variance changes
# by something of order $\eta$. So wherever the variance falls to that order, as it does here, a little discount pays
# at any finite batch size. It need not fall: in the world $+1, -1$ of P3 the first step's weight is 0 without a
# discount, and $1 - \gamma$ with one.)
#
# In a world without end there is no return to be undiscounted. What one wants there is the mean reward per step in
# the long run, $\bar r$. Option 1, with the states as often as they are visited, points along
# $\mathbb E\big[\nabla \log \pi\, A^\pi\big]$ with the discounted $A^\pi$. That is not $\nabla \bar r$, but comes
# closer as $\gamma \to 1$ (Baxter and Bartlett 2001). By how much, in our corridor
# ([`stationary_distribution`](../rlcourse/exact/stationary.py))?

# %%
from rlcourse.exact.stationary import stationary_distribution

free = policy.log().requires_grad_()  # logits of the policy
chosen = torch.softmax(free, -1)
mean_reward = (stationary_distribution(walk, chosen)[:, None] * chosen * walk.reward_table).sum()
slope = torch.autograd.grad(mean_reward, free)[0]
for gamma in (0.8, 0.9, 0.95, 0.98, 0.999):
    value = policy_evaluation(walk, policy, gamma)
    advantage = q_from_value(walk, value, gamma) - value[:, None]
    step = stationary_distribution(walk, policy)[:, None] * policy * advantage  # option 1
    print(f"γ = {gamma:5}: off by {float((step - slope).norm() / slope.norm()):5.1%} of its length")

# %% [markdown]
# So a discount is not only a taste. It is a dial that exchanges variance for bias, and its right position depends on
# how much data there are.
#
# **Where this breaks.** To know the right position one would have to know the gradient. In practice one tries a few.

# %% [markdown]
# ## A3 The loop
#
# Call the policy the **actor**. By the policy gradient theorem its gradient is
# $\nabla J = \mathbb E\big[\sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, A^\pi(s_t, a_t)\big]$ (P4). We put an
# estimate $\hat A$ in the place of $A^\pi$, and get the **actor-critic** (Barto, Sutton and Anderson 1983; Konda and
# Tsitsiklis 2000 proved that a form of it converges):
#
# 1. act for some steps in $N$ environments with $\pi_\theta$;
# 2. make targets, and move the critic towards them;
# 3. make advantages, $\hat A = y - \hat V(s)$;
# 4. step the actor along the mean of $\nabla \log \pi_\theta(a \mid s)\, \hat A$ over the batch, and begin again.
#
# With whole rollouts it is the *batch* actor-critic, with one step at a time the *online* one.
#
# At the ends of episodes there are two cases, and mixing them up is a frequent error:
#
# - **terminated**, the problem is over. Nothing follows, and the target is $y = r$ alone;
# - **truncated**, only the time limit was reached. The problem would have gone on, and the target is
#   $y = r + \gamma \hat V(s')$ with the *true* successor $s'$. That is not what stands in the next row of the data:
#   there the next episode begins.
#
# The equation is [`td_target`](../rlcourse/equations/actor_critic.py).

# %%
from rlcourse.equations.actor_critic import td_target

reward, next_value = torch.ones(3, dtype=torch.float64), torch.full((3,), 10.0, dtype=torch.float64)
terminated = torch.tensor([False, True, False])  # one goes on, one terminates, one is truncated
targets = td_target(reward, next_value, terminated, discount=0.9)  # truncation needs no flag
print("goes on, terminated, truncated:", targets.tolist())

# %% [markdown]
# Why not simply learn online, from the last transition, with one environment? In a table one can. A network
# generalises: what it learns from a hundred nearly equal states in a row, it also changes everywhere else. The remedy
# of this section is to have many environments side by side (A5); another, the replay, comes in A8.
#
# Here is the batch actor-critic on CartPole: rollouts of 16 steps in eight environments, one step of Adam for each,
# and eight runs. This is the **advantage actor-critic**, A2C. In the place of (TD), its targets and advantages look
# further ahead than one step, by a mixture with a parameter $\lambda = 0.9$ that A6 derives; until then read them as
# (TD) with a longer view.
#
# *Read the code:* [`a2c`](../rlcourse/algorithms/a2c.py), [`ValueNet`](../rlcourse/nets/values.py),
# [`CartPole`](../rlcourse/envs/cartpole.py), [`CategoricalHead`](../rlcourse/nets/heads_categorical.py),
# [`Policy`](../rlcourse/nets/policies.py), [`watch`](../rlcourse/widgets/app/watch.py),
# [`learning_curve`](../rlcourse/plots/learning.py), [`describe`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import a2c
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet
from rlcourse.plots.learning import describe, learning_curve
from rlcourse.widgets.app.watch import watch

pole, runs = CartPole(), 8
sizes = {"runs": runs, "seed": 0, "hidden": (32, 32), "dtype": torch.float32}


def poles():
    return DynamicsSource(pole, runs, 8, random=generator(0, "poles"))


def two_networks():
    return Policy(CategoricalHead(4, 2, **sizes), pole.action_space), ValueNet(4, **sizes)


config = a2c.Config()
picture = learning_curve("Advantage actor-critic on CartPole", total=config.total_steps, top=500)
balanced = watch(a2c.train(poles(), *two_networks(), config, seed=0), config.total_steps, runs=runs,
                 describe=describe, name="A2C", draw=picture, size=(8, 2.8))

# %% [markdown]
# **What to notice.** It learns, raggedly. Each update sees 128 steps, once, and a noisy step can undo what the last
# ones built; at the end a run or two may still be caught half-way up. (The thick line leaves out the two best and the
# two worst runs.) The PPO of lecture 03 saw 512 steps at a time and went over them four times.
#
# **Where this breaks.** The actor climbs the advantages that the critic gives it, and at the start the critic knows
# nothing. If $\hat V = 0$, every TD error in CartPole is $+1$, in the fall as well: with (TD) alone whatever was done
# is made more probable, good or bad. The longer view softens this, since close to a fall there are fewer rewards left
# to add up. And one lets the critic learn faster than the actor, here with a rate of 0.02 against 0.005.

# %% [markdown]
# ## A4 One network or two
#
# Actor and critic look at the same world. Should they not share what they see? A **shared trunk** is one network with
# two heads, one for the policy and one for the value: nearly half of the computation saved, and features that serve
# both.
#
# But both losses now pull at the same weights. With a weight $c$ for the critic, and with $\hat A$ and the target $y$
# held fixed, the trunk is trained on
#
# $$\ell = \underbrace{-\hat A\, \log \pi_\theta(a \mid s)}_{\text{actor}} \;+\; c \cdot
#   \underbrace{\tfrac12 \big(y - \hat V(s)\big)^2}_{\text{critic}} .$$
#
# Both gradients carry the same number. With $\hat A = y - \hat V(s)$ they are $-\hat A\, \nabla \log \pi_\theta$ and
# $-c\, \hat A\, \nabla \hat V$. Yet their lengths are very different, for two reasons:
#
# - $\nabla \hat V$ and $\nabla \log \pi$ are of different size, because the heads are: the policy's starts small, so
#   that all actions are tried.
# - At the start, where $\hat V \approx 0$ and rewards are positive, all TD errors have one sign. The critic's
#   gradients then add up over a batch, while scores have mean zero and cancel.
#
# Measured at the start, in the trunk, for each of eight runs ([`SharedTrunk`](../rlcourse/nets/shared_trunk.py),
# [`TrunkValue`](../rlcourse/nets/shared_trunk.py), [`surrogate_loss`](../rlcourse/equations/policy_gradient.py),
# [`samples_by_run`](../rlcourse/core/runs.py)):

# %%
from rlcourse.core.runs import samples_by_run
from rlcourse.equations.policy_gradient import surrogate_loss
from rlcourse.nets.shared_trunk import SharedTrunk, TrunkValue


def one_trunk():
    trunk = SharedTrunk(4, 2, **sizes)
    return Policy(trunk, pole.action_space), TrunkValue(trunk, seed=0)


actor, critic = one_trunk()
batch = rollout(poles(), actor, 16, random=generator(0, "first")).map(samples_by_run)  # [R, 128, …]
target = td_target(batch.reward, critic(batch.next_obs), batch.terminated, discount=0.99)
error = target - critic(batch.obs)
score_loss = surrogate_loss(actor.distribution(batch.obs).log_prob(batch.action), error)


def pull(loss):
    """The length of the gradient on the trunk, for each run."""
    trunk = list(actor.head.trunk.parameters())
    parts = torch.autograd.grad(loss.mean(1).sum(), trunk, retain_graph=True)
    return sum(part.flatten(1).square().sum(1) for part in parts).sqrt()


single, whole = (pull(0.5 * error[:, part].square()) / pull(score_loss[:, part])
                 for part in (slice(0, 1), slice(None)))
print("all TD errors of the batch are positive:", bool((error > 0).all()))
print("in every run the critic's gradient is more than 10 times as long as the actor's from one step:",
      bool((single > 10).all()))
print("and more than 30 times from the whole batch:", bool((whole > 30).all()))

# %% [markdown]
# What the trunk learns is mostly what the critic asks for. So one makes $c$ small, and has one more number to search
# for.
#
# With two networks there is nothing to weigh. Adam divides every gradient by its own recent size, so a constant
# factor cancels, up to the tiny number that keeps Adam from dividing by zero. Here are both with two weights, on a
# shorter training, with no clipping of gradients, and all parts learning at the same rate
# ([`compare`](../rlcourse/plots/learning.py)):

# %% tags=["unstable-picture"]
from dataclasses import replace

from rlcourse.plots.learning import compare

short = a2c.Config(total_steps=24_000, clip_norm=None, critic_learning_rate=a2c.Config.learning_rate)
curves_of, average = {}, {}


def keep(name, training):
    """Train; the curve, and the return averaged over all of training, for each run."""
    *_, last = training
    curves_of[name] = last.curve
    values = torch.stack([value for _, value in last.curve])
    average[name] = values.nan_to_num(20.0).mean(0)  # until the first episode ends there is no return


for weight in (0.5, 0.001):
    for name, networks in (("two networks", two_networks), ("trunk", one_trunk)):
        keep(f"{name}, c = {2 * weight:g}",
             a2c.train(poles(), *networks(), replace(short, value_weight=weight), seed=0))
pair, same_pair, trunk, light = (average[f"{name}, c = {c}"] for name, c in (
    ("two networks", "1"), ("two networks", "0.002"), ("trunk", "1"), ("trunk", "0.002")))
print("two networks: both weights lead to the very same return in at least half of the runs:",
      int((pair == same_pair).sum()) >= runs / 2)
print("with c = 1 every trunk learns more slowly than every pair of networks:",
      bool(trunk.max() < pair.min()))
print("c = 0.002 repairs more than a third of the difference:",
      bool(light.mean() - trunk.mean() > (pair.mean() - trunk.mean()) / 3))
compare({name: curves_of[name] for name in ("two networks, c = 1", "trunk, c = 1", "trunk, c = 0.002")},
        "One network or two: A2C on CartPole")

# %% [markdown]
# With this trunk much depends on the weight. This does not show that sharing is bad. It is made for inputs such as pictures,
# where seeing is most of the work. CartPole's observation is four numbers: there is little to share, and a conflict
# to settle.
#
# **Where this breaks.** A weight that is right for one problem is wrong for the same problem in other units. Pay ten
# times as much for everything, and a critic that fits has a last layer and an error ten times as large. Its gradient
# in the trunk is a hundred times as long, the actor's ten times.

# %% [markdown]
# ## A5 Many actors at once
#
# One environment gives steps that resemble each other. Many environments are independent of each other, and if they
# are at different stages of their episodes, the batch shows more of the world. There are two ways to have many.
#
# **Synchronous.** All environments step together, one network acts in all of them, and the update waits for the
# slowest. This is what every learner of this course does but the one at the end of this section; the environments are
# an axis of a tensor.
#
# **Asynchronous** (A3C; Mnih et al. 2016). Several workers (threads in the paper, processes here) with their own
# environments. Each reads the shared parameters, collects a short rollout, and applies its gradient to the shared
# parameters *as they are by then*. Nobody waits for another's rollout. The price: the gradient was computed at older
# parameters. It is **stale**, by as many updates as the others made in the meantime.
#
# Does that matter? A gradient that is $k$ updates old points uphill at $\theta_{u-k}$ and is applied at $\theta_u$.
# If the gradient changes by at most $L$ times the distance,
#
# $$\big\|\nabla J(\theta_{u-k}) - \nabla J(\theta_u)\big\| \;\le\;
#   L\, \|\theta_{u-k} - \theta_u\| \;\le\; L \cdot k \cdot \text{(longest step)} .$$
#
# So a small $k$ should do little harm, and a large one may do much. To see the effect of $k$ alone, we simulate it in
# one process: keep the last parameters, act and differentiate with those of $k$ updates ago, and apply the gradient
# to the present ones ([`delayed_gradient`](../rlcourse/algorithms/delayed_gradient.py)).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import delayed_gradient

faster = a2c.Config(total_steps=24_000, clip_norm=None)  # the critic at its own rate again
for updates in (0, 4, 64):
    keep(f"{updates} updates late",
         delayed_gradient.train(poles(), *two_networks(), faster, staleness=updates, seed=0))
print("64 updates late: every run has a lower average return than every run that is 0 late:",
      bool(average["64 updates late"].max() < average["0 updates late"].min()))
compare({name: curves_of[name] for name in curves_of if name.endswith("late")},
        "Stale gradients: A2C on CartPole")

# %% [markdown]
# Four updates late costs too little to be seen with eight runs. 64 late, next to nothing is learned. Two causes can play a
# part: the parameters move far in between, and of these 188 updates the first 65 all follow the gradient at the first
# parameters, so that little is left to react to.
#
# And the real thing: two worker processes with shared parameters, on two cores. How stale will their gradients be?
# Let each worker read again right after its own update, and take any update of worker B. It falls between a read of
# worker A and A's next update, and so makes that one gradient of A staler by 1. So every update adds 1 to one
# gradient of each of the $W - 1$ other workers, and the mean staleness is $W - 1$, whatever the timing (but for the
# first and the last updates). Here it should be 1
# ([`async_actor_critic`](../rlcourse/algorithms/async_actor_critic.py)).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import async_actor_critic

settings = async_actor_critic.Config(workers=2, environments=8, learner=a2c.Config(total_steps=40_000))
picture = learning_curve("Two workers, shared parameters", total=40_000, top=500)
together = watch(async_actor_critic.train(pole, *two_networks(), settings, seed=0), 40_000, runs=runs,
                 describe=describe, name="two processes", draw=picture, size=(8, 2.4))

# %%
print("both workers took part:", bool((together.updates_by_worker > 0).all()))
print("mean staleness between 0.9 and 1:", 0.9 < together.mean_staleness <= 1)
print("and they learned; mean return above 100:", float(together.episode_return.mean()) > 100)

# %% [markdown]
# **What to notice.** Two workers learn, with gradients that are one update late on average. (The curve has a point
# for every ten updates only, and looks smoother for it.) Asynchrony was the way to use many cores when environments
# were slow and every process had its own.
#
# **Where this breaks.** By the bound above, how much staleness is too much should depend on the learning rate: $k$
# counts only as $k$ times the length of a step. (We have not tried other rates.) And who comes first depends on the machine, so no asynchronous run can be
# repeated. Where environments can be stepped together, the synchronous way is simpler, and repeatable.

# %% [markdown]
# ## A6 A dial between experience and opinion
#
# Monte Carlo and bootstrapping are two ends. In between, look at $n$ rewards and ask the critic then:
#
# $$\hat A^{(n)}_t = \sum_{l=0}^{n-1} \gamma^l r_{t+l} + \gamma^n \hat V(s_{t+n}) - \hat V(s_t) .$$
#
# (The last reward is $r_{t+n-1}$. Adding $r_{t+n}$ as well, which $\hat V(s_{t+n})$ already contains, is a common
# slip.) With the TD error $\delta_t = r_t + \gamma \hat V(s_{t+1}) - \hat V(s_t)$ this is a telescoping sum: in
# $\sum_l \gamma^l \delta_{t+l}$ every $\gamma^{l+1} \hat V(s_{t+l+1})$ cancels against the
# $-\gamma^{l+1} \hat V(s_{t+l+1})$ of the next term, and only the first and the last value are left. So
#
# $$\hat A^{(n)}_t = \sum_{l=0}^{n-1} \gamma^l\, \delta_{t+l} .$$
#
# **What is it wrong about?** Write $e(s) = \hat V(s) - V^\pi(s)$. For the true values
# $Q^\pi(s_t, a_t) = \mathbb E\big[\sum_{l<n} \gamma^l r_{t+l} + \gamma^n V^\pi(s_{t+n})\big]$, given $s_t$ and $a_t$.
# Subtract this, and $V^\pi(s_t)$, and what is left is
#
# $$\mathbb E\big[\hat A^{(n)}_t\big] - A^\pi(s_t, a_t) =
#   \underbrace{\gamma^n\, \mathbb E\big[e(s_{t+n})\big]}_{\text{error of the opinion}} \;-\; \underbrace{e(s_t)}_{\text{a baseline}} . \tag{bias}$$
#
# The second term does not know the action. It is a baseline (P4), and does not bias the gradient. The first does:
# *what misleads the actor is an error that differs with where the action leads.* It fades with $\gamma^n$.
#
# The noise, on the other hand, grows with every reward that is looked at, if the critic is right. Then every later TD
# error has the mean 0 whatever happened before it, so the terms are uncorrelated, and each adds its variance. (If the
# critic is wrong, $\hat V$ may jump from cell to cell more than $V^\pi$ does. That is noise as well, and a longer
# look can remove it.)
#
# **Which $n$?** One need not choose. Take all of them, with weights that fall geometrically (Watkins 1989 for the
# values; Schulman et al. 2016 for advantages, *generalised advantage estimation*, **GAE**). For $\lambda < 1$
#
# $$\hat A_t = (1 - \lambda) \sum_{n=1}^\infty \lambda^{n-1} \hat A^{(n)}_t
#   = \sum_{l=0}^\infty (\gamma \lambda)^l\, \delta_{t+l} .$$
#
# *Because* $\gamma^l \delta_{t+l}$ is in every $\hat A^{(n)}$ with $n > l$, and the weights of these add up to
# $(1-\lambda) \sum_{n > l} \lambda^{n-1} = \lambda^l$. The second form has a limit for $\lambda = 1$. And it can be
# computed in one pass backwards over the data:
#
# $$\hat A_t = \delta_t + \gamma\lambda\, \hat A_{t+1} .$$
#
# $\lambda = 0$ is (TD): it trusts the critic after one step. $\lambda = 1$ is Monte Carlo with a baseline: it uses
# the critic only as $-\hat V(s_t)$, provided that the sum runs to the end.
#
# At an end the recursion starts anew: $\hat A_t = \delta_t$, where $\delta_t$ has no $\hat V(s_{t+1})$ if the step
# terminated, and the value of the true successor if it was only truncated.
#
# A rollout is finite. If $T$ steps are left, no estimate can look further, and $\hat A^{(T)}$ gets all the weight
# that is left over, $\lambda^{T-1}$. (Without that the weights would not add up to 1.) The recursion does it by
# itself, since it begins with $\hat A = \delta$ at the last step. Weights and recursion must agree; a check on random
# numbers ([`gae`](../rlcourse/equations/returns.py), [`n_step_advantage`](../rlcourse/equations/actor_critic.py),
# [`n_step_weights`](../rlcourse/equations/actor_critic.py)):

# %%
from rlcourse.equations.actor_critic import n_step_advantage, n_step_weights
from rlcourse.equations.returns import gae

random = generator(0, "any numbers")
reward = torch.randn(6, generator=random, dtype=torch.float64)
value = torch.randn(7, generator=random, dtype=torch.float64)
no_end = torch.zeros(6, dtype=torch.bool)
data = reward, value[:-1], value[1:], no_end, no_end
weights = n_step_weights(6, 0.8)
mixture = sum(weight * n_step_advantage(*data, discount=0.9, steps=n)[0]
              for n, weight in enumerate(weights, start=1))
recursion = gae(*data, discount=0.9, gae_lambda=0.8)[0]
print("weights of n = 1 … 6:", [round(float(w), 3) for w in weights], f"sum {weights.sum():.10f}")
print(f"mixture of the n-step estimates {mixture:.10f}, recursion {recursion:.10f}")

# %% [markdown]
# How good is the dial? In the corridor everything about it is exact
# ([`advantage_moments`](../rlcourse/exact/actor_critic.py)). Play with a critic that is wrong in different ways.
#
# - *Left:* one estimate, in units of $\sqrt{\mathbb E\, A^2}$, the typical size of a true advantage. Its noise, and
#   its bias, split into what is *common* to the actions of a cell and what differs *between* them.
# - *Middle:* the mean of $\nabla \log \pi\, \hat A$ over a batch of $N$ independent steps, with states as often as
#   they are visited. What it should be is option 1 of A2: the same with the true discounted advantages. The root mean
#   square distance from that is shown, in units of its length. Open circle: your setting; filled circle: the best
#   $\lambda$; diamond: the best $n$.
# - *Right:* estimates after either action in cell 6.
#
# (The widget is [`advantage_estimates`](../rlcourse/widgets/app/advantage_estimates.py), its numbers come from
# [`compute`](../rlcourse/widgets/models/advantage_estimates.py).)

# %%
from rlcourse.widgets.app.advantage_estimates import advantage_estimates

advantage_estimates()

# %% [markdown]
# Some of its settings as a table, the distance in percent
# ([`KINDS`](../rlcourse/widgets/models/advantage_estimates.py) of error, as in its menu):

# %%
from rlcourse.widgets.models.advantage_estimates import KINDS, compute

same, flat, noisy = KINDS
print("the critic's error          N   λ = 0   best λ        λ = 1   best n")
for kind, size in ((noisy, 0.0), (noisy, 0.3), (flat, 0.3), (same, 1.0)):
    for batch_size in (10, 1000, 10_000):
        frame = compute(0.0, 0.95, kind, size, batch_size)
        off, best = 100 * frame.gae_error, frame.gae_error.argmin()
        print(f"{kind:22} {size:.1f} {batch_size:5} {off[0]:6.1f} {off[best]:6.1f}",
              f"at {frame.gae.gae_lambda[best]:.2f} {off[-1]:7.1f} {100 * frame.n_step_error.min():8.1f}")

# %% [markdown]
# **What to notice.**
#
# 1. With a perfect critic (error 0) nothing has a bias, and $\lambda = 0$ is best at every batch: looking further
#    only adds noise. The step has three times as much of it at $\lambda = 1$ as at 0. (We go on to call its mean the
#    gradient, though A2 showed how far it is from $\nabla \bar r$.)
# 2. With an error that differs from cell to cell, $\lambda = 0$ leads the actor astray. With a random error of size
#    0.3 it is at least 44 % off, however large the batch (the pink line in the middle begins there). Once the batch is large enough for the
#    error, the best $\lambda$ lies in between; small batches may prefer 0. It moves up with the size of the error,
#    and with the *batch*: noise can be averaged away, bias cannot.
# 3. At $\lambda = 1$ the gradient has no bias, however wrong the critic is. There it is a baseline and nothing else.
#    (These walks go on for ever. A rollout that stops after $T$ steps keeps $\gamma^T e(s_{t+T})$.)
# 4. With a wrong critic the dotted line on the left falls to zero at no $\lambda$. It contains $-e(s_t)$, which is in every estimate. It moves both
#    black crosses on the right by the same amount, even so far that both actions look bad. The gradient sees only the
#    gap between them.
# 5. An error that is *the same in every cell*, $e(s) = c$, does not mislead the actor at any $\lambda$. At
#    $\lambda = 0$ it hardly adds noise either, since it changes $\delta$ by $\gamma c - c = -0.05\, c$. At
#    $\lambda = 1$ it is a bad baseline: a $c$ of one standard deviation of $V$ adds a fifth to the noise of the step.
# 6. The best $\lambda$ mostly gives a somewhat smaller error than the best $n$ (there are settings where it does
#    not). That, and one pass backwards over the data, are two good reasons to use it.
#
# **Where this breaks.** The formulas suppose that the rewards in the estimate were earned by the present policy. In
# old data they were not. With $\lambda = 0$ only the choice of the action itself is old; with $\lambda = 1$ all that
# followed is.

# %% [markdown]
# ## A7 A critic that sees the action
#
# P4 forbade baselines that know the action. A critic $Q_w(s, a)$, which does know it, can explain more of the return
# than $V(s)$. Can we subtract it all the same? Yes, if we add back what it takes away (Gu et al. 2017 call their
# version Q-Prop):
#
# $$\nabla J = \mathbb E\Big[\sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, \big(R_t - Q_w(s_t, a_t)\big)\Big]
#   + \mathbb E\Big[\sum_t \underbrace{\textstyle\sum_a \pi_\theta(a \mid s_t)\, \nabla \log \pi_\theta(a \mid s_t)\,
#   Q_w(s_t, a)}_{\text{no sample needed}}\Big] ,$$
#
# where $R_t$ is the reward-to-go. *Because* given $s_t$, the mean of
# $-\nabla \log \pi_\theta(a_t \mid s_t)\, Q_w(s_t, a_t)$ over $a_t \sim \pi_\theta$ is minus the sum in the second
# term. So the estimate is unbiased **for every $Q_w$**, right or wrong, that was not itself fitted to these episodes. The first term has little noise if $Q_w$ is
# good. The second has none but that of the states, because the sum over the actions is done and not sampled. (With
# continuous actions one replaces the sum by an integral that can be done, or by many actions drawn for the purpose.)
#
# In the two rooms of lecture 03, for three steps, with every episode listed and three critics, none, half right,
# right; and $V(s)$ for comparison ([`control_variate_estimate`](../rlcourse/equations/control_variate.py),
# [`uncorrected_estimate`](../rlcourse/equations/control_variate.py),
# [`discrete_correction`](../rlcourse/equations/control_variate.py),
# [`finite_horizon_values`](../rlcourse/exact/evaluation.py),
# [`softmax_scores`](../rlcourse/exact/policy_gradient.py)):

# %%
from rlcourse.exact.evaluation import finite_horizon_values
from rlcourse.exact.policy_gradient import softmax_scores

listed, probs = every_batch(rooms, logits, 3), torch.softmax(logits, -1)
wanted = gradient_by_autograd(rooms, logits, 3).flatten()
values, q_values = finite_horizon_values(rooms, probs, 3)  # [T + 1, S] and [T, S, A]
time, state, action = torch.arange(3)[:, None, None], listed.state[:-1], listed.action
to_go = reward_to_go(listed.reward, listed.terminated, listed.truncated)
scores = torch.stack([softmax_scores(logits, state, torch.full_like(action, a)) for a in (0, 1)], -2)

# %%
from rlcourse.equations.control_variate import (control_variate_estimate, discrete_correction,
                                                uncorrected_estimate)


def row(name, terms):
    """Bias and variance of the sum over time of `terms`, from all episodes."""
    mean, spread = moments(listed.prob, terms.sum(0).mean(-2))
    print(f"{name:28} {(mean - wanted).norm() / wanted.norm():8.3f} {spread.trace():18.3f}")


print("critic                       bias (of ‖∇J‖)   variance")
for name, share in (("none", 0.0), ("half of Q", 0.5), ("exact Q", 1.0)):
    critic = share * q_values[time, state]
    control = critic.gather(-1, action[..., None])[..., 0]  # at the action taken
    added_back = discrete_correction(scores, probs[state], critic)
    row(name, control_variate_estimate(listed.score, to_go, control, added_back))
    if share:
        row(name + ", not added back", uncorrected_estimate(listed.score, to_go, control))
row("V(s), nothing to add back", listed.score * (to_go - values[time, state])[..., None])

# %% [markdown]
# Corrected, the estimate is unbiased for all three critics, and the better the critic the less noise. If nothing is
# added back, it loses exactly the share of the gradient that the critic explains: with the right critic, all of it.
# (Its variance is lower still: a quiet estimate of nothing. What noise is left with the exact $Q$ comes from the
# future of a single episode and from the states.)
#
# **Where this breaks.** Look at the last line: the plain $V(s)$ brings nearly all of the gain. Tucker et al. (2018)
# found the same in deep learning: that in the usual benchmarks the variance was no lower than with $V$, and that the
# reported gains came from details of implementation, some of them biased. And the first term still needs fresh
# episodes. What remains is the idea, and the next section takes it to its end: throw the first term away. What is
# left is only as right as $Q_w$ is.

# %% [markdown]
# ## A8 Old data if one asks the right question
#
# REINFORCE uses an episode once, PPO a handful of times. A **replay** keeps the transitions of a long time, and draws
# from them at random, again and again (Lin 1992; for actor-critics Wawrzyński 2009). P6 told us the price of old
# data: ratios. But there the *whole future* was data. A critic changes the question. A single transition
# $(s, a, r, s')$ contains nothing of the policy but the choice of $a$, and if $a$ is an *input* of the critic, it
# does not matter who chose it.
#
# Call $\beta$ the policy that filled the replay. (If there were many, $\beta(a \mid s)$ is the share of $a$ among the
# actions stored in $s$.) Start from the naive way. Let a critic learn from the replay as it stands, by (TD) with
# actions, $y = r + \gamma\, Q(s', a')$ with the **stored** next action $a'$, and step the actor along
# $\nabla \log \pi_\theta(a \mid s)\, Q(s, a)$ with the **stored** $a$. **It is wrong in two places**, and both are
# about whose action it is.
#
# 1. *The target.* $a'$ was chosen by $\beta$, so $Q$ becomes $Q^\beta$, the value of going on like $\beta$. Remedy:
#    ask the present policy for the next action, $a' \sim \pi_\theta(\cdot \mid s')$, drawn *now*. (The stored $r$ and
#    $s'$ are fine: they depend on $(s, a)$ alone, and $a$ is an input.)
# 2. *The gradient.* $\nabla \log \pi_\theta(a \mid s)$ must be averaged over $a \sim \pi_\theta$, and the stored $a$
#    is not. Remedy: draw a new one, $a^\pi \sim \pi_\theta(\cdot \mid s)$, and ask $Q(s, a^\pi)$. This is the second
#    term of A7 alone, with drawn actions in place of the sum. The weight $Q(s, a^\pi)$ has no baseline and is noisy
#    (P4); but no environment is needed for it, so one can draw several actions and average.
#
# Where does the second mistake lead? With the weights $w_a = \beta(a \mid s)\, Q(s, a)$ the mean step
# $\sum_a w_a \nabla \log \pi(a \mid s)$ is the gradient of $\sum_a w_a \log \pi(a \mid s)$: a weighted likelihood.
# For a softmax its component for the logit of $b$ is $w_b - \pi(b \mid s) \sum_a w_a$. If every $Q$ is positive, it
# is zero, and the likelihood largest, at $\pi(b \mid s) = w_b / \sum_a w_a$. The learner *imitates the replay*, a
# little tilted towards what paid:
#
# $$\pi(a \mid s) \;\propto\; \beta(a \mid s)\, Q(s, a) .$$
#
# (With $\hat V$ and its TD error in the place of $Q$ the result looks different. The TD error of a stored action has
# the mean $A^\beta(s, a)$ once $\hat V = V^\beta$. Since $\sum_a \beta A^\beta = 0$, the softmax's logit of $a$ then
# moves on average in proportion to $\beta(a \mid s)\, A^\beta(s, a)$ in every plain gradient step, for ever. The actor ends with the action for which this is
# largest: better than $\beta$, but not always the best action, not even for the values of $\beta$.)
#
# One error remains: the *states* are those of old policies. We improve the policy where it used to be, and hope that
# this is where it will be. (In a table that matters little, since no state's improvement costs another's. Degris,
# White and Sutton 2012 discuss it.)
#
# Here is a world in which each mistake shows. At a fork, one can take 2 and stop, or go on to two doors, one of which
# pays 1 and the other 4. The replay was filled by somebody who goes on half of the time, and chooses the good door
# one time in four. To this person going on is worth $0.8 \cdot (\frac34 \cdot 1 + \frac14 \cdot 4) = 1.4$, less than
# the 2 at the fork. To somebody who knows the good door it is worth 3.2. Each mistake alone, both, and
# neither; actor and critic are tables:
#
# *Read the code:* [`off_policy_actor_critic`](../rlcourse/algorithms/off_policy_actor_critic.py),
# [`Replay`](../rlcourse/data/replay.py), [`doors`](../rlcourse/envs/doors.py),
# [`doors_behaviour`](../rlcourse/envs/doors.py), [`DiscreteQNet`](../rlcourse/nets/q_values.py), here a table,
# [`one_hot`](../rlcourse/nets/policies.py).

# %%
from rlcourse.algorithms import off_policy_actor_critic as off_policy
from rlcourse.envs.doors import doors, doors_behaviour
from rlcourse.nets.policies import one_hot
from rlcourse.nets.q_values import DiscreteQNet

world, behaviour = doors(), doors_behaviour()  # states: fork, doors, end


def learn(target_action, gradient_action):
    """The mean policy [S, A] of eight learners that see the behaviour's replay and nothing else."""
    old = generator(0, "old actions")
    actor = Policy(CategoricalHead(3, 2, runs=8, seed=0, hidden=()), world.action_space,
                   lambda obs: one_hot(obs, 3))
    critic = DiscreteQNet(3, 2, runs=8, seed=0, hidden=(), encode=lambda obs: one_hot(obs, 3))
    source = DynamicsSource(world, 8, 4, random=generator(0, "old episodes"), dtype=torch.float64)
    config = off_policy.Config(target_action, gradient_action, discount=0.8)
    *_, last = off_policy.train(source, actor, critic, config, seed=0, behaviour=lambda state: (
        torch.rand(state.shape, generator=old) < behaviour[state, 1]).long())
    return last.policy.distribution(torch.arange(3).expand(8, 3)).probs.detach().mean(0)

# %% [markdown]
# For the naive version the formula above, with $Q = Q^\beta$, says beforehand where it will end.

# %%
def row(name, table):
    value = policy_evaluation(world, table, 0.8)[0]
    print(f"{name:44} {table[0, 1]:6.2f} {table[1, 1]:11.2f} {value:11.2f}")


print("policy                                    P(go on)  P(good door)  value")
row("the replay's, β", behaviour)
old_q = q_from_value(world, policy_evaluation(world, behaviour, 0.8), 0.8)
weighted = (behaviour * old_q)[:2]
row("theory: π ∝ β Q^β", torch.cat([weighted / weighted.sum(-1, keepdim=True), behaviour[2:]]))
for name, actions in (("naive: both stored", ("stored", "stored")),
                      ("stored next action in the target", ("stored", "policy")),
                      ("stored action in the gradient", ("policy", "stored")),
                      ("corrected: both drawn now", ("policy", "policy"))):
    row(name, learn(*actions))

# %% [markdown]
# The naive learner ends where the formula says. With the stored next action alone, the learner finds the good door,
# and hardly ever goes there: the critic tells it what going on was worth to somebody who did not know. With the stored
# action in the gradient alone, it goes on imitating. The corrected learner reaches the best policy, which nobody in
# these data followed.

# %% [markdown]
# ### Through the action: the reparameterised gradient
#
# For continuous actions there is a second way. Let $Q$ be held fixed, as a function that can be differentiated. Draw
# noise $\epsilon$ first, and let the action be a function of it, $a = f_\theta(s, \epsilon)$; for a Gaussian
# $a = \mu_\theta(s) + \sigma_\theta(s)\, \epsilon$. Then the expectation is over $\epsilon$, which does not depend on
# $\theta$, and the gradient goes *through* the action into the critic:
#
# $$\nabla_\theta\, \mathbb E_{a \sim \pi_\theta}\big[Q(s, a)\big]
#   = \mathbb E_\epsilon\big[\nabla_a Q(s, a)\; \nabla_\theta f_\theta(s, \epsilon)\big] .$$
#
# The first way, with the score, needs only numbers from $Q$; this needs its slope. It believes the critic more
# deeply. Take one Gaussian action with mean $\frac12$ and standard deviation $\frac12$, and two critics: $Q = -a^2$,
# and the same with a ripple of height 0.1. Both estimates of the derivative with respect to the mean $\mu$, averaged exactly over a
# fine grid of noise:

# %%
noise = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
density = torch.exp(-(noise**2) / 2)
density = density / density.sum()
for name, ripple in (("−a²", 0.0), ("−a² + 0.1 sin 50a", 0.1)):
    action = (0.5 + 0.5 * noise).requires_grad_()
    height = -(action**2) + ripple * torch.sin(50 * action)
    slope, = torch.autograd.grad(height.sum(), action)
    height = height.detach()
    height = height - (density * height).sum()  # minus the value of the state, a baseline
    for way, estimate in (("through the action", slope), ("with the score", height * noise / 0.5)):
        mean = (density * estimate).sum()
        print(f"Q = {name:18} {way:19} mean {mean:.2f}, "
              f"standard deviation {(density * (estimate - mean) ** 2).sum() ** 0.5:.2f}")

# %% [markdown]
# Both ways have the same mean. For the smooth critic the way through the action has half of the noise. The ripple,
# hardly visible in the heights, makes it the noisier one.
#
# **Where this breaks.** At the slopes: a critic that was fitted to heights may have wrong ones. And discrete actions
# have no slope at all.
#
# ### Soft actor-critic
#
# **SAC** (Haarnoja et al. 2018, here in the form of 2018b) puts all this together, and rewards *entropy* (an older
# idea; Ziebart 2010). It maximises $\mathbb E \sum_t \gamma^t \big(r_t + \alpha\, H(\pi(\cdot \mid s_t))\big)$, where
# $H(\pi) = -\mathbb E \log \pi$, so that the policy keeps trying as long as trying costs little.
#
# What do critic and actor learn then? Let $Q(s, a)$ be counted after $a$ was taken, so that the entropy of $s$ itself
# is not in it. Being in $s$ is worth both together, and $-\log \pi(a \mid s)$ of a drawn action has the mean $H$:
#
# $$V(s) = \mathbb E_{a \sim \pi}\big[Q(s, a) - \alpha \log \pi(a \mid s)\big], \qquad
#   Q(s, a) = r + \gamma\, \mathbb E\big[V(s')\big] .$$
#
# With one action $a' \sim \pi_\theta(\cdot \mid s')$, drawn now, in place of the mean, the second equation is the
# critic's target. And the actor should make $V(s)$ large: its loss is $-V(s)$, with one action drawn through its
# noise. With two additions,
#
# $$y = r + \gamma\,(1 - \text{terminated})
#   \Big(\min_{i=1,2} \bar Q_{i}(s', a') - \alpha \log \pi_\theta(a' \mid s')\Big),$$
#
# $$\ell_\pi = \alpha \log \pi_\theta(a \mid s) - \min_{i=1,2} Q_i(s, a), \quad a = f_\theta(s, \epsilon) .$$
#
# There are two critics, of which the smaller is believed. An actor that climbs a critic finds its errors, and an
# error upwards in one is not always shared by the other (Fujimoto, van Hoof and Meger 2018; lecture 05). And the
# target asks copies $\bar Q_i$ of them that follow slowly, each parameter moving a small part of the way in every
# update, because a target that moves with every step is hard to reach. The temperature $\alpha$ is raised where the
# policy's mean entropy falls below a wanted value, and lowered where it is above (Haarnoja et al. 2018b).
#
# *The density of a bounded action.* The torque of a motor is limited, so one draws $u \sim \mathcal N(\mu, \sigma^2)$
# and applies $a = h \tanh u$, where $h$ is the largest torque. Probability is conserved, $\pi(a)\, \mathrm da = \mathcal N(u)\, \mathrm du$, and so
# $\log \pi(a \mid s) = \log \mathcal N(u) - \log\big(h\, (1 - \tanh^2 u)\big)$. Leaving out the last term is a common
# error.
#
# Are these formulas right? There is a problem with continuous actions where everything is known: $s' = s + a$ with
# $r = -s^2 - a^2$. The best soft policy is Gaussian, $a = -K s + \sigma \epsilon$, and its $Q$ is quadratic
# ([`soft_lqr`](../rlcourse/exact/soft_lqr.py)). There, $Q$ must reproduce itself through the target, and the actor's
# loss must have no slope in $K$ or $\log \sigma$. All averages over $\epsilon$ are of quadratic functions, for which
# three points are exact: $-\sqrt 3, 0, \sqrt 3$ with weights $\frac16, \frac23, \frac16$. This tests the term of the
# entropy; minimum and termination play no part. As a control, the same with its sign turned
# ([`sac_target`](../rlcourse/equations/soft_actor_critic.py),
# [`actor_loss`](../rlcourse/equations/soft_actor_critic.py),
# [`LinearGaussianHead`](../rlcourse/nets/heads_linear_gaussian.py)).

# %%
from rlcourse.exact import soft_lqr
from rlcourse.nets.heads_linear_gaussian import LinearGaussianHead

one = torch.ones(1, 1, dtype=torch.float64)
problem = soft_lqr.LinearQuadratic(one, one, 2 * one, 2 * one)  # s' = s + a, r = −s² − a²
best = soft_lqr.solve(problem, temperature=0.5, discount=0.9)
actor = LinearGaussianHead(1, 1, runs=1, gain=-float(best.gain),
                           log_std=0.5 * float(best.action_cov.log()))
noise, weights = torch.tensor([[-(3**0.5), 0.0, 3**0.5], [1 / 6, 4 / 6, 1 / 6]], dtype=torch.float64)


def draw(state):
    """The policy's actions at the three points of noise, and their log densities: [B, 3] each."""
    policy = actor.distribution(state.repeat_interleave(3)[None, :, None])
    action = policy.mean + policy.log_std.exp() * noise.repeat(len(state))[None, :, None]
    return action.view(-1, 3), policy.log_prob(action).view(-1, 3)


def q_of(state, action):
    return soft_lqr.soft_q(problem, best.curvature, best.constant, state.expand_as(action)[..., None],
                           action[..., None], discount=0.9)

# %%
from rlcourse.equations.soft_actor_critic import actor_loss, sac_target

state, taken = torch.tensor([[-1.0, 0.5, 2.0], [0.3, -0.7, -1.0]], dtype=torch.float64)
reward, following = -(state**2) - taken**2, state + taken
for name, sign in (("as it stands", 1.0), ("sign of the entropy turned", -1.0)):
    action, log_prob = draw(following)
    target = sac_target(reward[:, None].expand(3, 3), q_of(following[:, None], action), sign * log_prob,
                        torch.zeros(3, 3, dtype=torch.bool), discount=0.9, temperature=0.5)
    missed = target @ weights - q_of(state, taken)
    action, log_prob = draw(state)
    loss = actor_loss(sign * log_prob, q_of(state[:, None], action), temperature=0.5) @ weights
    slopes = torch.autograd.grad(loss.mean(), (actor.theta, actor.log_std))
    in_gain, in_log_std = (float(slope.round(decimals=9)) + 0.0 for slope in slopes)  # no −0
    print(f"{name}: the target misses Q by {missed.abs().max():.4f}; "
          f"the actor's loss has slope {in_gain:.4f} in the gain and {in_log_std:.4f} in log σ")

# %% [markdown]
# With the right sign the best policy is where everything rests. With the wrong one a lower $\log \sigma$ would lower
# the actor's loss, and the actor would shrink its noise. (Its slope there is $2\alpha = 1$: the right loss has the
# slopes $-\alpha$ from the entropy and $+\alpha$ from $Q$, and the wrong one $\alpha$ twice. The entropy does not
# depend on the gain, so this test sees no error there.)
#
# Now live: pendulums that start at any angle, have to be swung up and held, and are pushed by a torque $a$ between −2
# and 2, too weak to lift them at once. The reward is $-(\varphi^2 + 0.1\, \dot\varphi^2 + 0.001\, a^2)$, with the angle
# $\varphi$ measured from the top. An episode has 200 steps; −200 is a good one, about −1200 what random actions get.
#
# *Read the code:* [`sac`](../rlcourse/algorithms/sac.py), [`Pendulum`](../rlcourse/envs/pendulum.py) (Gymnasium's),
# [`SquashedGaussianHead`](../rlcourse/nets/heads_squashed.py) (the bounded action above),
# [`QNet`](../rlcourse/nets/q_values.py), [`learning_and_picture`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import sac
from rlcourse.envs.pendulum import Pendulum
from rlcourse.nets.heads_squashed import SquashedGaussianHead
from rlcourse.nets.q_values import QNet
from rlcourse.plots.learning import learning_and_picture

pendulum, config = Pendulum(), sac.Config()
source = DynamicsSource(pendulum, runs, 8, random=generator(0, "pendulum"))
head = SquashedGaussianHead(3, 1, runs=runs, seed=0, low=-2.0, high=2.0, dtype=torch.float32)
actor = Policy(head, pendulum.action_space)
critic = QNet(3, 1, runs=runs, seed=0, dtype=torch.float32)
picture = learning_and_picture(source, "SAC on the pendulum", total=config.total_steps,
                               bottom=-1600, top=0, threshold=-200)
swung = watch(sac.train(source, actor, critic, config, seed=0), config.total_steps, runs=runs,
              describe=describe, name="SAC", size=(9, 3), draw=picture)

# %% [markdown]
# The curve moves in stairs: all episodes have 200 steps and end together, eight of them in 1600 steps. The first
# stair is mostly random actions (1000 of 1600 steps). The second is lower: what the actor first learns from critics that have seen little is
# worse than chance. (Why, we have not tested.)
#
# How good are the eight policies when they no longer explore ([`episodes`](../rlcourse/data/episodes.py),
# [`mean_return`](../rlcourse/data/evaluate.py))?

# %%
from rlcourse.data.episodes import episodes, one_episode
from rlcourse.data.evaluate import mean_return

examination = DynamicsSource(pendulum, runs, 20, random=generator(0, "examination"))
greedy = mean_return(episodes(examination, swung.policy))
print("mean of 20 episodes at least −200 in at least 7 of the 8 runs:",
      int((greedy >= -200).sum()) >= 7)
drawn = config.batch_size * config.updates / (config.horizon * 8)
print(f"experience: {config.total_steps:,} steps for each run, {config.total_steps // 200} episodes; "
      f"{drawn:.0f} transitions drawn from the replay for every new one")

# %% [markdown]
# And this is what the first of them does ([`one_episode`](../rlcourse/data/episodes.py),
# [`film`](../rlcourse/plots/control.py)). The grey mark is the top.

# %% tags=["unstable-picture"]
from rlcourse.plots.control import film

film(pendulum, one_episode(pendulum, swung.policy, run=0, seed=1))

# %% [markdown]
# **What to notice.** Seventy-five episodes were enough, here for at least seven of eight runs. A2C used every
# transition once. Here a transition is used between seven and eight times on average (the early ones more often, since they can
# be drawn for longer), and each update asks the critic about actions that nobody ever took. (How much of the success
# is the replay's merit only a comparison on the same task could show.)
#
# **Where this breaks.** All of this rests on $Q(s, a^\pi)$ being right *at actions that are not in the data*. While
# the policy goes on acting, errors there can be found out and corrected. Without fresh data nobody corrects them
# (lecture 10). And the maximisation hidden in "climb the critic" has a bias of its own, which is why there are two
# critics here (lecture 05).

# %% [markdown]
# ## Questions you may have
#
# **Which λ should I use?** 0.9 to 0.95 is customary for PPO and A2C. A6 says in which direction to leave it: less if
# your critic is good or your batches are small, more if the critic is bad and the batches are large.
#
# **What does the entropy do in SAC?** It is meant to keep the policy trying, and the actor from running to a single
# peak of the critic, which may be an error. With it there is no schedule for the exploration noise to choose. It is
# not what makes SAC off-policy: that is the critic of actions.
#
# **Why does PPO not use a replay?** Its advantages are made of rewards that *followed*, under the policy of that
# time. A replayed reward-to-go belongs to an old policy, and needs a ratio for each of its actions (P6). A single
# transition needs at most the ratio of its own action, and none where the action is an input of the critic.
#
# ## What to take along
#
# - A critic replaces the noise of the future by its own error. Monte Carlo and bootstrapping are the two ends of a
#   dial; $\lambda$ turns it, and its best position depends on the critic's error *and* on the batch.
# - An error that is the same for all actions is a baseline and does not bias the gradient. What misleads the actor is
#   an error that differs with where the action leads.
# - Terminated: nothing follows. Truncated: the value of the true successor follows.
# - A critic of actions may be subtracted, if its expectation is added back.
# - From a replay, ask for $Q(s, a)$ with today's actions, in the target and in the gradient. The stored $r$ and $s'$
#   are fine, the stored next action is not.
#
# The actor is there to find good actions, and $Q$ knows which they are. [Lecture 05](05a_q_learning.ipynb) asks whether one
# can do without the actor.
#
# **Exercise.** [Write the targets and the advantages](../exercises/04_actor_critic.ipynb), a soft target, a squashed
# density, a critic that sees the action; and find out what is wrong with an actor-critic that fishes a pond empty.
#
# ## References
#
# - A. G. Barto, R. S. Sutton, C. W. Anderson (1983). Neuronlike adaptive elements that can solve difficult learning control problems. *IEEE Transactions on Systems, Man, and Cybernetics* 13.
# - J. Baxter, P. L. Bartlett (2001). Infinite-horizon policy-gradient estimation. *Journal of Artificial Intelligence Research* 15.
# - T. Degris, M. White, R. S. Sutton (2012). Off-policy actor-critic. *ICML*.
# - S. Fujimoto, H. van Hoof, D. Meger (2018). Addressing function approximation error in actor-critic methods. *ICML*.
# - S. Gu, T. Lillicrap, Z. Ghahramani, R. E. Turner, S. Levine (2017). Q-Prop: sample-efficient policy gradient with an off-policy critic. *ICLR*.
# - T. Haarnoja, A. Zhou, P. Abbeel, S. Levine (2018). Soft actor-critic: off-policy maximum entropy deep reinforcement learning with a stochastic actor. *ICML*.
# - T. Haarnoja et al. (2018b). Soft actor-critic algorithms and applications. arXiv 1812.05905.
# - V. Konda, J. Tsitsiklis (2000). Actor-critic algorithms. *NIPS*.
# - L.-J. Lin (1992). Self-improving reactive agents based on reinforcement learning, planning and teaching. *Machine Learning* 8.
# - V. Mnih et al. (2016). Asynchronous methods for deep reinforcement learning. *ICML*.
# - J. Schulman, P. Moritz, S. Levine, M. Jordan, P. Abbeel (2016). High-dimensional continuous control using generalized advantage estimation. *ICLR*.
# - R. S. Sutton (1988). Learning to predict by the methods of temporal differences. *Machine Learning* 3.
# - G. Tucker, S. Bhupatiraju, S. Gu, R. E. Turner, Z. Ghahramani, S. Levine (2018). The mirage of action-dependent baselines in reinforcement learning. *ICML*.
# - C. J. C. H. Watkins (1989). Learning from delayed rewards. PhD thesis, King's College, Cambridge.
# - P. Wawrzyński (2009). Real-time reinforcement learning by sequential actor-critics and experience replay. *Neural Networks* 22.
# - B. D. Ziebart (2010). Modeling purposeful adaptive behavior with the principle of maximum causal entropy. PhD thesis, Carnegie Mellon University.
