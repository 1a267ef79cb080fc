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
# # Lecture 03 · Policy gradients: learning from consequences
#
# In lecture 02 somebody knew what to do, and we copied. Now nobody does. There is a policy that acts, and a number
# that says how well things went. The simplest thing a learner could do with that is what a child does: *try
# something, and if it went well, do it more often.* This lecture makes "more often" precise. It turns out to be a
# gradient, of the very quantity we care about, and it can be estimated without knowing anything about the world
# (Williams 1992).
#
# The estimate is correct on average, and so noisy that in its plain form it hardly works. Most of the lecture is about
# noise: where it comes from, which of it can be removed for nothing, and what it costs to remove the rest. At every
# step the *exact* gradient stands beside the estimate, because our first world is so small that everything which can
# happen in it can be listed.
#
# **You need** from lecture 01: trajectories and values (F4, F5), the performance-difference lemma (F7); from lecture
# 02: how fast two policies' states drift apart (I2).
#
# **You will be able to**
#
# - derive the policy gradient, and say why it needs no model;
# - remove noise from it without bias, and recognise the attempts that bring bias;
# - learn from another policy's episodes, and see when that is hopeless;
# - write the loss whose gradient it is, and explain what a natural gradient, a trust region and a clip are for;
# - train eight agents at once, with an interval around what you claim.

# %%
from rlcourse.notebook import start

start()

# %% [markdown]
# ## A world in which we can know everything
#
# There are two rooms, and in each of them you *rest* or *work*. Work tends to lead to room 1 and to keep you there. In
# room 0 it costs a half; room 1 is where the rewards are. Three of four episodes begin in room 0, and all of them have
# $T = 3$ steps ([`two_rooms`](../rlcourse/envs/two_rooms.py), drawn by [`rooms_picture`](../rlcourse/plots/policy_gradient.py)).

# %%
import numpy as np
import torch

from rlcourse.envs.two_rooms import HORIZON, policy_logits, two_rooms
from rlcourse.plots.policy_gradient import landscape, rooms_picture

rooms, logits = two_rooms(), policy_logits()
rooms_picture(rooms.transition_probs[..., 1].numpy(), rooms.reward_table.numpy())

# %% [markdown]
# The policy is a softmax, $\pi_\theta(a \mid s) = e^{\theta_{s,a}} / \sum_{a'} e^{\theta_{s,a'}}$, and we want to maximise
#
# $$J(\theta) = \mathbb E_{\tau \sim p_\theta}\big[R(\tau)\big], \qquad R(\tau) = \sum_{t=0}^{T-1} r_t,
# \qquad p_\theta(\tau) = p(s_0) \prod_{t=0}^{T-1} \pi_\theta(a_t \mid s_t)\, p(s_{t+1} \mid s_t, a_t).$$
#
# Only the difference $\theta_{s,\text{work}} - \theta_{s,\text{rest}}$ matters, one number a room. So the whole
# policy is a point in a plane, and $J$ is a landscape over it. (In a world this small one knows $J$ by dynamic
# programming, as in lecture 01, and its slope by automatic differentiation. Out there one has neither.)
#
# *Read the code:* [`policy_logits`](../rlcourse/envs/two_rooms.py) and [`HORIZON`](../rlcourse/envs/two_rooms.py), [`objective`](../rlcourse/exact/policy_gradient.py), [`gradient_by_autograd`](../rlcourse/exact/policy_gradient.py),
# [`landscape`](../rlcourse/plots/policy_gradient.py).

# %%
from rlcourse.exact.policy_gradient import gradient_by_autograd, objective

grid = np.linspace(-3, 3, 25)
heights = [[float(objective(rooms, torch.tensor([[0, x], [0, y]]), HORIZON)) for x in grid] for y in grid]
gradient = gradient_by_autograd(rooms, logits, HORIZON)
print("our policy works with probability", " and ".join(f"{float(p):.2f} in room {room}" for room, p in
                                                        enumerate(torch.softmax(logits, -1)[:, 1])))
print(f"J = {float(objective(rooms, logits, HORIZON)):.4f}; "
      f"∂J/∂θ for work: {float(gradient[0, 1]):.4f} in room 0, {float(gradient[1, 1]):.4f} in room 1")
landscape(grid, np.array(heights), tuple((logits[:, 1] - logits[:, 0]).tolist()), {"2 ∇J": 2 * gradient[:, 1].numpy()},
          title="Expected return J",
          labels=("θ(work) − θ(rest) in room 0", "θ(work) − θ(rest) in room 1"))

# %% [markdown]
# (The top lies beyond the picture, up and to the right: always work.) This arrow is what everything below tries to
# estimate. The learner sees neither the landscape nor the rooms'
# probabilities: it sees episodes.

# %% [markdown]
# ## P1 The gradient that needs no model
#
# How could one differentiate through a world that one cannot see? Write the expectation as a sum over trajectories and
# differentiate it. Only the probabilities depend on $\theta$, so
#
# $$\nabla J(\theta) = \sum_\tau \nabla p_\theta(\tau)\, R(\tau).$$
#
# This is no expectation, so it cannot be estimated by playing episodes. But wherever $p_\theta(\tau) > 0$ the chain rule
# for the logarithm says $\nabla \log p_\theta = \nabla p_\theta / p_\theta$, that is
# $\nabla p_\theta(\tau) = p_\theta(\tau)\, \nabla \log p_\theta(\tau)$. (A softmax gives every action a positive
# probability, so a trajectory with $p_\theta(\tau) = 0$ is impossible for every $\theta$, and contributes nothing.)
# Hence
#
# $$\nabla J(\theta) = \sum_\tau p_\theta(\tau)\, \nabla \log p_\theta(\tau)\, R(\tau)
#   = \mathbb E_{\tau \sim p_\theta}\big[\nabla \log p_\theta(\tau)\, R(\tau)\big].$$
#
# Now it *is* an expectation under the policy's own episodes. And the logarithm turns the product into a sum,
#
# $$\log p_\theta(\tau) = \log p(s_0) + \sum_t \log \pi_\theta(a_t \mid s_t) + \sum_t \log p(s_{t+1} \mid s_t, a_t),$$
#
# of which only the middle part depends on $\theta$. **The dynamics drop out**, not because they do not matter but because
# they are already in the episodes that were drawn:
#
# $$\nabla J(\theta) = \mathbb E_{\tau \sim p_\theta}\Big[\Big(\sum_{t=0}^{T-1} \nabla \log \pi_\theta(a_t \mid s_t)\Big)
#   \Big(\sum_{t=0}^{T-1} r_t\Big)\Big]. \tag{P1}$$
#
# Replace the expectation by a mean over $N$ episodes, take a step uphill, repeat: that is REINFORCE (Williams 1992). The
# vector $\nabla \log \pi_\theta(a \mid s)$ is called the **score**: the direction in which $a$ becomes more likely in $s$.
#
# (An episode that ends early contributes zeros after its end. With continuous actions the sums over trajectories become
# integrals, and the argument stays.)
#
# Is (P1) true? In two rooms we can ask for all of it. [`every_batch`](../rlcourse/exact/policy_gradient.py) lists every episode that
# can occur (two start rooms, and at each step two actions and two rooms that they lead to) with its probability: its rewards have the axes
# step, possible batch, and episode in the batch (here one), and its scores a last axis for the four logits. [`moments`](../rlcourse/exact/policy_gradient.py) takes exact expectations over that list, and
# [`gradient_estimate`](../rlcourse/equations/policy_gradient.py) is the formula in the bracket, with the return from
# [`discounted_return`](../rlcourse/equations/returns.py).

# %%
from rlcourse.equations.policy_gradient import gradient_estimate
from rlcourse.equations.returns import discounted_return
from rlcourse.exact.policy_gradient import every_batch, moments

every = every_batch(rooms, logits, HORIZON)
ends = every.terminated, every.truncated
total = discounted_return(every.reward, *ends)
estimate = gradient_estimate(every.score, total)
expected, covariance = moments(every.prob, estimate)
print(f"{len(every.prob)} episodes, their probabilities add up to {float(every.prob.sum()):.12f}")
print("the expected estimate is ∇J to 12 digits:", bool((expected - gradient.flatten()).abs().max() < 1e-12))
print(f"length of ∇J: {float(gradient.norm()):.2f}; root mean square error of the estimate from one episode: "
      f"{float(covariance.trace().sqrt()):.2f}")

# %% [markdown]
# (P1) passes. The two sides are computed in different ways: the one differentiates a dynamic programme, the other
# adds up episodes.
#
# The last line is the other half of the story. (The length is √2 times that of the arrow in the picture: the logits of *rest* have
# the same derivatives with the other sign.) The estimate from one episode misses the gradient by more than four times its
# length. To walk uphill with small steps we do not need the gradient itself, only something that points uphill on average; how
# small the steps must be is a matter of the noise. Below,
# batches of $N$ episodes are drawn from the list (an episode drawn from it is distributed as one that is played;
# [`generator`](../rlcourse/core/seeding.py) is the course's source of random numbers).

# %%
from rlcourse.core.seeding import generator


def up_and_down(estimates, weights, batch_size, batches=4000):
    """The shares of batches whose mean estimate has a positive and a negative inner product with ∇J."""
    drawn = torch.multinomial(weights, batch_size * batches, replacement=True, generator=generator(0, "episodes"))
    means = estimates[drawn].reshape(batches, batch_size, -1).mean(1)
    along = means @ gradient.flatten()
    return float((along > 1e-9).double().mean()), float((along < -1e-9).double().mean())


for batch_size in (1, 4, 16, 64):
    up, down = up_and_down(estimate, every.prob, batch_size)
    print(f"N = {batch_size:2}: {up:.0%} of the estimates point uphill, {down:.0%} downhill")

# %% [markdown]
# A single episode often says nothing (its return is 0), and otherwise points the wrong way about two times in five; a batch of sixteen seldom does. Plain REINFORCE works, in the sense in which a drunkard finds his way
# home. The rest of the lecture sobers him up.

# %% [markdown]
# ## P2 Trial and error as maximum likelihood
#
# Put (P1) beside the gradient of behaviour cloning from lecture 02:
#
# $$\text{cloning:}\quad \frac1N \sum_{i} \sum_t \nabla \log \pi_\theta(a_t^i \mid s_t^i) \qquad\qquad
#   \text{policy gradient:}\quad \frac1N \sum_{i} \Big(\sum_t \nabla \log \pi_\theta(a_t^i \mid s_t^i)\Big) R(\tau^i).$$
#
# It is the same sum with weights. Cloning pulls the policy towards everything in the data, and the data are an expert's. Here
# the data are the policy's own, and every episode counts as much as it earned. An episode with a negative return is
# made *less* likely. That is trial and error, written as a formula.
#
# What if every weight is 1? Then the policy clones itself, and nothing should change: on average no other policy makes its own
# data more likely than it does. Indeed, in every state,
#
# $$\mathbb E_{a \sim \pi_\theta(\cdot \mid s)}\big[\nabla \log \pi_\theta(a \mid s)\big]
#   = \sum_a \pi_\theta(a \mid s) \frac{\nabla \pi_\theta(a \mid s)}{\pi_\theta(a \mid s)}
#   = \nabla \sum_a \pi_\theta(a \mid s) = \nabla 1 = 0. \tag{S}$$
#
# Remember (S). Everything that can be removed from the estimate for nothing will be removed with it.
#
# **What if the policy does not see the state?** Look through the derivation for the place where it used that $s_t$ was
# observed, or that the world is Markov in what the policy sees. There is none. With observations,
# $\log p_\theta(\tau)$ has $\log \pi_\theta(a_t \mid o_t)$ in it, and nothing else changes. Here is a policy that cannot tell
# the rooms apart, so that both share their two logits, and the score of a shared logit is the sum over the rooms.

# %%
self_cloning, _ = moments(every.prob, gradient_estimate(every.score, torch.ones_like(total)))
print("all weights 1: the expected gradient is 0 to 12 digits:", bool(self_cloning.norm() < 1e-12))

blindfold = torch.tensor([-0.1, 0.1], dtype=torch.float64, requires_grad=True)
blind = every_batch(rooms, blindfold.detach().expand(2, 2), HORIZON)
shared_score = blind.score.unflatten(-1, (2, 2)).sum(-2)
blind_total = discounted_return(blind.reward, blind.terminated, blind.truncated)
expected_blind, _ = moments(blind.prob, gradient_estimate(shared_score, blind_total))
exact_blind, = torch.autograd.grad(objective(rooms, blindfold.expand(2, 2), HORIZON), blindfold)
print("expected estimate", [round(x, 6) for x in expected_blind.tolist()])
print("exact gradient   ", [round(x, 6) for x in exact_blind.tolist()])
# %% [markdown]
# This is worth remembering when the methods of later lectures, which lean on values of states, break under partial
# observation: the plain estimate does not care. (What a policy without memory can reach is another matter; and a *baseline* will care, in P4.)

# %% [markdown]
# ## P3 Causality and the reward-to-go
#
# In (P1) every action is weighted by *all* rewards, also those that came before it. An action cannot change the past.
# So these terms must be useless, and (S) says that they are. For $t' < t$ the reward $r_{t'}$ is settled when $s_t$
# is reached; let $h_t = (s_0, a_0, \dots, s_t)$ be the history up to there. Then
#
# $$\mathbb E\big[\nabla \log \pi_\theta(a_t \mid s_t)\, r_{t'}\big]
#   = \mathbb E\Big[r_{t'}\; \underbrace{\mathbb E\big[\nabla \log \pi_\theta(a_t \mid s_t) \,\big|\, h_t\big]}_{=\,0 \text{ by (S)}}\Big] = 0 .$$
#
# They add nothing to the mean, and usually noise. Without them each action is weighted by the **reward-to-go**:
#
# $$\nabla J(\theta) = \mathbb E\Big[\sum_{t=0}^{T-1} \nabla \log \pi_\theta(a_t \mid s_t) \sum_{t'=t}^{T-1} r_{t'}\Big]. \tag{P3}$$
#
# (We multiplied (P1) out and dropped terms. It is a different estimate with the same mean.) Code:
# [`reward_to_go`](../rlcourse/equations/returns.py). By the *variance* of an estimate $\hat g$ we mean from here on
# $\mathbb E\,\|\hat g - \mathbb E\,\hat g\|^2$, the trace of its covariance.

# %%
from rlcourse.envs.tabular import TabularMDP
from rlcourse.equations.returns import reward_to_go

to_go = reward_to_go(every.reward, *ends)


def report(name, weight, batch=every):
    """How far the expected estimate is from ∇J, how much of ∇J is in it, its variance, how often it points uphill."""
    estimate = gradient_estimate(batch.score, weight)
    expected, covariance = moments(batch.prob, estimate)
    bias = float((expected - gradient.flatten()).norm() / gradient.norm())
    slope = float(expected @ gradient.flatten() / gradient.square().sum())
    print(f"{name:30} bias {bias:5.3f} ‖∇J‖   mean along ∇J {slope + 0.0:+.2f}   variance {float(covariance.trace()):6.3f}   "
          f"uphill {float(batch.prob[estimate @ gradient.flatten() > 1e-9].sum()):.0%}")


report("total return", total)
report("reward-to-go", to_go)

# %% [markdown]
# The variance falls to less than two thirds, for nothing.
#
# **Does it always fall?** One reads that it does. It does not. Take a world that pays $+1$ in its first step and $-1$ in its second,
# whatever you do ([`TabularMDP`](../rlcourse/envs/tabular.py): two states, passed one after the other). The total return is always 0, so the estimate with
# the total return is exactly right: 0, always. The reward-to-go of the second step is $-1$.

# %%
passing = torch.zeros(2, 2, 2, dtype=torch.float64)
passing[:, :, 1] = 1.0
indifferent = TabularMDP(passing, torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64),
                         torch.tensor([1.0, 0.0], dtype=torch.float64))
both = every_batch(indifferent, torch.zeros(2, 2, dtype=torch.float64), 2)
for name, weigh in (("total return", discounted_return), ("reward-to-go", reward_to_go)):
    weight = weigh(both.reward, both.terminated, both.truncated)
    _, spread = moments(both.prob, gradient_estimate(both.score, weight))
    print(f"{name}: variance {float(spread.trace()):.2f}")

# %% [markdown]
# What happened? The past rewards *cancelled* the future ones. Such luck is rare (positive rewards that are independent of each other and of the actions never show it), but it is a
# reminder that "fewer terms" and "less variance" are two different statements.
#
# **Where this breaks.** The reward-to-go removes the noise of the past. The noise of the future stays; and so does a larger one, the common level of all returns, which is next.

# %% [markdown]
# ## P4 Baselines
#
# Suppose that every reward in the rooms were 10 higher. Nothing would change about what is best. But every action would get a large positive
# weight, everything that was tried would be pushed up, and the pushes would cancel only on average over many episodes: the noise grows with the
# rewards' common level, and the signal does not. The cure is to ask not "was it good?" but "was it *better than expected*?",
# and to subtract a **baseline** $b$:
#
# $$\nabla J(\theta) = \mathbb E\Big[\sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, \big(R_t - b\big)\Big],
#   \qquad R_t = \sum_{t' \ge t} r_{t'}. \tag{P4}$$
#
# *Why it stays unbiased.* Let $b$ depend on anything that is settled before $a_t$ is drawn: the state $s_t$, the whole history $h_t$, the
# parameters $\theta$. Then it can be taken out of the inner expectation as $r_{t'}$ was above,
#
# $$\mathbb E\big[\nabla \log \pi_\theta(a_t \mid s_t)\, b(h_t)\big]
#   = \mathbb E\big[b(h_t)\; \mathbb E[\nabla \log \pi_\theta(a_t \mid s_t) \mid h_t]\big] = 0 .$$
#
# *And where it does not.* If $b$ depends on the action $a_t$, it cannot be taken out. The temptation is real, for the
# closer $b$ is to $R_t$, the smaller the weights. Take it to the end and choose $b = Q(s_t, a_t)$, the expected reward-to-go after that action: less noise
# than with $V(s)$, and the expected estimate is *zero*. The baseline has eaten the gradient.
#
# Values for the rooms come from [`finite_horizon_values`](../rlcourse/exact/evaluation.py): $V_t(s)$ and $Q_t(s, a)$, exact, for what is left of the episode after $t$.

# %%
from rlcourse.exact.evaluation import finite_horizon_values

values, q_values = finite_horizon_values(rooms, torch.softmax(logits, -1), HORIZON)
time = torch.arange(HORIZON)[:, None, None]
state, action = every.state[:-1], every.action
average = float(every.prob @ total[0, :, 0])

report("total return", total)
report("total − average return", total - average)
report("reward-to-go", to_go)
report("to-go − average return", to_go - average)
report("to-go − V(s)", to_go - values[time, state])
report("to-go − Q(s, a): wrong", to_go - q_values[time, state, action])
report("Q(s, a) in place of to-go", q_values[time, state, action])
report("advantage Q − V", q_values[time, state, action] - values[time, state])

# %% [markdown]
# **What to notice.**
#
# 1. All lines but the wrong one have bias 0. Unbiased estimates can differ in variance by more than a factor of ten.
# 2. The state's own value $V_t(s)$ is a better baseline than any one number for all (the average return here, the best constant below). It is what a **critic** learns, and
#    the subject of lecture 04.
# 3. The last two lines replace the sampled future by its expectation. They are unbiased because given $s_t$ and $a_t$ the expected reward-to-go *is* $Q_t(s_t, a_t)$, so that
#    $\nabla J = \mathbb E\big[\sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, Q_t(s_t, a_t)\big]$, the **policy gradient theorem** (Sutton, McAllester, Singh and Mansour 2000).
#    But look: $Q$ alone is noisier than the sampled future with $V$ subtracted. Here taking away the level matters more than taking away the dice.
# 4. The wrong line points uphill more often than not, and goes nowhere: its downhill steps are longer. How often an estimate points uphill says nothing about its mean.
#
# ### The batch's own average
#
# Nobody gives us the average return. So one takes the average over the batch. Is that allowed? The average contains $R(\tau^i)$ itself, so it depends
# on the actions of episode $i$. Let $g_i$ be the score of episode $i$ and $R_i$ its return. For $j \ne i$ the episodes are independent, so
# $\mathbb E[g_i R_j] = \mathbb E[g_i]\,\mathbb E[R_j] = 0$ by (S), and only the term $j = i$ is left:
#
# $$\mathbb E\Big[g_i \Big(R_i - \frac1N \sum_{j} R_j\Big)\Big] = \mathbb E[g_i R_i] - \frac1N\, \mathbb E[g_i R_i]
#   = \Big(1 - \frac1N\Big) \nabla J .$$
#
# Biased, but harmlessly: the direction is right, the length a little too short. The average of the *other* episodes
# (leave-one-out; Kool, van Hoof and Welling 2019) repairs even that. For the reward-to-go one subtracts, at each step $t$, the average of $R_t$ over the other episodes that
# still run then; the argument is the same. To check it we list every *batch* of $N$ episodes, here of two steps
# ([`batch_mean`](../rlcourse/equations/policy_gradient.py), [`leave_one_out`](../rlcourse/equations/policy_gradient.py)).

# %%
from rlcourse.equations.policy_gradient import batch_mean, leave_one_out

short_gradient = gradient_by_autograd(rooms, logits, 2).flatten()
for size in (2, 3):
    batches = every_batch(rooms, logits, 2, size)
    weight = discounted_return(batches.reward, batches.terminated, batches.truncated)
    print(f"N = {size}, {len(batches.prob):,} batches")
    for name, baseline in (("none", 0.0), ("batch mean", batch_mean(weight)), ("leave-one-out", leave_one_out(weight))):
        expected, spread = moments(batches.prob, gradient_estimate(batches.score, weight - baseline))
        print(f"   {name:14} {float(expected @ short_gradient / short_gradient.square().sum()):.3f} ∇J, "
              f"variance {float(spread.trace()):.2f}")

# %% [markdown]
# Do not be taken in by the batch mean's small variance: it is leave-one-out, shortened by $1 - 1/N$ (with $N = 2$ a half of the length, a quarter of the variance). And with so few episodes the
# "average of the others" is so noisy itself that it brings more noise than it removes. As $N$ grows it settles down, and the next section shows what it is worth then.
#
# ### The best constant
#
# Which constant makes the variance smallest? Take component $p$ of the gradient, with $g_p$ the component of the episode's score. The mean does not
# depend on $b$, so only the second moment has to be minimised:
#
# $$\frac{\partial}{\partial b}\, \mathbb E\big[g_p^2 (R - b)^2\big] = -2\, \mathbb E\big[g_p^2 (R - b)\big] = 0
#   \quad\Longrightarrow\quad b_p^\star = \frac{\mathbb E[g_p^2\, R]}{\mathbb E[g_p^2]} .$$
#
# It is an average return, but weighted by the squared score, and there is one for every component of the gradient (Greensmith, Bartlett and Baxter 2004; Peters and Schaal 2008). One often reads that the best baseline is the average
# return (Weaver and Tao 2001 prove it in the limit of another problem), or that it depends on the trajectory. In general it is not, and it does not. For the reward-to-go the formula is different,
# $b_p^\star = \mathbb E\big[(\sum_t g_{t,p} R_t)(\sum_t g_{t,p})\big] / \mathbb E\big[(\sum_t g_{t,p})^2\big]$, by the same calculation.
#
# One also reads that any baseline helps. It does not, not even the average. The smallest example has one state and two arms that pay 0 and 1, the
# second drawn with probability ¾ ([`optimal_baseline`](../rlcourse/equations/policy_gradient.py),
# [`optimal_reward_to_go_baseline`](../rlcourse/equations/policy_gradient.py)).

# %%
from rlcourse.equations.policy_gradient import optimal_baseline, optimal_reward_to_go_baseline

arms = TabularMDP(torch.ones(1, 2, 1, dtype=torch.float64), torch.tensor([[0.0, 1.0]], dtype=torch.float64),
                  torch.ones(1, dtype=torch.float64))
pulls = every_batch(arms, torch.tensor([[0.25, 0.75]], dtype=torch.float64).log(), 1)
best = float(optimal_baseline(pulls.score[0, :, 0], pulls.reward[0, :, 0], pulls.prob)[0])
for name, baseline in (("none", 0.0), ("average reward", 0.75), ("best", best)):
    _, spread = moments(pulls.prob, gradient_estimate(pulls.score, pulls.reward - baseline))
    print(f"two arms, b = {baseline:.2f} ({name}): variance {float(spread.trace()):.4f}")

of_total = optimal_baseline(every.score.sum(0)[:, 0], total[0, :, 0], every.prob)
of_to_go = optimal_reward_to_go_baseline(every.score[:, :, 0], to_go[:, :, 0], every.prob)
for name, baseline in (("the total return's b* ", of_total), ("its own b*            ", of_to_go)):
    # One baseline for each component: the weights differ by component too.
    by_component = (every.score * (to_go[..., None] - baseline)).sum(0)[:, 0]
    print(f"two rooms, reward-to-go with {name}: variance {float(moments(every.prob, by_component)[1].trace()):.3f}")
swapped_odds = torch.softmax(logits, -1).flip(-1)  # π(the other action | s)
of_state = (swapped_odds * q_values).sum(-1)[time, state]
report("to-go − best b(s)", to_go - of_state)
report("Q − best b(s)", q_values[time, state, action] - of_state)

# %% [markdown]
# At the best constant the two-armed estimate has *no variance at all*: whichever arm is drawn, the estimate is the gradient. The exercise asks you
# to find out why. In the rooms no constant can compete with $V(s)$: one number cannot do what a function can.
#
# The last two lines do the same calculation state by state, $b^\star(s) = \mathbb E[\|g\|^2 Q \mid s] / \mathbb E[\|g\|^2 \mid s]$ for a single step with score $g$. With two actions this is
# $\sum_a \pi(\text{the other action} \mid s)\, Q(s, a)$: the odds are exchanged, as in the two arms. It is a little better than $V(s)$ with a sampled future, and clearly better with an exact one. What is then left is the luck of which states were visited.
# In practice one stays with $V(s)$, which can be learned by regression and has many other uses.
#
# From here on $\Psi_t$ stands for any of these weights: $R(\tau)$, $R_t$, $R_t - b$, $Q_t - V_t$.
#
# **Where this breaks.** As soon as an episode contributes to its own baseline, the baseline depends on the actions, and a bias of order $1/N$ comes back. It is small, and usually accepted.

# %% [markdown]
# ## P5 Variance, measured
#
# How many episodes does one need, and what is each of these ideas worth in episodes? Each dot below is one estimate of the gradient, from a batch of $N$ episodes; the arrow is the exact gradient, and its length is the unit. The dashed ellipse is one standard deviation
# around the exact mean of the estimate, the cross. The axes are the two numbers that matter, as in the landscape above.
#
# (The widget is [`gradient_cloud`](../rlcourse/widgets/app/gradient_cloud.py); its numbers come from
# [`compute`](../rlcourse/widgets/models/gradient_cloud.py).)

# %%
from rlcourse.widgets.app.gradient_cloud import gradient_cloud

gradient_cloud()

# %% [markdown]
# **What to notice.**
#
# 1. Go through the *weights*. The arrow does not change, and for all but one of them the cross sits on its tip: they estimate the same thing. The ellipse is what each of them costs.
# 2. Move the *batch*. Four times the episodes halve the ellipse, whatever the weight (for leave-one-out, once $N$ is not tiny). That is the expensive way. At $T = 30$, eight episodes with the leave-one-out baseline scatter less than 128
#    with the total return.
# 3. Choose the *batch average* and $N = 2$: the cross is half-way to the tip. Leave-one-out stretches the same cloud by $N/(N-1)$, and exactly the same estimates point uphill.
# 4. Move the *horizon*. The unit grows with the gradient, so the arrow stays. With the total return the cloud grows even in this unit; with the exact advantage it shrinks.
#
# The last point deserves a prediction. In these rooms, whose states mix within a few steps, the gradient soon grows like $T$: there are $T$ decisions to improve. And the noise?
#
# - **Total return.** The sum of $T$ scores spreads like $\sqrt T$, and is multiplied by a return of order $T$: together $T^{3/2}$. Relative to the gradient it should grow like $T^{+1/2}$.
# - **Reward-to-go.** The same exponent, with a smaller factor.
# - **With $V(s)$ subtracted** a weight is no longer as large as the reward to come, but as its scatter, $\sqrt T$. The noise grows like $T$, and the ratio should become constant.
# - **With the advantage** the weights do not grow at all: noise $\sqrt T$, ratio $T^{-1/2}$. Long episodes are an asset.
#
# No list of episodes can check that ($4^{30}$ would be a long one), but the moments can be carried forward step by step. In [`episode_moments`](../rlcourse/exact/gradient_moments.py) the weight of an action
# is split into the *earlier* rewards, its *own* (from which a baseline may be subtracted), and the *later* ones (figure: [`curves`](../rlcourse/plots/curves.py)).

# %%
from rlcourse.exact.gradient_moments import episode_moments
from rlcourse.plots.curves import curves

horizons = (1, 2, 4, 8, 16, 32, 64, 128)
noise = {name: [] for name in ("total return", "reward-to-go", "to-go − V(s)", "advantage")}
for horizon in horizons:
    value, q_value = finite_horizon_values(rooms, torch.softmax(logits, -1), horizon)
    here = value[:-1, :, None]  # [T, S, 1]
    for name, options in (("total return", {"earlier": True}), ("reward-to-go", {}),
                          ("to-go − V(s)", {"own_weight": rooms.reward_table - here}),
                          ("advantage", {"own_weight": q_value - here, "later": False})):
        slope, spread = episode_moments(rooms, logits, horizon, **options)
        noise[name].append(float(spread.trace().sqrt() / slope.norm()))
print("exponent of noise / gradient:  predicted   T = 16 to 32   T = 64 to 128")
for (name, ratio), predicted in zip(noise.items(), (0.5, 0.5, 0.0, -0.5)):
    print(f"  {name:28} {predicted:+.2f}       {np.log2(ratio[5] / ratio[4]):+.2f}          {np.log2(ratio[7] / ratio[6]):+.2f}")
curves({name: (horizons, ratio) for name, ratio in noise.items()}, log="xy", xlabel="horizon T",
       title="Noise of one episode's estimate, in lengths of the gradient (exact)", ylabel="noise / gradient")

# %% [markdown]
# The prediction holds, the sooner the less is left of the start: at $T = 32$ the first two are still on their way to ½.
#
# **Where this breaks.** The last two curves need values that nobody gives us. With learned ones there is a bias, and its trade against this noise is lecture 04.

# %% [markdown]
# ## P6 Old and borrowed episodes
#
# REINFORCE throws its episodes away after one step: they were drawn from a policy that is no longer there. Could they be used again? More
# generally, can episodes of a **behaviour policy** $\beta$ say something about the gradient of another policy $\pi_\theta$?
#
# In principle, yes. For any function of the trajectory, if $\beta$ can take every action that $\pi_\theta$ can,
#
# $$\mathbb E_{\tau \sim p_\theta}[f(\tau)] = \sum_\tau p_\beta(\tau)\, \frac{p_\theta(\tau)}{p_\beta(\tau)}\, f(\tau)
#   = \mathbb E_{\tau \sim p_\beta}\Big[\prod_{t=0}^{T-1} \rho_t \; f(\tau)\Big], \qquad
#   \rho_t = \frac{\pi_\theta(a_t \mid s_t)}{\beta(a_t \mid s_t)} .$$
#
# Again the dynamics drop out, now from the ratio. Put the bracket of (P1) in the place of $f$, and we have an unbiased gradient from
# $\beta$'s episodes. As in P3, a part of it is useless. Take the term $\nabla \log \pi_\theta(a_t \mid s_t)\, r_{t'}$. Ratios *after* $t'$ average to one,
# whatever has happened before:
#
# $$\mathbb E_\beta[\rho_k \mid h_k] = \sum_a \beta(a \mid s_k) \frac{\pi_\theta(a \mid s_k)}{\beta(a \mid s_k)}
#   = \sum_a \pi_\theta(a \mid s_k) = 1 .$$
#
# And a reward *before* $t$ adds nothing: $\mathbb E_\beta[\rho_t \nabla \log \pi_\theta(a_t \mid s_t) \mid h_t] = \mathbb E_{a \sim \pi_\theta}[\nabla \log \pi_\theta(a \mid s_t)] = 0$,
# which is (S). What is left, with the product split at $t$, is the **causal form**:
#
# $$\nabla J(\theta) = \mathbb E_{\beta}\Big[\sum_t \nabla \log \pi_\theta(a_t \mid s_t)\,
#   \underbrace{\prod_{k=0}^{t} \rho_k}_{\text{how much likelier we are to get here and do this}}\;
#   \sum_{t' \ge t} r_{t'} \underbrace{\prod_{k=t+1}^{t'} \rho_k}_{\text{and this to come of it}}\Big]. \tag{P6}$$
#
# Two slips are common here, and both run without an error message. One begins the inner product at $k = t$, and counts
# $\rho_t$ twice. The other drops the inner product as negligible. What is left then is
# $\mathbb E_{\pi_\theta}[\nabla \log \pi_\theta\, Q^\beta]$: the states are ours, the future is $\beta$'s. That is a step of policy iteration, and not the gradient.
# One may also drop more, on purpose, and keep only the one ratio $\rho_t$ at each step: cheap, quiet, and biased; we come back to it.
# The table shows all of these, exactly, with the rooms' policy learning from the episodes of another one, [`behaviour_logits`](../rlcourse/envs/two_rooms.py).
#
# *Read the code:* [`importance_ratio`](../rlcourse/equations/importance.py), and the weights
# [`trajectory_weight`](../rlcourse/equations/importance.py), [`causal_weight`](../rlcourse/equations/importance.py),
# [`past_only_weight`](../rlcourse/equations/importance.py), [`single_ratio_weight`](../rlcourse/equations/importance.py),
# [`trajectory_ratio`](../rlcourse/equations/importance.py), [`past_ratio`](../rlcourse/equations/importance.py),
# [`corrected_reward_to_go`](../rlcourse/equations/importance.py).

# %%
from rlcourse.envs.two_rooms import behaviour_logits
from rlcourse.equations.importance import (causal_weight, corrected_reward_to_go, importance_ratio, past_only_weight,
                                           past_ratio, single_ratio_weight, trajectory_ratio, trajectory_weight)

old_logits = behaviour_logits()
others = every_batch(rooms, logits, HORIZON, behaviour_logits=old_logits)
other_ends = others.terminated, others.truncated
ratio = importance_ratio(others.log_prob, others.behaviour_log_prob)

report("no correction", reward_to_go(others.reward, *other_ends), others)
report("whole product on everything", trajectory_weight(others.reward, ratio, *other_ends), others)
report("causal form (P6)", causal_weight(others.reward, ratio, *other_ends), others)
twice = past_ratio(ratio, *other_ends) * ratio * corrected_reward_to_go(others.reward, ratio, *other_ends)
report("ρ_t counted twice: wrong", twice, others)
report("future ratios dropped", past_only_weight(others.reward, ratio, *other_ends), others)
report("one ratio per step", single_ratio_weight(others.reward, ratio, *other_ends), others)

# %% [markdown]
# Read the last column with care. It speaks of single episodes, and an estimate with large weights may be wrong most of the time and very right rarely. Whether it is *unbiased* is
# decided by its mean.
#
# Without correction the mean points *downhill*. Not because the two policies want different things: their true gradients nearly agree. But under $\beta$'s actions *our* score no longer averages to zero, so that
# every positive return pulls us towards $\beta$: the noise level of P4 has become a bias. The product and the causal form are right, and the second is less noisy. But look at the noise, after three steps.
#
# ### Why the product is hopeless for long episodes
#
# The weights $w_T = \prod_{t<T} \rho_t$ have mean 1, for every horizon. What is their variance? Suppose that the policies differ in every state, so that the variance of $\rho$ is at least some $c > 0$ there and
# $\mathbb E_\beta[\rho^2 \mid s] \ge 1 + c$. Then one more step gives
# $\mathbb E_\beta[w_t^2 \rho_t^2] = \mathbb E_\beta\big[w_t^2\, \mathbb E_\beta[\rho_t^2 \mid s_t]\big] \ge (1 + c)\, \mathbb E_\beta[w_t^2]$, so that $\mathbb E_\beta[w_T^2] \ge (1 + c)^T$: **exponential in the horizon**, however small $c$ is.
#
# Of $N$ episodes only about $N / \mathbb E[w^2]$ count, the **effective sample size**, estimated by $(\sum_i w_i)^2 / \sum_i w_i^2$ (Kong 1992). If $M$ of the weights are equal and the others zero, this is $M$.

# %%
print(" T   mean of w   E w²    factor   of 1000 episodes count")
before = 1.0
for horizon in range(1, 8):
    batches = every_batch(rooms, logits, horizon, behaviour_logits=old_logits)
    weight = trajectory_ratio(importance_ratio(batches.log_prob, batches.behaviour_log_prob),
                              batches.terminated, batches.truncated)[0, :, 0]
    second = float(batches.prob @ weight.square())
    print(f"{horizon:2}   {float(batches.prob @ weight):.6f}  {second:6.2f}   × {second / before:.3f}   {1000 / second:6.0f}")
    before = second

# %% [markdown]
# The factor hardly changes from step to step, so that each step costs nearly a third of the sample. In the widget you can move the policies together and the horizon
# out ([`importance_weights`](../rlcourse/widgets/app/importance_weights.py), with numbers from
# [`compute`](../rlcourse/widgets/models/importance_weights.py)).

# %%
from rlcourse.widgets.app.importance_weights import importance_weights

importance_weights()

# %% [markdown]
# **What to notice.**
#
# 1. The weights start together at 1 and fan out (the axis is squeezed at both ends, so that everything fits). The logarithm of a weight is a random walk with a drift *downwards*: nearly every episode becomes irrelevant, and a few carry everything.
# 2. Move the *horizon*. What one more step costs is a *share* of the episodes, not a number of them: that is what "exponential" means. So ten times the data buy a fixed number of steps, ten at the distance $d = 0.75$ of the start, six at $d = 1$.
# 3. Follow the sampled effective sample size to where the exact one falls below one episode (0.1 % of 1000). It does not fall with it: it is computed from the weights that were drawn, and those that matter were not drawn. It looks good *because* the sample is bad.
#    The mean of the weights, which should be 1, gives it away, but late: 0.4 at $T = 50$, less than 0.1 at $T = 100$.
# 4. On the right, the error of the gradient. Single ratios have a bias that, measured by the gradient, hardly changes beyond five steps, and a noise that grows slowly. The product has no bias and a noise that explodes. In these rooms, for any two different policies and any number of
#    episodes, there is a horizon beyond which being a little wrong is better. (The exploding curve is a root mean square, carried by rare heavy episodes. A typical sample without them errs towards zero instead.)

# %% [markdown]
# ### One ratio per step, and what it is good for
#
# The last line of the table keeps only $\rho_t$. When is its bias small? Let $\epsilon$ be the largest total variation
# between $\pi_\theta(\cdot \mid s)$ and $\beta(\cdot \mid s)$ in any state. Two things were dropped.
#
# *The ratios before $t$* turn $\beta$'s states into ours. In lecture 02 learner and expert were coupled: they used the same noise until their actions first differed. The same works for any two policies, whose actions can be drawn so
# that they differ with probability at most $\epsilon$ in every state. So their state distributions are at most $\epsilon t$ apart in total variation, that is
#
# $$\sum_s \big|p_\theta(s_t = s) - p_\beta(s_t = s)\big| \le 2 \epsilon t .$$
#
# *The ratios after $t$* turn $Q^\beta$ into $Q^{\pi_\theta}$, and these are closer, too, the smaller $\epsilon$ is.
#
# What is left is an honest gradient of something else: of the **local objective**
# $L(\theta) = \sum_t \mathbb E_{s_t \sim \beta}\, \mathbb E_{a \sim \pi_\theta}[A^\beta_t(s_t, a)]$, where $A = Q - V$ (with $Q^\beta$ in place of $A^\beta$ the gradient
# is the same, by (S)). For $\nabla_\theta\, \mathbb E_{a \sim \pi_\theta}[Q^\beta] = \mathbb E_{a \sim \beta}[\rho\, \nabla \log \pi_\theta\, Q^\beta]$, with the states left as they are. By the performance-difference lemma (F7) the truth is the same expression with *our* states,
#
# $$J(\theta) - J(\beta) = \sum_t \mathbb E_{s_t \sim \pi_\theta}\, \mathbb E_{a \sim \pi_\theta}\big[A^\beta_t(s_t, a)\big] .$$
#
# The two differ only in the states, by at most $2\epsilon t$ in L1; and since $\mathbb E_{a \sim \beta}[A^\beta] = 0$, the inner expectation is itself at most $\big|\sum_a (\pi_\theta - \beta) A^\beta\big| \le 2 \epsilon \max |A^\beta|$. So $L$ is wrong
# by at most $\sum_t 4 \epsilon^2 t \max|A^\beta|$: of *second* order in $\epsilon$. Its error is a smooth function of $\theta$ that vanishes to second order at $\beta$, so the slope of the error vanishes to first. Halve the distance of the policies, and the error of $L$ should fall to a quarter, that of the gradient to a half
# ([`local_advantage`](../rlcourse/exact/policy_gradient.py)).

# %%
from rlcourse.exact.policy_gradient import local_advantage

old_policy, errors = torch.softmax(old_logits, -1), []
print("share of the way    error of L    error of its gradient")
for share in (0.04, 0.02, 0.01):
    near = old_logits + share * (logits - old_logits)
    batches = every_batch(rooms, near, HORIZON, behaviour_logits=old_logits)
    weight = single_ratio_weight(batches.reward, importance_ratio(batches.log_prob, batches.behaviour_log_prob),
                                 batches.terminated, batches.truncated)
    expected, _ = moments(batches.prob, gradient_estimate(batches.score, weight))
    truth = objective(rooms, near, HORIZON) - objective(rooms, old_logits, HORIZON)
    promise = local_advantage(rooms, torch.softmax(near, -1), old_policy, HORIZON)
    errors.append((float((promise - truth).abs()),
                   float((expected - gradient_by_autograd(rooms, near, HORIZON).flatten()).norm())))
    print(f"{share:16.2f}    {errors[-1][0]:.2e}      {errors[-1][1]:.2e}")
for (wide, wide_slope), (narrow, narrow_slope) in zip(errors, errors[1:]):
    print(f"half the distance: error of L × {narrow / wide:.2f}, of the gradient × {narrow_slope / wide_slope:.2f}")

# %% [markdown]
# That settles how far old episodes can be trusted: not far, but not nowhere. Near the policy that collected them, one ratio per step is enough. P9 makes an algorithm of it.

# %% [markdown]
# ## P7 The loss whose gradient it is
#
# How does all this become code that a network can be trained with? Automatic differentiation wants a number to differentiate, and $\hat g$ is not the derivative of the average return of a batch: the
# rewards, as data, do not depend on $\theta$. So one builds a number whose gradient is right, the **surrogate loss**
#
# $$\ell(\theta) = -\frac1N \sum_i \sum_t \log \pi_\theta(a_t^i \mid s_t^i)\; \Psi_t^i, \qquad
#   \nabla \ell = -\hat g \quad\text{with the weights } \Psi \text{ held fixed.}$$
#
# It is the cross-entropy of cloning with weights. Two warnings. Its *value* means nothing: it can rise while the policy improves. And its gradient is the policy gradient only *at the
# policy that drew the actions*; after one step the data are old (P6).
#
# *Read the code:* [`surrogate_loss`](../rlcourse/equations/policy_gradient.py).

# %%
from rlcourse.equations.policy_gradient import surrogate_loss

drawn = torch.multinomial(every.prob, 16, replacement=True, generator=generator(0, "a batch"))
seen, done, weight = every.state[:-1, drawn, 0], every.action[:, drawn, 0], to_go[:, drawn, 0]  # each [T, N]
theta = logits.clone().requires_grad_()
log_prob = torch.log_softmax(theta, -1)[seen, done]
loss = surrogate_loss(log_prob, weight).sum(0).mean()  # a sum over time, a mean over episodes
loss.backward()
by_hand = gradient_estimate(every.score[:, drawn, 0], weight)
print("gradient of the loss is minus the estimate:", torch.allclose(theta.grad.flatten(), -by_hand))

# %% [markdown]
# For **continuous actions** nothing changes but the density. A Gaussian policy draws $a \sim \mathcal N(\mu_\theta(s), \sigma^2)$, and its score follows from
# $\log \pi = -\log \sigma - (a - \mu)^2 / 2\sigma^2 + \text{const}$:
#
# $$\frac{\partial \log \pi}{\partial \mu} = \frac{a - \mu}{\sigma^2}, \qquad
#   \frac{\partial \log \pi}{\partial \log \sigma} = \frac{(a - \mu)^2}{\sigma^2} - 1 .$$
#
# Read them as advice: if an action turned out well, move the mean towards it, and widen the distribution if it was further out than one $\sigma$. Since $a - \mu$ is of the order of $\sigma$, the
# first is of the order of $1/\sigma$: the surer the policy, the larger the score of its mean. The same factor returns in P9.
#
# The library's policies put a network in the place of the table: a head for discrete actions
# ([`CategoricalHead`](../rlcourse/nets/heads_categorical.py)) or for continuous ones ([`GaussianHead`](../rlcourse/nets/heads_gaussian.py)), carried by a
# [`Policy`](../rlcourse/nets/policies.py).
#
# ### A bug that runs
#
# Critics like to return `[B, 1]`, and log-probabilities are `[B]`. Their product is a *matrix*, every log-probability times every weight, and its mean is
# $\overline{\log \pi} \cdot \overline{\Psi}$, a product of means: no action is connected with its own consequences any more. No error, no warning. Worse, if the
# weights were normalised to mean zero, the gradient is exactly zero.

# %%
flat_weight = weight.flatten()  # [B]: all steps of all episodes
for name, answer in (("reward-to-go", flat_weight), ("reward-to-go, normalised", flat_weight - flat_weight.mean())):
    slopes = {}
    for shape, column in (("[B]", answer), ("[B, 1]", answer[:, None])):
        theta = logits.clone().requires_grad_()
        product = torch.log_softmax(theta, -1)[seen.flatten(), done.flatten()] * column
        slopes[shape], = torch.autograd.grad(product.mean(), theta)
    print(f"{name}: with [B] the gradient has length {float(slopes['[B]'].norm()):.3f}, "
          f"with [B, 1] {float(slopes['[B, 1]'].norm()):.3f}")

# %% [markdown]
# The library's [`surrogate_loss`](../rlcourse/equations/policy_gradient.py) refuses shapes that do not agree.

# %% [markdown]
# ## P8 Two ways to discount
#
# Long episodes need a discount, if only because the reward-to-go of a thousand steps is mostly noise. Where does $\gamma$ go in (P3)? There are two ways. Option 1 puts it into the reward-to-go and leaves it at that. Option 2 takes
# $J_\gamma = \mathbb E \sum_t \gamma^t r_t$ at its word and differentiates it: the rewards are $\gamma^{t'} r_{t'} = \gamma^t \gamma^{t'-t} r_{t'}$, and a factor $\gamma^t$ stays outside.
#
# $$\text{option 1:}\quad \mathbb E\Big[\sum_t \nabla \log \pi_\theta(a_t \mid s_t) \sum_{t' \ge t} \gamma^{t'-t} r_{t'}\Big],$$
#
# $$\text{option 2:}\quad \nabla J_\gamma = \mathbb E\Big[\sum_t \gamma^t\; \nabla \log \pi_\theta(a_t \mid s_t) \sum_{t' \ge t} \gamma^{t'-t} r_{t'}\Big].$$
#
# Option 2 is the gradient, and hardly anybody uses it. Its factor $\gamma^t$ says that what the policy does late does not matter: with $\gamma = 0.99$ step 500 of an episode would be learned at
# $0.7\,\%$ of the speed of the first. What we want is usually a policy that is good at every step, and the discount is there only to shorten the view. So one uses option 1. What is it the gradient of?
#
# *In general, of nothing* (Nota and Thomas 2020; Thomas 2014 had found the missing factor). The gradient of a function has a symmetric Jacobian, because second derivatives commute. Option 1's is not symmetric
# ([`gradient_by_theorem`](../rlcourse/exact/policy_gradient.py) gives both options exactly, from the policy gradient theorem; [`discount_weight`](../rlcourse/equations/policy_gradient.py) is the estimate's weight).

# %%
from rlcourse.equations.policy_gradient import discount_weight
from rlcourse.exact.policy_gradient import gradient_by_theorem

exact_slope = gradient_by_autograd(rooms, logits, HORIZON, discount=0.9).flatten()
for option in (1, 2):
    weight = discount_weight(every.reward, *ends, discount=0.9, option=option)
    expected, _ = moments(every.prob, gradient_estimate(every.score, weight))
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: gradient_by_theorem(rooms, flat.reshape(2, 2), HORIZON, 0.9, option).flatten(), logits.flatten())
    print(f"option {option}: distance from ∇J_γ {float((expected - exact_slope).norm() / exact_slope.norm()):.1%} of its length, "
          f"asymmetry of the Jacobian {float((jacobian - jacobian.T).abs().max()):.4f}")

# %% [markdown]
# In these rooms the two differ by a tenth. Can the difference be serious? Take the two states of P3 that are passed one after the other, and $\gamma = \tfrac12$. In the first, action 1 earns 3; in the second, action *0* earns 4. A single number $\theta$
# prefers action 1 in both. At $\theta = 0$ the first pulls $\theta$ up with a force of $3 \cdot \frac14$ (the ¼ is $\pi(1 - \pi)$), and the second pulls it down with $4 \cdot \frac14$, times $\gamma = \tfrac12$ for coming second. Option 1 forgets this half: $\frac34 - 1$ instead of $\frac34 - \frac12$.

# %%
corridor = TabularMDP(passing, torch.tensor([[0.0, 3.0], [4.0, 0.0]], dtype=torch.float64),
                      torch.tensor([1.0, 0.0], dtype=torch.float64))
prefers = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)  # ∂ logits / ∂θ
for option in (1, 2):
    slope = gradient_by_theorem(corridor, torch.zeros(2, 2, dtype=torch.float64), 2, 0.5, option)
    print(f"option {option}: {float((slope * prefers).sum()):+.2f}")

# %% [markdown]
# Following option 1 makes $J_\gamma$ *worse*. It makes the undiscounted $J$ better ($3$ against $4$: down is right for it), and mostly that is what one wanted. There are problems in which it ends at a policy that is bad for both (Nota and Thomas 2020). Use option 1, and do not call it the gradient of $J_\gamma$.

# %% [markdown]
# ## P9 How far a step may go
#
# We know which way is up. How far should we go? Here policy gradients differ from supervised learning in a way that hurts: *the next data come from the next policy*. Too long a step, and the policy is
# ruined together with its data. Too short a step, and nothing happens. And the length of a step in $\theta$ says little about how much the policy changes.
#
# Two rooms again, at a point where the policy has become rather sure of the wrong thing, to rest everywhere.

# %%
for preference in (0.0, -2.0, -4.0, -6.0):
    lazy = torch.tensor([[0.0, preference]] * 2, dtype=torch.float64)
    print(f"preference {preference:4.1f}: π(work) = {float(torch.softmax(lazy[0], -1)[1]):.3f}, "
          f"‖∇J‖ = {float(gradient_by_autograd(rooms, lazy, HORIZON).norm()):.3f}")

# %% [markdown]
# The surer the policy, the smaller the gradient: it carries a factor $\pi(1 - \pi)$, the derivative of the softmax, and the slope has become a plateau. Nothing is wrong with the policy. The *coordinates* are stretched there: a unit of $\theta$
# means almost nothing.
#
# ### The ruler: KL divergence and the Fisher matrix
#
# Let the length of a step be the change that it makes in the *distribution* over actions, measured by the KL divergence from the old policy to the new one (in nats, its unit with natural logarithms), averaged over the states that the policy visits. For a small step $d$,
#
# $$\mathbb E_s\big[\mathrm{KL}(\pi_\theta(\cdot \mid s) \,\|\, \pi_{\theta + d}(\cdot \mid s))\big] = \tfrac12\, d^\top F d + O(\|d\|^3), \qquad
#   F = \mathbb E_{s}\, \mathbb E_{a \sim \pi_\theta}\big[\nabla \log \pi_\theta\, \nabla \log \pi_\theta^\top\big],$$
#
# *because* $\mathrm{KL} = \mathbb E[\log \pi_\theta - \log \pi_{\theta+d}]$, and Taylor's expansion of $\log \pi_{\theta + d}$ has the first-order term $\mathbb E[\nabla \log \pi_\theta]^\top d$, which is zero by (S), and the second-order term
# $\frac12 d^\top \mathbb E[\nabla^2 \log \pi_\theta]\, d$. Differentiate (S) once more: $0 = \nabla \sum_a \pi \nabla \log \pi = \mathbb E[\nabla \log \pi\, \nabla \log \pi^\top] + \mathbb E[\nabla^2 \log \pi]$. So the second derivative is $-F$ on average, and the minus in the KL turns it into $+\frac12 d^\top F d$.
# $F$ is the **Fisher matrix**.
#
# For a Gaussian with $\theta = (\mu, \log \sigma)$ it is $\mathrm{diag}(1/\sigma^2,\, 2)$. Three ways to it that share no code: the closed form
# ([`gaussian_fisher`](../rlcourse/equations/natural_gradient.py)), the second derivative of the divergence ([`gaussian_kl`](../rlcourse/equations/natural_gradient.py)), and the mean of
# squared scores over many draws.

# %%
from rlcourse.equations.natural_gradient import gaussian_fisher, gaussian_kl

mean, log_std = torch.tensor([0.3], dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)
hessian = torch.autograd.functional.hessian(lambda moved: gaussian_kl(mean, log_std, moved[:1], moved[1:]).sum(),
                                            torch.cat([mean, log_std]))
z = torch.randn(200_000, generator=generator(0, "actions"), dtype=torch.float64)
scores = torch.stack([z / log_std.exp(), z ** 2 - 1], -1)
print("                 1,1     1,2     2,2")
for name, matrix in (("closed form", gaussian_fisher(log_std)), ("Hessian of KL", hessian), ("scores", scores.T @ scores / len(z))):
    print(f"{name:14} ", "  ".join(f"{x:6.2f}" for x in (matrix[0, 0], matrix[0, 1].abs(), matrix[1, 1])))

# %% [markdown]
# ### The natural gradient
#
# The steepest direction is the one that gains most *per length of step*. With the new ruler: maximise $g^\top d$ subject to $\frac12 d^\top F d \le \delta$, where $g = \nabla J$. At the optimum $g = \lambda F d$ for a
# multiplier $\lambda > 0$, so $d$ is proportional to $F^{-1} g$, and the constraint fixes the length:
#
# $$d = \sqrt{\frac{2\delta}{g^\top F^{-1} g}}\; F^{-1} g . \tag{P9}$$
#
# $F^{-1} g$ is the **natural gradient** (Amari 1998; Kakade 2001), and the plain $g$ is called *vanilla*. Its direction does not depend on how the policy was written down. Let $\theta = \theta(\varphi)$ with an invertible Jacobian $B$. Then $g_\varphi = B^\top g$ and
# $F_\varphi = B^\top F B$, so $F_\varphi^{-1} g_\varphi = B^{-1} F^{-1} g$, and this step in $\varphi$ moves $\theta$ by $B\, B^{-1} F^{-1} g = F^{-1} g$, the same to first order. The vanilla gradient moves it by $B B^\top g$: measure one parameter in other
# units, and it goes elsewhere. (Where $F$ is singular, as for our softmax, where only differences matter, one takes the shortest solution.)
#
# Back on the plateau, what does it do? ([`natural_gradient`](../rlcourse/equations/natural_gradient.py), [`softmax_fisher`](../rlcourse/exact/policy_gradient.py))

# %%
from rlcourse.equations.natural_gradient import natural_gradient
from rlcourse.exact.policy_gradient import softmax_fisher

for preference in (0.0, -2.0, -4.0, -6.0):
    lazy = torch.tensor([[0.0, preference]] * 2, dtype=torch.float64)
    slope = gradient_by_autograd(rooms, lazy, HORIZON)
    natural = natural_gradient(softmax_fisher(rooms, lazy, HORIZON), slope.flatten()).reshape(2, 2)
    length = (2 * 0.02 / (slope * natural).sum()).sqrt()  # (P9) with δ = 0.02 nats
    print(f"preference {preference:4.1f}: a step of 0.02 nats moves the preferences by "
          f"{float(length * (natural[0, 1] - natural[0, 0])):5.2f} and {float(length * (natural[1, 1] - natural[1, 0])):5.2f}, and gains "
          f"{float(objective(rooms, lazy + length * natural, HORIZON) - objective(rooms, lazy, HORIZON)):.3f}")

# %% [markdown]
# The surer the policy, the longer the step in $\theta$, and the plateau is gone: a step gains about as much wherever the policy stands, while the vanilla gradient shrank two-hundred-fold. (At $-6$ the step is so long that the quadratic formula no longer measures its KL. Whoever takes such steps has to check, and TRPO, below, does.)
#
# To see how the two *directions* differ we take the smallest control problem with a continuous action: $s_{t+1} = s_t + a_t$ with reward $-s_t^2 - a_t^2$
# ([`LinearGain`](../rlcourse/envs/linear_gain.py)), and a policy with two parameters, the *gain* $k$ and the noise: $a \sim \mathcal N(k s, \sigma^2)$. Objective, gradient and Fisher matrix are
# known in closed form. The widget shows the two fields of arrows ([`arrow_field`](../rlcourse/widgets/app/arrow_field.py), with numbers from [`compute`](../rlcourse/widgets/models/arrow_field.py)).

# %%
from rlcourse.widgets.app.arrow_field import arrow_field

arrow_field()

# %% [markdown]
# **What to notice.**
#
# 1. Lower *σ* at the start: the vanilla arrow turns until it lies along the axis of the gain. $\partial J / \partial \log \sigma$ shrinks like $\sigma^2$ and $\partial J / \partial k$ does not. This is **ill-conditioning**: one number for the step size, two parameters
#    that need very different ones. The natural arrow stands at the same angle for every $\sigma$ (exactly so here, where episodes never end).
# 2. Change the *parameters* to $k/10$ or $10k$. The policies are the same ones, and the vanilla path becomes another; the natural path stays where it is.
# 3. Take $\sigma$ itself as a parameter, and start at 0.3: now the vanilla step shrinks the noise first, and takes much longer to find the gain.
# 4. All steps have the same length in nats. So what you see is the difference in *direction* alone. The natural direction is the steepest for one small step, not the best for many: from $\sigma = 0.03$ the vanilla path is ahead for a while. It pays later.
#
# Does it survive sampling? Eight learners with each direction take 25 steps of the same length in nats from $k = -0.2$, $\sigma = 0.37$, with 16 episodes per step, once with $k$ as the parameter and once with $k/10$
# ([`natural_gradient`](../rlcourse/algorithms/natural_gradient.py) is the learner, with the Fisher matrix from the same episodes; [`LinearGaussianHead`](../rlcourse/nets/heads_linear_gaussian.py) is the policy, [`DynamicsSource`](../rlcourse/data/sources.py) plays its episodes side by side;
# [`linear_gain`](../rlcourse/exact/linear_gain.py) knows the exact $J$, [`mean_interval`](../rlcourse/results/intervals.py) gives Student's interval).

# %%
from rlcourse.algorithms import natural_gradient as ascent
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.linear_gain import LinearGain
from rlcourse.exact import linear_gain
from rlcourse.nets.heads_linear_gaussian import LinearGaussianHead
from rlcourse.nets.policies import Policy
from rlcourse.results.intervals import mean_interval

steering, length = LinearGain(start_low=1.0, horizon=8), {"discount": 0.9, "horizon": 8}  # every episode starts at s = 1
gains = torch.linspace(-0.9, -0.3, 601, dtype=torch.float64)
best = linear_gain.objective(gains, torch.full_like(gains, -30.0), **length).max()  # log σ = −30: no noise at all
begin = linear_gain.objective(*torch.tensor([[-0.2], [-1.0]], dtype=torch.float64), **length)
print(f"at the start J is {float(best - begin):.3f} below the best")
for unit in (1.0, 10.0):
    for direction in ("vanilla", "natural"):
        policy = Policy(LinearGaussianHead(1, 1, runs=8, gain=-0.2, log_std=-1.0, unit=unit), steering.action_space, clamp=False)
        source = DynamicsSource(steering, 8, 16, random=generator(0, "starts"), dtype=torch.float64)
        *_, last = ascent.train(source, policy, ascent.Config(updates=25, direction=direction), seed=0)
        gain, width = policy.head.gain[:, 0, 0].detach(), policy.head.log_std[:, 0, 0].detach()
        mean, low, high = mean_interval((best - linear_gain.objective(gain, width, **length)).numpy())
        print(f"parameter k / {unit:2.0f}, {direction}: J ends {mean:5.3f} [{low:5.3f}, {high:5.3f}] below the best")

# %% [markdown]
# The natural learners end close to the best, and in both units at the same place: that is no luck but the invariance, for both were given the same random numbers. The vanilla ones end further away, and much further when the gain is measured in another unit. The learner did
# not become worse; its ruler did.
#
# **Where this breaks.** $F$ has to be estimated, and inverted. With a million parameters neither is possible as it stands here.

# %% [markdown]
# ### A promise that can be kept
#
# How long may a step be? P6 has the answer ready. Let $\pi$ be the policy that drew the data (it was $\beta$ there) and $\pi'$ the new one. The local objective $L_\pi(\pi')$, which the old episodes can estimate, and the true improvement differ by at most
# $\sum_t 4 \epsilon^2 t \max |A^\pi| = 2 \epsilon^2\, T(T-1) \max|A^\pi|$. Hence
#
# $$J(\pi') \;\ge\; J(\pi) + L_\pi(\pi') - 2 \epsilon^2\, T (T - 1) \max|A^\pi| . \tag{M}$$
#
# Whoever makes the right-hand side larger than $J(\pi)$ improves the policy *for certain*. And where $\nabla J \ne 0$ that is possible: what $L$ gains is of first order in the step, the penalty of second, so that a short enough step uphill qualifies (Kakade and Langford 2002 for mixtures of policies; Schulman et al. 2015
# in general, with discounts and KL). How careful is it? From the rooms' policy towards always working ([`improvement_penalty`](../rlcourse/equations/natural_gradient.py), [`total_variation`](../rlcourse/exact/propagation.py)):

# %%
from rlcourse.equations.natural_gradient import improvement_penalty
from rlcourse.exact.propagation import total_variation

now, always_work = torch.softmax(logits, -1), torch.tensor([[0.0, 1.0]] * 2, dtype=torch.float64)
largest = (q_values - values[:-1, :, None]).abs().max()
print("     ϵ   predicted by L   true improvement   guaranteed by (M)")
for share in (0.002, 0.01, 0.05, 0.2, 1.0):
    new = (1 - share) * now + share * always_work
    epsilon = total_variation(new, now).max()
    promised = local_advantage(rooms, new, now, HORIZON)
    true_gain = (rooms.initial @ finite_horizon_values(rooms, new, HORIZON)[0][0]) - objective(rooms, logits, HORIZON)
    guaranteed = promised - improvement_penalty(epsilon, largest, horizon=HORIZON)
    print(f"{float(epsilon):.4f} {float(promised):14.4f} {float(true_gain):18.4f} {float(guaranteed):19.4f}")

# %% [markdown]
# (M) is far too careful: it guarantees nothing for steps that are in truth very good. That is the fate of worst-case bounds. What practice keeps of it is its shape: **improve $L$, but stay near the policy that drew the data.** The policies that are near enough are called a **trust region**: we trust $L$ inside it and nowhere else.
#
# - **TRPO** ([`trpo`](../rlcourse/algorithms/trpo.py); Schulman et al. 2015) maximises $L$ subject to a mean KL of at most $\delta$: the step (P9), with $F^{-1} g$ from conjugate gradients, which solve $F x = g$ with nothing but products $F v$, and halved until the measured KL is below $\delta$ and $L$ has really improved.
# - **PPO** (Schulman et al. 2017) gets rid of the constraint. It writes $L = \mathbb E_{s, a \sim \text{old}}[\rho A]$ with the ratio $\rho = \pi_\theta / \pi_\text{old}$, and takes away the incentive to move it far from 1. With $\mathrm{clip}(\rho)$ for $\rho$ pushed back into $[1 - \kappa, 1 + \kappa]$, and $\kappa = 0.2$,
#
# $$L^{\text{clip}} = \mathbb E\big[\min\big(\rho A,\; \mathrm{clip}(\rho)\, A\big)\big] .$$
#
# Why the minimum, and not the clip alone? Draw both ([`clipped_surrogate`](../rlcourse/equations/policy_gradient.py), [`panels`](../rlcourse/plots/curves.py)).

# %%
from rlcourse.equations.policy_gradient import clipped_surrogate
from rlcourse.plots.curves import panels

ratios = torch.linspace(0.4, 1.6, 121, dtype=torch.float64)
shown = []
for sign, name in ((1.0, "a good action, A = 1"), (-1.0, "a bad action, A = −1")):
    advantage = torch.full_like(ratios, sign)
    clipped = clipped_surrogate(ratios.log(), torch.zeros_like(ratios), advantage, clip_range=0.2)
    shown.append({"title": name, "xlabel": "ratio ρ", "ylabel": "objective", "series": {
        "ρ A": (ratios, ratios * sign), "clip alone": (ratios, ratios.clamp(0.8, 1.2) * sign),
        "PPO: the minimum": (ratios, clipped)}})
panels(shown, size=(9, 3.1))

# %% [markdown]
# Look at the left of the left panel and the right of the right one. There an action has moved the *wrong* way. The clip alone is flat: it has no slope to bring the action back. The minimum keeps the slope. In numbers:

# %%
log_prob = torch.tensor([0.7, 0.9, 1.0, 1.1, 1.3] * 2, dtype=torch.float64).log().requires_grad_()
advantage = torch.tensor([1.0] * 5 + [-1.0] * 5, dtype=torch.float64)
slope, = torch.autograd.grad(clipped_surrogate(log_prob, torch.zeros(10, dtype=torch.float64), advantage, clip_range=0.2).sum(), log_prob)
print("ratio                      ", [round(x, 1) for x in log_prob.exp().tolist()[:5]])
print("slope in log π, good action", [round(x, 1) for x in slope[:5].tolist()])
print("slope in log π, bad action ", [round(x, 1) for x in slope[5:].tolist()])

# %% [markdown]
# (The slope in $\log \pi$ is $\rho A$ where nothing is clipped.) At $\rho = 1$ it is $A$: PPO sets out along the policy gradient. Once a good action has become 20 % more likely, or a bad one 20 % less likely, there is nothing more to gain, and the slope is zero. An action that other samples have dragged the wrong way is pulled back.
#
# **Where this breaks.** The clip does not bound the KL. It stops a sample from pushing further, but not its neighbours, who share the network's weights; after many epochs the policy may be far outside. PPO owes its success also to small things, as Engstrom et al. (2020) found by switching them on and off: a learning rate that falls, scaled rewards, the
# initialisation, a clipped loss for the values.

# %% [markdown]
# ## P10 Eight runs and an interval
#
# Networks now, and a problem that was once a benchmark: a pole on a cart, pushed left or right, $+1$ for every step that it stands, 500 steps at most
# ([`CartPole`](../rlcourse/envs/cartpole.py), step for step Gymnasium's `CartPole-v1`). Every experiment on it is done **eight times at once**, with different luck: the runs share no parameters and no episodes. One run of an algorithm is an anecdote (Henderson et al. 2018; Agarwal et al. 2021). The thick line is the interquartile mean, the mean of the middle half of the runs; the band is its 95 % bootstrap interval
# (with so few runs rather too narrow than too wide).
#
# First the ladder of P1, P3 and P4, climbed with a network ([`reinforce`](../rlcourse/algorithms/reinforce.py)): the total return, the reward-to-go, and the reward-to-go with the average of the other episodes that still run at the same step subtracted. Sixteen
# episodes for each step of Adam, thirty steps, and no discount, so that all three estimate the same gradient. Before you run the cell: which of the two steps of the ladder will matter more?
#
# *Read the code:* [`watch`](../rlcourse/widgets/app/watch.py),
# [`learning_curve`](../rlcourse/plots/learning.py), [`describe`](../rlcourse/plots/learning.py), [`compare`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import reinforce
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.plots.learning import compare, describe, learning_curve
from rlcourse.widgets.app.watch import watch

pole, runs = CartPole(), 8


def new_policy(hidden=(64, 64)):
    return Policy(CategoricalHead(4, 2, runs=runs, seed=0, hidden=hidden, dtype=torch.float32), pole.action_space)


settings = {"updates": 30, "learning_rate": 0.015, "discount": 1.0}
variants = {"total return": reinforce.Config(weight="total", baseline="none", **settings),
            "reward-to-go": reinforce.Config(baseline="none", **settings),
            "to-go − leave-one-out": reinforce.Config(**settings)}
ladder = {}
for name, config in variants.items():
    source = DynamicsSource(pole, runs, 16, random=generator(0, "poles"))
    training = reinforce.train(source, new_policy((64,)), config, seed=0)
    ladder[name] = watch(training, draw=learning_curve(name, total=200_000, top=500), describe=describe, name=name,
                         runs=runs, size=(8, 2.4)).curve

# %% tags=["unstable-picture"]
returns_of = {name: torch.stack([value for _, value in curve]) for name, curve in ladder.items()}  # [updates, R]
means = [float(table.mean()) for table in returns_of.values()]
worst = {name: float(table[-5:].mean(0).min()) for name, table in returns_of.items()}  # over the last five batches
print("mean return over all of training: total < to-go < to-go − leave-one-out:", means == sorted(means))
print("with the baseline, all eight runs end above 350:", worst["to-go − leave-one-out"] > 350)
print("without it, at least one run does not:", min(worst["total return"], worst["reward-to-go"]) < 350)
compare(ladder, "REINFORCE on CartPole")

# %% [markdown]
# **What to notice.** The three estimate the same gradient; what differs is the noise. With the total return the runs crawl, or climb and fall back, because a noisy step can destroy what a good one has built. Stop at the right moment with the right seed, and you have a fine figure for a paper. Both steps of the ladder help. The
# second is the one that makes *all* the runs succeed: in CartPole every reward is positive and episodes are hundreds of steps long, and P5 told us what the level of the returns does then. (A poor policy has short episodes, so its thirty updates take fewer steps, and its curve ends earlier.)
#
# **Where this breaks.** All these episodes are used for a single step, and then thrown away.
#
# ### PPO, live
#
# PPO collects a **rollout**, the next 32 steps of sixteen environments, whether or not an episode ends in them, and goes over it several times, with the clip of P9. Its weights are advantages. A second network, the critic, learns $V(s)$ and serves twice: as the baseline, and in the place of the rewards that come after the rollout
# ([`ppo`](../rlcourse/algorithms/ppo.py), [`ValueNet`](../rlcourse/nets/values.py), [`learning_and_picture`](../rlcourse/plots/learning.py); how such advantages are made is the subject of lecture 04).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import ppo
from rlcourse.nets.values import ValueNet
from rlcourse.plots.learning import learning_and_picture

source, config = DynamicsSource(pole, runs, 16, random=generator(0, "ppo poles")), ppo.Config(total_steps=40_000)
critic = ValueNet(4, runs=runs, seed=0, dtype=torch.float32)
training = ppo.train(source, new_policy(), critic, config, seed=0)
learned = watch(training, config.total_steps, describe=describe, name="PPO", runs=runs, size=(9, 3),
                draw=learning_and_picture(source, "PPO on CartPole", total=config.total_steps, top=500))

# %% [markdown]
# **What to notice.** The thick line looks smooth and confident; the thin ones do not. Nearly every run falls back at least once, and which one does so last is luck. (The curves have steps because each shows the mean of the episodes that ended last.)
#
# While it learns, a policy explores. What has it learned? Let each of the eight take its most likely action, for twenty episodes with new luck ([`episodes`](../rlcourse/data/episodes.py),
# [`mean_return`](../rlcourse/data/evaluate.py)). And how many steps did it take, compared with the best REINFORCE above ([`steps_and_returns`](../rlcourse/results/curves.py), [`first_crossing`](../rlcourse/results/curves.py))?

# %%
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.results.curves import first_crossing, steps_and_returns

greedy = mean_return(episodes(DynamicsSource(pole, runs, 20, random=generator(0, "examination")), learned.policy))
print("at least 7 of the 8 policies average 475 or more:", int((greedy >= 475).sum()) >= 7)
median_steps = {}
for name, curve in (("REINFORCE", ladder["to-go − leave-one-out"]), ("PPO", learned.curve)):
    steps, table = steps_and_returns(curve)
    median_steps[name] = np.median(steps[first_crossing(table, 475)])
print("until the median run first averages 475, PPO needs less than half of REINFORCE's steps:",
      bool(median_steps["PPO"] < 0.5 * median_steps["REINFORCE"]))

# %% [markdown]
# And this is what a policy that has learned looks like ([`one_episode`](../rlcourse/data/episodes.py), [`film`](../rlcourse/plots/control.py)):

# %% tags=["unstable-picture"]
from rlcourse.data.episodes import one_episode
from rlcourse.plots.control import film

film(pole, one_episode(pole, learned.policy, run=0, seed=1)[:200])

# %% [markdown]
# A policy is kept with `learned.policy.save("pole.pt")` and read back into a new one with `new_policy().load("pole.pt")`: the file holds
# parameters and nothing else.
#
# **Where this breaks.** 16 environments, 32 steps, four passes, this learning rate: these numbers were searched for, and they serve this problem. With larger minibatches or a lower learning rate some of the runs do not arrive (try it). On another problem one searches again.
#
# ### When it does not work
#
# Most first versions do not learn, and a wrong sign, a value beyond the end of an episode or exchanged samples all look the same on CartPole: like bad luck. Do not look at the curve. Run the learner on problems so small that you know what it must find
# (an idea of Jones 2021). The [`PROBES`](../rlcourse/envs/probes.py) are five: a constant reward, a reward that depends on the observation, one that comes a step later, one that depends on the action, and one that depends on both. The first that fails says where to look. Here is PPO, and then PPO with three
# bugs put in by replacing one of its equations ([`policy_gradient`](../rlcourse/equations/policy_gradient.py) and [`returns`](../rlcourse/equations/returns.py) hold the right equations).

# %%
from rlcourse.envs.probes import PROBES
from rlcourse.equations import policy_gradient, returns


def fails(probe, **sockets):
    """Whether PPO, trained on a probe, has learned something wrong."""
    actions = probe.dynamics.action_space
    policy = Policy(CategoricalHead(1, actions.n, runs=2, seed=0, hidden=(16,), dtype=torch.float32), actions)
    critic = ValueNet(1, runs=2, seed=0, hidden=(16,), dtype=torch.float32)
    config = ppo.Config(total_steps=2500, horizon=8, minibatch_size=64, learning_rate=0.02, discount=probe.discount)
    source = DynamicsSource(probe.dynamics, 2, 8, random=generator(0, "probe"))
    *_, last = ppo.train(source, policy, critic, config, seed=0, **sockets)
    obs = probe.obs.float().expand(2, -1, 1)
    with torch.no_grad():
        return probe.check(critic(obs)[0], policy.distribution(obs).probs[0]) is not None


def uphill_is_down(log_prob, behaviour_log_prob, advantage, *, clip_range):
    return -policy_gradient.clipped_surrogate(log_prob, behaviour_log_prob, advantage, clip_range=clip_range)


def never_ends(reward, value, next_value, terminated, truncated, **options):
    return returns.gae(reward, value, next_value, torch.zeros_like(terminated), truncated, **options)


def swapped(reward, *rest, **options):
    return returns.gae(reward.roll(1, -1), *rest, **options)  # each environment gets its neighbour's reward


bugs = {"no bug": {}, "sign of the surrogate": {"surrogate": uphill_is_down},
        "values beyond the end": {"gae": never_ends}, "neighbours' rewards": {"gae": swapped}}
for name, sockets in bugs.items():
    first = next((probe for probe in PROBES if fails(probe, **sockets)), None)
    print(f"{name}: " + ("all five probes pass" if first is None else f"“{first.name}” fails. Look at {first.look_at}"))

# %% [markdown]
# ### What the papers do not put in the abstract
#
# - **Batch size.** A policy gradient is noisy, and P1 and P5 counted how many episodes a usable direction takes. More environments side by side are the cheapest way to get them.
# - **Learning rate.** No one value serves a whole training: a softmax's gradient shrinks as the policy becomes sure (P9). Adam rescales it, and a rate that falls to zero keeps what was learned.
# - **Normalised advantages** ([`normalised`](../rlcourse/equations/policy_gradient.py): mean 0 and deviation 1 in each batch) let one learning rate serve rewards of any size. The result is not even proportional to an unbiased estimate, for mean and deviation depend on the very actions that they weigh.
#   With two arms that pay 0 and $c$, and batches of two, it is the same for every $c > 0$, though the gradient is proportional to $c$ (cell below). One gives up the scale of the reward in order to get rid of it.
# - **Seeds.** Use several, say which estimate and which interval you show, and do not choose among them.

# %%
from rlcourse.equations.policy_gradient import normalised

for c in (0.01, 1.0, 100.0):
    bandit = TabularMDP(torch.ones(1, 2, 1, dtype=torch.float64), torch.tensor([[0.0, c]], dtype=torch.float64),
                        torch.ones(1, dtype=torch.float64))
    pairs = every_batch(bandit, torch.zeros(1, 2, dtype=torch.float64), 1, 2)
    expected, _ = moments(pairs.prob, gradient_estimate(pairs.score, normalised(pairs.reward)))
    print(f"c = {c:6.2f}: ∂J/∂θ of the better arm {float(gradient_by_autograd(bandit, torch.zeros(1, 2, dtype=torch.float64), 1)[0, 1]):7.4f}, "
          f"expected estimate with normalised rewards {float(expected[1]):.4f}")

# %% [markdown]
# ## Questions you may have
#
# **If one may subtract any baseline, why not the best one?** One may. In the rooms the best function of the state is a little better than $V(s)$ (P4), in the two arms it is much better. $V(s)$ is used because it can be learned by regression, and because it can do more than serve as a baseline.
#
# **Is PPO on-policy?** Learning from the current policy's own data is called *on-policy*, from other data *off-policy*. PPO's first minibatch is on-policy. All later ones are off-policy with one ratio per step, and P6 says why a few of them are allowed and many are not.
#
# **Where is the value function?** In the baseline only, except in PPO, whose advantages also put $V$ in the place of the far future. What is gained by that, and lost when the critic is wrong, is lecture 04.
#
# **Does any of this need the reward to be differentiable?** No. Nor the dynamics, nor the action. That is what (P1) is for, and its noise is the price.
#
# ## What to take along
#
# - $\nabla J = \mathbb E[\sum_t \nabla \log \pi\, \Psi_t]$: the dynamics drop out, because the policy's own episodes already contain them.
# - Everything that can be removed from it for nothing is removed by one line: the expected score is zero. It allows the reward-to-go, and baselines that do not know the action. Neither lowers the variance *always*.
# - Old episodes need ratios, and where the policies keep differing, the product of ratios has a variance that is exponential in the horizon. One ratio per step gives the gradient of an objective that is right to first order near the policy that drew the data.
# - So stay close, and measure closeness in distributions and not in parameters: natural gradient, trust region, clip.
# - The gradient is noisy; so is every single run. Eight runs, an interval, and probes before benchmarks.
#
# What is left of the noise is the future after the action: the reward-to-go of *one* episode stands for an expectation. [Lecture 04](../README.md) lets a critic learn that expectation, and asks what it costs when the critic is wrong.
#
# **Exercise.** [Build these estimates yourself](../exercises/03_policy_gradients.ipynb), train CartPole with them, and mend a learner that does not learn.
#
# ## References
#
# - R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare (2021). Deep reinforcement learning at the edge of the statistical precipice. *NeurIPS*.
# - S. Amari (1998). Natural gradient works efficiently in learning. *Neural Computation* 10(2).
# - L. Engstrom et al. (2020). Implementation matters in deep policy gradients: a case study on PPO and TRPO. *ICLR*.
# - E. Greensmith, P. L. Bartlett, J. Baxter (2004). Variance reduction techniques for gradient estimates in reinforcement learning. *JMLR* 5.
# - P. Henderson et al. (2018). Deep reinforcement learning that matters. *AAAI*.
# - A. L. Jones (2021). Debugging reinforcement learning, without the agonizing pain. andyljones.com.
# - S. Kakade (2001). A natural policy gradient. *NIPS*.
# - S. Kakade, J. Langford (2002). Approximately optimal approximate reinforcement learning. *ICML*.
# - A. Kong (1992). A note on importance sampling using standardized weights. Technical report 348, University of Chicago.
# - W. Kool, H. van Hoof, M. Welling (2019). Buy 4 REINFORCE samples, get a baseline for free! *ICLR workshop*.
# - C. Nota, P. S. Thomas (2020). Is the policy gradient a gradient? *AAMAS*.
# - J. Peters, S. Schaal (2008). Reinforcement learning of motor skills with policy gradients. *Neural Networks* 21.
# - J. Schulman, S. Levine, P. Abbeel, M. Jordan, P. Moritz (2015). Trust region policy optimization. *ICML*.
# - J. Schulman, F. Wolski, P. Dhariwal, A. Radford, O. Klimov (2017). Proximal policy optimization algorithms. arXiv 1707.06347.
# - R. S. Sutton, D. McAllester, S. Singh, Y. Mansour (2000). Policy gradient methods for reinforcement learning with function approximation. *NIPS*.
# - P. S. Thomas (2014). Bias in natural actor-critic algorithms. *ICML*.
# - L. Weaver, N. Tao (2001). The optimal reward baseline for gradient-based reinforcement learning. *UAI*.
# - R. J. Williams (1992). Simple statistical gradient-following algorithms for connectionist reinforcement learning. *Machine Learning* 8.
