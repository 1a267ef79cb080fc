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
# Lecture 03 left us with an estimate that is right on average and far too noisy. Its weight, the reward-to-go of *one*
# episode, stands for an expectation. Could somebody learn that expectation? A **critic** is a function that has: it is
# asked instead of the future. What it says has hardly any noise. But it may be wrong, and then it is wrong every time.
#
# So noise is exchanged for error, variance for **bias**. This lecture is about that exchange: how a critic is learned,
# how it turns into advantages, and a dial between trusting it completely and not at all. Then comes the reward of the
# exchange. A critic that knows the value of *actions* can learn from old data, and the policy from the critic.
#
# **You need** values from lecture 01 (F5) and, from lecture 03, the policy gradient with its baselines (P1 to P4), the
# ratio (P6), and the discount's two options (P8).
#
# **You will be able to**
#
# - fit a critic in two ways, and say what each is wrong about;
# - write advantages with any mixture of experience and opinion, and cut them rightly at both kinds of ends;
# - predict what an error of the critic does to them;
# - use a critic that sees the action without spoiling the gradient;
# - learn from a replay, and name the two places where the obvious way is wrong.

# %%
from rlcourse.notebook import start

start()

# %% [markdown]
# ## A world where credit comes late
#
# A corridor has eight cells. Somebody carries parcels through it. A step forward out of the last cell delivers one, pays 1 and leads back to the first cell; a step back in the first cell stays there. A step goes the other way with probability 0.2. (The exact computations below pay for the last cell on average, 0.8 for trying to step forward and
# 0.2 for trying to step back. The values are the same, the noise is not quite.) Our
# policy is not a good one: it steps forward with probability 0.6. What a step is worth shows many steps later, or at once, if one knows the values of the cells.
#
# As always in this course, a world this small comes with the exact answers: $V^\pi(s) = \mathbb E\big[\sum_t \gamma^t r_t \mid s_0 = s\big]$, $Q^\pi(s,a)$ and the advantage $A^\pi = Q^\pi - V^\pi$.
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
print("cell             " + "".join(f"{cell:8}" for cell in range(8)))
print("V^π              " + "".join(f"{x:8.3f}" for x in true_value))
print("A^π of a step on " + "".join(f"{x:8.3f}" for x in true_advantage[:, 1]))

# %% [markdown]
# Stepping on is better than average everywhere, most of all at the end. A single reward-to-go in the first cell, however, is a sum over some
# parcels that come sooner or later by luck. The advantages are small numbers hidden in large ones.

# %% [markdown]
# ## A1 Fitting a critic
#
# A critic $\hat V$ is fitted by regression: for every visited state a **target** $y_t$, and least squares. (We saw in lecture 02, I5, that least squares goes to the *mean* of its targets.) Which target?
#
# **Monte Carlo.** Take what came: $y_t = \sum_{t' \ge t} \gamma^{t'-t} r_{t'}$. Its mean is $V^\pi(s_t)$ by definition: no bias. Its noise is that of the whole future.
#
# **Bootstrapping** (Sutton 1988). Take one reward, and ask the critic about the rest:
#
# $$y_t = r_t + \gamma\, \hat V(s_{t+1}) . \tag{TD}$$
#
# Only one step of luck is in it. But its mean is $V^\pi(s_t)$ only if $\hat V$ is right already. Since $V^\pi(s) = \mathbb E[r + \gamma V^\pi(s')]$, the bias is $\gamma\, \mathbb E\big[\hat V(s') - V^\pi(s')\big]$: the critic's own error, one step later and $\gamma$ times as large.
#
# Why should that ever be useful? Because the regression is repeated. With exact means each round multiplies the largest error by at most $\gamma$, as in the value iteration of lecture 01, so that in a table it goes to zero. (From a record it goes to the values of the world that the record describes, see below. With networks the argument fails; lecture 05 shows how.)
#
# Both exactly, for a critic that knows nothing yet, $\hat V = 0$ ([`target_moments`](../rlcourse/exact/actor_critic.py)):

# %%
from rlcourse.exact.actor_critic import target_moments

ignorant = torch.zeros(8, dtype=torch.float64)
for name, steps in (("bootstrapped", 1), ("Monte Carlo", None)):
    bias, variance = target_moments(walk, policy, ignorant, discount=discount, steps=steps)
    print(f"{name:13} bias in the first cell {float(bias[0].round(decimals=9)) + 0.0:6.3f}, in the last {float(bias[-1].round(decimals=9)) + 0.0:6.3f}; "
          f"standard deviation {float(variance[0].sqrt()):.3f} and {float(variance[-1].sqrt()):.3f}")

# %% [markdown]
# The bootstrapped target of an ignorant critic has next to no noise (none at all in the first cell, where nothing is ever paid at once), and a bias as large as the values themselves. Monte Carlo has it the other way round.
#
# Which of them makes more of the same data? An action moves the walker by one cell, so for the actor the values themselves do not matter, but only by how much one cell is better than the next. That is what we judge. Let eight walkers record their steps. From the same record we fit a table in both ways: by the average of the discounted sums after each visit (the record goes on for
# another hundred steps, so that these are complete but for $0.95^{100}$, half a per cent), and by repeating (TD) until nothing changes. The second has a closed form: the values of the little world that the record describes,
# with its observed frequencies $\hat P$ of going from cell to cell and mean rewards $\hat r$, $\hat V = (I - \gamma \hat P)^{-1} \hat r$.
#
# *Read the code:* [`DynamicsSource`](../rlcourse/data/sources.py), [`rollout_with_states`](../rlcourse/data/rollout.py), [`generator`](../rlcourse/core/seeding.py), [`mean_interval`](../rlcourse/results/intervals.py),
# [`reward_to_go`](../rlcourse/equations/returns.py), [`curves`](../rlcourse/plots/curves.py).

# %%
from rlcourse.core.seeding import generator
from rlcourse.data.rollout import rollout_with_states
from rlcourse.data.sources import DynamicsSource
from rlcourse.equations.returns import reward_to_go
from rlcourse.plots.curves import curves
from rlcourse.results.intervals import mean_interval

luck, longest = generator(0, "steps"), 3200
walkers = DynamicsSource(walk, 8, 1, random=generator(0, "corridor"), time_limit=10**6, dtype=torch.float64)
record, states = rollout_with_states(walkers, lambda s: (torch.rand(s.shape, generator=luck) < 0.6).long(), longest + 101)
states = states[:, :, 0].T  # [run, time]
paid = ((states[:, :-1] == 7) & (states[:, 1:] == 0)).double()  # a parcel delivered
never = torch.zeros_like(paid.T, dtype=torch.bool)
sums = reward_to_go(paid.T, never, never, discount=discount).T


def errors(steps):
    """Root mean square error of the differences between neighbours, for both fits and each run: [2, R]."""
    fits = []
    for s, after, r, total in zip(states[:, :steps], states[:, 1:steps + 1], paid[:, :steps], sums[:, :steps]):
        here = torch.nn.functional.one_hot(s, 8).double()
        visits = here.sum(0).clamp(min=1)
        monte_carlo = here.T @ total / visits
        chain = here.T @ torch.nn.functional.one_hot(after, 8).double() / visits[:, None]
        bootstrapped = torch.linalg.solve(torch.eye(8) - discount * chain, here.T @ r / visits)
        fits.append([float((fit - true_value).diff().square().mean().sqrt()) for fit in (monte_carlo, bootstrapped)])
    return np.array(fits).T


lengths = (50, 100, 200, 400, 800, 1600, 3200)
table = np.array([errors(steps) for steps in lengths])  # [lengths, 2, R]
for column, name in enumerate(("Monte Carlo", "bootstrapped")):
    mean, low, high = mean_interval(table[-1, column])
    print(f"{name:13} after {longest} steps: error {mean:.3f} [{low:.3f}, {high:.3f}]")
print(f"the true differences are {float(true_value.diff().min()):.3f} to {float(true_value.diff().max()):.3f}")
curves({name: (lengths, *np.array([mean_interval(row) for row in table[:, column]]).T)
        for column, name in enumerate(("Monte Carlo", "bootstrapped"))}, log="xy", xlabel="recorded steps",
       ylabel="error of the differences", title="A critic from the same record (mean of 8 runs, 95 % Student interval)")

# %% [markdown]
# **What to notice.** Both errors fall like one over the square root of the data. But from a few hundred steps on, bootstrapping needs about a quarter of the data for the same accuracy. When a walker goes from cell 5 to cell 6, bootstrapping tells cell 5 everything that is known about cell 6, also from visits that never came from cell 5. Monte Carlo
# tells it what happened to happen afterwards, the luck of the next parcel and of the one after it included. (For the values themselves, whose common level both must learn from the same few parcels, there is little between the two.)
#
# **Where this breaks.** The comparison was in a table, and in a Markov world. With a network both fits are approximate, and what bootstrapping then converges to is another story (lecture 05). And if the critic does not see the whole state, $\hat V(s')$ is not enough to sum up the future; the Monte Carlo target stays right.

# %% [markdown]
# ## A2 Discounts once more
#
# Episodes that go on for ever may have infinite returns, so our critic needs $\gamma < 1$. There are two ways to read it. The first: a reward later is worth less. The second: after every step the world ends with probability $1 - \gamma$; a critic of that mortal world, whose rewards are not discounted, has exactly the equations of ours.
#
# The factor $\gamma^t$ of P8 is back as well. With a critic the two options are
#
# $$\text{option 1:}\;\; \sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, \hat A_t, \qquad
#   \text{option 2:}\;\; \sum_t \gamma^t\, \nabla \log \pi_\theta(a_t \mid s_t)\, \hat A_t,$$
#
# and the reasons of P8 stand: option 2 is the gradient of $J_\gamma$ (if $\hat A$ is right), option 1 is used, since we want a policy that is good at every step.
#
# But why then have a discount in the *gradient* at all, if we do not mean it? As a means against noise. Suppose that we want the undiscounted return of $T = 6$ steps in the two rooms of lecture 03, and discount all the same. Every episode can be listed, so bias and variance are exact.
#
# *Read the code:* [`two_rooms`](../rlcourse/envs/two_rooms.py), [`policy_logits`](../rlcourse/envs/two_rooms.py), [`every_batch`](../rlcourse/exact/policy_gradient.py), [`moments`](../rlcourse/exact/policy_gradient.py),
# [`gradient_by_autograd`](../rlcourse/exact/policy_gradient.py), [`gradient_estimate`](../rlcourse/equations/policy_gradient.py).

# %%
from rlcourse.envs.two_rooms import policy_logits, two_rooms
from rlcourse.equations.policy_gradient import gradient_estimate
from rlcourse.exact.policy_gradient import every_batch, gradient_by_autograd, moments

rooms, logits = two_rooms(), policy_logits()
every, wanted = every_batch(rooms, logits, 6), gradient_by_autograd(rooms, logits, 6).flatten()
print("   γ    bias   noise (one episode)   error with 8 episodes   with 512   [in lengths of ∇J]")
for gamma in (0.0, 0.3, 0.6, 0.8, 0.9, 0.98, 1.0):
    weight = reward_to_go(every.reward, every.terminated, every.truncated, discount=gamma)
    mean, spread = moments(every.prob, gradient_estimate(every.score, weight))
    bias, noise = float((mean - wanted).norm() / wanted.norm()), float(spread.trace().sqrt() / wanted.norm())
    print(f"{gamma:4.2f} {bias:7.2f} {noise:12.2f} {(bias**2 + noise**2 / 8) ** 0.5:22.2f} {(bias**2 + noise**2 / 512) ** 0.5:19.3f}")

# %% [markdown]
# With eight episodes, $\gamma = 0.6$ gives the best estimate of the *undiscounted* gradient; with 512 it is 0.98, hardly better than none. (A little discount always pays: its bias squared is of second order in $1 - \gamma$, the noise that it saves of first.) A discount is not only a taste. It is the first of the dials in this lecture that exchange variance for bias, and its right position depends on how much data there are.
#
# **Where this breaks.** To know the right position one would have to know the gradient.

# %% [markdown]
# ## A3 The loop
#
# Put actor and critic together, and one gets the **actor-critic** (Konda and Tsitsiklis 2000):
#
# 1. act for some steps in $N$ environments with $\pi_\theta$;
# 2. make targets, and move the critic towards them;
# 3. make advantages, $\hat A = y - \hat V(s)$;
# 4. step the actor along $\frac1n \sum \nabla \log \pi_\theta(a \mid s)\, \hat A$, and begin again.
#
# With whole rollouts it is the *batch* actor-critic, with one step at a time the *online* one. At the ends of episodes there are two cases, and mixing them up is the most frequent error in code of this kind. If the problem is over
# (**terminated**), nothing follows, and the target is $r$ alone. If only the clock struck (**truncated**), the problem would have gone on, and the target is $r + \gamma \hat V(s')$ with the *true* successor $s'$, not with the first observation of the next episode, which is what stands
# in the next row of the data ([`td_target`](../rlcourse/equations/actor_critic.py)).

# %%
from rlcourse.equations.actor_critic import td_target

reward, next_value = torch.ones(3, dtype=torch.float64), torch.full((3,), 10.0, dtype=torch.float64)
terminated = torch.tensor([False, True, False])  # going on, terminated, truncated (which is no argument at all)
print("1 + 0.9 · 10 where it goes on or is truncated, 1 where it terminates:", td_target(reward, next_value, terminated, discount=0.9).tolist())

# %% [markdown]
# Why not simply learn online, from the last transition, with one environment? In a table one can. A network that sees a hundred nearly equal states in a row forgets the others. The remedy of this lecture is to have many environments side by side (A5); that of the next is a replay.
#
# Here is the batch actor-critic on CartPole: rollouts of 16 steps in eight environments, one step of Adam for each, and eight runs. Its advantages are a mixture that A6 explains, with $\lambda = 0.9$.
#
# *Read the code:* [`a2c`](../rlcourse/algorithms/a2c.py), [`ValueNet`](../rlcourse/nets/values.py), [`CartPole`](../rlcourse/envs/cartpole.py), [`CategoricalHead`](../rlcourse/nets/heads_categorical.py), [`Policy`](../rlcourse/nets/policies.py),
# [`watch`](../rlcourse/widgets/app/watch.py), [`learning_curve`](../rlcourse/plots/learning.py), [`describe`](../rlcourse/plots/learning.py), [`compare`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import a2c
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet
from rlcourse.plots.learning import compare, describe, learning_curve
from rlcourse.widgets.app.watch import watch

pole, runs = CartPole(), 8
sizes = {"runs": runs, "seed": 0, "hidden": (32, 32), "dtype": torch.float32}


def poles():
    return DynamicsSource(pole, runs, 8, random=generator(0, "poles"))


def two_networks():
    return Policy(CategoricalHead(4, 2, **sizes), pole.action_space), ValueNet(4, **sizes)


config = a2c.Config()
first = watch(a2c.train(poles(), *two_networks(), config, seed=0), config.total_steps, runs=runs, describe=describe, name="A2C",
              draw=learning_curve("Advantage actor-critic on CartPole", total=config.total_steps, top=500), size=(8, 2.8))

# %% [markdown]
# **What to notice.** It learns, raggedly. Each update sees 128 steps, once, and a noisy step can undo what the last ones built; at the end a run or two may still be caught half-way up. Compare the PPO of lecture 03, which saw 512 steps at a time and went over them four times.
#
# **Where this breaks.** The actor climbs the advantages that the critic gives it, and at the start the critic knows nothing: if $\hat V = 0$, every TD error in CartPole is $+1$, in the fall as well. The critic must learn faster than the actor, here with four times its learning rate.

# %% [markdown]
# ## A4 One network or two
#
# Actor and critic look at the same world. Should they not share what they see? A **shared trunk** is one network with two heads, one for the policy and one for the value: nearly half of the computation saved, and features that serve both.
#
# But both losses now pull at the same weights. Both gradients carry the same number: the critic's is $-\hat A\, \nabla \hat V$, the actor's $-\hat A\, \nabla \log \pi$. Yet they are of very different length. As long as $\hat V$ is too low, most $\hat A$ have one sign, and the critic's gradients add up over the batch; scores have mean zero, and cancel. What the trunk
# learns is then mostly what the critic asks for. One weighs its loss down, and has one more number to search for.
#
# How much of this can be seen? Two networks against a trunk with two weights for the critic's loss, on a shorter training. (One thing is not quite fair: the critic's own network learns four times as fast as the actor's, and in a trunk there is only one rate.) ([`SharedTrunk`](../rlcourse/nets/shared_trunk.py), [`TrunkValue`](../rlcourse/nets/shared_trunk.py)):

# %% tags=["unstable-picture"]
from rlcourse.nets.shared_trunk import SharedTrunk, TrunkValue


def one_trunk():
    trunk = SharedTrunk(4, 2, **sizes)
    return Policy(trunk, pole.action_space), TrunkValue(trunk, seed=0)


def short(weight):
    return a2c.Config(total_steps=24_000, clip_norm=None, value_weight=weight)


curves_of = {}
for name, networks, weight in (("two networks, weight 0.5", two_networks, 0.5), ("trunk, weight 0.5", one_trunk, 0.5),
                               ("trunk, weight 0.001", one_trunk, 0.001)):
    *_, last = a2c.train(poles(), *networks(), short(weight), seed=0)
    curves_of[name] = last.curve


def average(name):
    """The return over all of training, for each run; a run without an ended episode yet counts 20."""
    return torch.stack([value for _, value in curves_of[name]]).nan_to_num(20.0).mean(0)


print("every trunk with weight 0.5 learns more slowly than every pair of networks:",
      bool(average("trunk, weight 0.5").max() < average("two networks, weight 0.5").min()))
print("a weight of 0.001 repairs more than a third of the difference:",
      bool(average("trunk, weight 0.001").mean() - average("trunk, weight 0.5").mean()
           > (average("two networks, weight 0.5").mean() - average("trunk, weight 0.5").mean()) / 3))
compare(curves_of, "One network or two: A2C on CartPole")

# %% [markdown]
# With a trunk the weight decides. (With two networks it hardly matters here, since Adam rescales the gradient of each.) This does not show that sharing is bad: for pictures, where seeing is most of the work, it usually pays. For four numbers there is little to share, and a conflict to settle.
#
# **Where this breaks.** No weight is right for all of a training: the ratio of the two gradients changes as the critic gets better.

# %% [markdown]
# ## A5 Many actors at once
#
# One environment gives steps that resemble each other. Many, at different stages of their episodes, give a batch that is nearly independent. There are two ways to have many.
#
# **Synchronous.** All environments step together, one network acts in all of them, and the update waits for the slowest. This is what every learner of this course does; the environments are an axis of a tensor.
#
# **Asynchronous** (A3C; Mnih et al. 2016). Several processes with their own environments. Each reads the shared parameters, collects a short rollout, and applies its gradient to the shared parameters *as they are by then*. Nobody waits. The price: the gradient was computed at older parameters. It is **stale**, by as many updates as the others
# made in the meantime.
#
# Does that matter? A gradient that is $k$ updates old points uphill at $\theta_{u-k}$ and is applied at $\theta_u$. If the landscape does not change much over the distance between the two, of the order of $k$ step sizes, the error is of first order in that distance, like the one of a ratio near 1 (P6). So small $k$ should do no harm, and large $k$ should. We can choose $k$
# ([`delayed_gradient`](../rlcourse/algorithms/delayed_gradient.py)):

# %% tags=["unstable-picture"]
from rlcourse.algorithms import delayed_gradient

for staleness in (4, 64):
    *_, last = delayed_gradient.train(poles(), *two_networks(), short(0.5), staleness=staleness, seed=0)
    curves_of[f"{staleness} updates late"] = last.curve
print("64 updates late: every run has a lower average return than every run in time:",
      bool(average("64 updates late").max() < average("two networks, weight 0.5").min()))
compare({"in time": curves_of["two networks, weight 0.5"], **{name: curves_of[name] for name in ("4 updates late", "64 updates late")}},
        "Stale gradients: A2C on CartPole")

# %% [markdown]
# And the real thing: two worker processes with shared parameters, on two cores. How stale will their gradients be? Between two updates of one worker, every update of the other makes the next gradient one update staler; so if each worker reads again right after its own update, each update counts once for each of the others, and the mean is $W - 1$ for $W$ workers, whatever the timing. Here it should be 1
# ([`async_actor_critic`](../rlcourse/algorithms/async_actor_critic.py); it takes a few seconds until both processes have started).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import async_actor_critic

settings = async_actor_critic.Config(workers=2, environments=8, learner=a2c.Config(total_steps=40_000))
fourth = watch(async_actor_critic.train(pole, *two_networks(), settings, seed=0), 40_000, runs=runs, describe=describe, name="two processes",
               draw=learning_curve("Two workers, shared parameters", total=40_000, top=500), size=(8, 2.4))

# %%
print("both workers took part:", bool((fourth.updates_by_worker > 0).all()))
print("mean staleness between 0.9 and 1:", 0.9 < fourth.mean_staleness <= 1)
print("and they learned; mean return above 100:", float(fourth.episode_return.mean()) > 100)

# %% [markdown]
# **What to notice.** In the picture, four updates late cannot be told from in time; 64 late, next to nothing is learned in these steps: the parameters have moved too far in between. With two workers the staleness is one on average, on the safe side. Asynchrony was the way to use many cores when environments were slow and every process had its own. It has a cost that is easily overlooked: who comes first depends on the machine, so no run can be repeated. Where environments can be stepped together, the synchronous way is simpler, and repeatable.
#
# **Where this breaks.** How much staleness is too much depends on the learning rate: what counts is how far the parameters move in $k$ updates, not $k$.

# %% [markdown]
# ## A6 A dial between experience and opinion
#
# Monte Carlo and bootstrapping are two ends. In between, look at $n$ rewards and ask the critic then:
#
# $$\hat A^{(n)}_t = \sum_{l=0}^{n-1} \gamma^l r_{t+l} + \gamma^n \hat V(s_{t+n}) - \hat V(s_t) .$$
#
# (The last reward is $r_{t+n-1}$. Adding $r_{t+n}$ as well, which $\hat V(s_{t+n})$ already contains, is a favourite slip.) With the TD error $\delta_t = r_t + \gamma \hat V(s_{t+1}) - \hat V(s_t)$ this is a telescoping sum: in $\sum_l \gamma^l \delta_{t+l}$ every $\gamma^{l+1} \hat V(s_{t+l+1})$ cancels against the next
# term's, and only the first and the last value are left. So
#
# $$\hat A^{(n)}_t = \sum_{l=0}^{n-1} \gamma^l\, \delta_{t+l} .$$
#
# **What is it wrong about?** Write $e(s) = \hat V(s) - V^\pi(s)$. The rewards are right on average, so given $s_t$ and $a_t$
#
# $$\mathbb E\big[\hat A^{(n)}_t\big] - A^\pi(s_t, a_t) = \underbrace{\gamma^n\, \mathbb E\big[e(s_{t+n})\big]}_{\text{an opinion about the future}} \;-\; \underbrace{e(s_t)}_{\text{a baseline}} . \tag{bias}$$
#
# The second term does not know the action. It is a baseline (P4), and does not bias the gradient. The first does, through where the action leads, and fades with $\gamma^n$. The noise, on the other hand, grows with every reward that is looked at, if the critic is good. (A bad one is itself noisy.)
#
# **Which $n$?** One need not choose. Take all of them, with weights that fall geometrically (Watkins 1989 for the values; Schulman et al. 2016 for advantages, **GAE**):
#
# $$\hat A_t = (1 - \lambda) \sum_{n=1}^\infty \lambda^{n-1} \hat A^{(n)}_t = \sum_{l=0}^\infty (\gamma \lambda)^l\, \delta_{t+l}, \qquad\text{so that}\qquad \hat A_t = \delta_t + \gamma\lambda\, \hat A_{t+1} .$$
#
# *Because* $\gamma^l \delta_{t+l}$ is in every $\hat A^{(n)}$ with $n > l$, and the weights of these add up to $(1-\lambda) \sum_{n > l} \lambda^{n-1} = \lambda^l$. One pass backwards over the data computes it. $\lambda = 0$ trusts the critic after one step; $\lambda = 1$ only as a baseline, if the sum runs to the end.
#
# At an end the recursion starts anew: $\hat A_t = \delta_t$, where $\delta_t$ has no $\hat V(s_{t+1})$ if the step terminated, and the value of the true successor if it was only truncated.
#
# A rollout is finite. If $N$ steps are left, no estimate can look further, and the longest gets all the weight that is left over: $\lambda^{N-1}$. Without it the weights would not add up to 1. Check it on random numbers, against the recursion
# ([`gae`](../rlcourse/equations/returns.py), [`n_step_advantage`](../rlcourse/equations/actor_critic.py), [`n_step_weights`](../rlcourse/equations/actor_critic.py)):

# %%
from rlcourse.equations.actor_critic import n_step_advantage, n_step_weights
from rlcourse.equations.returns import gae

random = generator(0, "any numbers")
reward, opinion = torch.randn(6, generator=random, dtype=torch.float64), torch.randn(7, generator=random, dtype=torch.float64)
nowhere = torch.zeros(6, dtype=torch.bool)
given = reward, opinion[:-1], opinion[1:], nowhere, nowhere
weights = n_step_weights(6, 0.8)
mixture = sum(weight * n_step_advantage(*given, discount=0.9, steps=n + 1)[0] for n, weight in enumerate(weights))
print("weights of n = 1 … 6:", [round(float(w), 3) for w in weights], "sum", round(float(weights.sum()), 12))
print("mixture of n-step estimates", round(float(mixture), 10), "= recursion", round(float(gae(*given, discount=0.9, gae_lambda=0.8)[0]), 10))
exact_sum = sum(0.9**l * float(r) for l, r in enumerate(reward)) + 0.9**6 * float(opinion[-1]) - float(opinion[0])
print("λ = 1 telescopes, whatever the critic says:", abs(float(gae(*given, discount=0.9, gae_lambda=1.0)[0]) - exact_sum) < 1e-12)

# %% [markdown]
# How good is the dial? In the corridor everything about it is exact ([`advantage_moments`](../rlcourse/exact/actor_critic.py)). Play with a critic that is wrong in different ways. On the left, one estimate: its noise, and its bias, split into what is *common* to the actions of a cell (a baseline) and what differs *between* them. In the middle, the gradient made of such estimates in a batch
# (of the long-run reward, with states as often as they are visited), and its error relative to the true one; the best $\lambda$ is marked by a filled circle, the best $n$ by a diamond. On the right, sampled estimates after either action in cell 6
# (the widget is [`advantage_estimates`](../rlcourse/widgets/app/advantage_estimates.py), its numbers come from [`compute`](../rlcourse/widgets/models/advantage_estimates.py)).

# %%
from rlcourse.widgets.app.advantage_estimates import advantage_estimates

advantage_estimates()

# %% [markdown]
# **What to notice.**
#
# 1. With a perfect critic (*size of the error* 0) nothing has a bias, and $\lambda = 0$ is best at every batch: looking further only adds noise. At $\gamma = 0.95$ one estimate has about four times as much at $\lambda = 1$ as at 0, the gradient three times.
# 2. With an error that differs from cell to cell, $\lambda = 0$ leads the actor astray, by 44 % of the gradient at the start setting, and no batch is large enough to help. The best $\lambda$ lies in between (tiny batches may prefer 0). It moves up with the size of the error, and with the *batch*: noise can be averaged away, bias cannot.
# 3. At $\lambda = 1$ the gradient has no bias, however wrong the critic is. There it is a baseline and nothing else. (These walks go on for ever. A rollout that stops after $N$ steps keeps $\gamma^N e(s_{t+N})$.)
# 4. An error that is *the same in every cell* does not mislead the actor at any $\lambda$. Turn its size to 1 and look in the middle: at $\lambda = 0$ it hardly adds noise either, since $\gamma c - c$ is nearly nothing; at $\lambda = 1$ it is a bad baseline, and costs a fifth.
# 5. The best $\lambda$ is mostly a little ahead of the best $n$ (there are settings where it is behind). That, and one pass backwards over the data, are two good reasons to use it.
#
# **Where this breaks.** The formulas suppose that the rewards in the estimate were earned by the present policy. For old data they were not; with $\lambda = 0$ only one action's worth of that is in the estimate, with $\lambda = 1$ all of it.

# %% [markdown]
# ## A7 A critic that sees the action
#
# P4 forbade baselines that know the action. But a critic $Q_w(s, a)$ that does explains more of the return than $V(s)$. Can it be had after all? Yes, if one adds back what it takes away (Gu et al. 2017 call their version Q-Prop):
#
# $$\nabla J = \mathbb E\Big[\sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, \big(R_t - Q_w(s_t, a_t)\big)\Big]
#   + \mathbb E\Big[\sum_t \underbrace{\textstyle\sum_a \pi_\theta(a \mid s_t)\, \nabla \log \pi_\theta(a \mid s_t)\, Q_w(s_t, a)}_{\text{no sample needed}}\Big] .$$
#
# *Because* given $s_t$, the first term's $-Q_w$ has exactly minus the mean of the second. So the sum is unbiased **for every $Q_w$**, right or wrong. The first term has little noise if $Q_w$ is good. The second has none but that of the states, because the sum over the actions is done and not sampled. (Continuous actions need a $Q_w$ whose mean over $\pi$ is known, such as its linearisation.)
#
# Here $R_t$ is the reward-to-go. In the two rooms of lecture 03, for three steps, with every episode listed and three critics: none, half right, right; and $V(s)$ for comparison ([`control_variate_estimate`](../rlcourse/equations/control_variate.py), [`uncorrected_estimate`](../rlcourse/equations/control_variate.py),
# [`discrete_correction`](../rlcourse/equations/control_variate.py), [`finite_horizon_values`](../rlcourse/exact/evaluation.py), [`softmax_scores`](../rlcourse/exact/policy_gradient.py)):

# %%
from rlcourse.equations.control_variate import control_variate_estimate, discrete_correction, uncorrected_estimate
from rlcourse.exact.evaluation import finite_horizon_values
from rlcourse.exact.policy_gradient import softmax_scores

listed = every_batch(rooms, logits, 3)
target = gradient_by_autograd(rooms, logits, 3).flatten()
probs, (values, q_values) = torch.softmax(logits, -1), finite_horizon_values(rooms, torch.softmax(logits, -1), 3)
time, state, action = torch.arange(3)[:, None, None], listed.state[:-1], listed.action
later = reward_to_go(listed.reward, listed.terminated, listed.truncated)
both_scores = torch.stack([softmax_scores(logits, state, torch.full_like(action, a)) for a in (0, 1)], -2)  # [T, R, N, A, P]

print("critic         corrected?   bias (of ‖∇J‖)   variance")
for name, share in (("none", 0.0), ("half of Q", 0.5), ("exact Q", 1.0)):
    critic = share * q_values[time, state]  # [T, R, N, A]
    control = critic.gather(-1, action[..., None])[..., 0]
    correction = discrete_correction(both_scores, probs[state], critic)
    for corrected, terms in ((True, control_variate_estimate(listed.score, later, control, correction)),
                             (False, uncorrected_estimate(listed.score, later, control))):
        mean, spread = moments(listed.prob, terms.sum(0).mean(-2))
        print(f"{name:14} {str(corrected):10} {float((mean - target).norm() / target.norm()):12.3f} {float(spread.trace()):15.3f}")
mean, spread = moments(listed.prob, gradient_estimate(listed.score, later - values[time, state]))
print(f"{'V(s)':14} {'not needed':10} {float((mean - target).norm() / target.norm()):12.3f} {float(spread.trace()):15.3f}")

# %% [markdown]
# Corrected, the estimate is unbiased for all three critics, and the better the critic the less noise. Uncorrected, it loses exactly the share of the gradient that the critic explains: with the right critic, all of it. (What noise is left with the exact $Q$ comes from the future of a single episode and from the states.)
#
# **Where this breaks.** Look at the last line: the plain $V(s)$ brings nearly all of the gain. Tucker et al. (2018) found the same in deep learning: no less variance than with $V$ in the usual benchmarks, and reported gains that came from details of implementation, some of them biased. And the first term still needs fresh episodes. What remains is the idea, and the next section takes it to its end: throw the first term away.

# %% [markdown]
# ## A8 Old data if one asks the right question
#
# REINFORCE uses an episode once, PPO a handful of times. A **replay** keeps everything, and draws from it at random, again and again (for actor-critics Degris, White and Sutton 2012). P6 told us the price of old data: ratios. But there the *whole future* was data. A critic changes the question. A single transition $(s, a, r, s')$ contains nothing of the policy but the choice of $a$,
# and if $a$ is an *input* of the critic, it does not matter who chose it.
#
# Start from the obvious way. Let a critic learn from the replay as it stands, $y = r + \gamma\, Q(s', a')$ with the **stored** next action $a'$, and step the actor along $\nabla \log \pi_\theta(a \mid s)\, Q(s, a)$ with the **stored** $a$. **It is wrong in two places**, and both are about whose action it is.
#
# 1. *The target.* $a'$ was chosen by an old policy, so $Q$ becomes the value of a mixture of old policies, $Q^\beta$. Remedy: ask the present policy for the next action, $a' \sim \pi_\theta(\cdot \mid s')$, drawn *now*. (The stored $r$ and $s'$ are fine: they depend on $(s, a)$ alone, and $a$ is an input.)
# 2. *The gradient.* $\nabla \log \pi_\theta(a \mid s)$ must be averaged over $a \sim \pi_\theta$, and the stored $a$ is not. Remedy: draw a new one, $a^\pi \sim \pi_\theta(\cdot \mid s)$, and ask $Q(s, a^\pi)$. No environment is needed for that, and one can draw as many as one likes, which makes the noise of a weight without a baseline bearable.
#
# (With $\hat V$ and its TD error in the place of $Q$ the same two things go wrong. The result looks different: $\hat V$ becomes $V^\beta$, the mean step is along $\sum_a \beta A^\beta \nabla \log \pi$, and the actor ends one step of improvement away from $\beta$, wherever that is.)
#
# One error remains: the *states* are those of old policies. We improve the policy where it used to be. One hopes that this is where it will be, and mostly it works.
#
# Does it matter? The replay below was filled by somebody who will never learn anything: a fixed policy in the two rooms. Eight naive learners and eight corrected ones draw from it. Where each of them comes to rest can be compared with the exact values
# ([`off_policy_actor_critic`](../rlcourse/algorithms/off_policy_actor_critic.py) has a switch for each of the two places; [`Replay`](../rlcourse/data/replay.py); [`DiscreteQNet`](../rlcourse/nets/q_values.py), here a table; [`behaviour_logits`](../rlcourse/envs/two_rooms.py),
# here $\beta$ is the policy that filled the replay; [`value_iteration`](../rlcourse/exact/evaluation.py), [`one_hot`](../rlcourse/nets/policies.py)).

# %%
from rlcourse.algorithms import off_policy_actor_critic as off_policy
from rlcourse.envs.two_rooms import behaviour_logits
from rlcourse.exact.evaluation import value_iteration
from rlcourse.nets.policies import one_hot
from rlcourse.nets.q_values import DiscreteQNet


def in_a_table(logits, runs=8):
    """A policy with one row of logits for each room."""
    policy = Policy(CategoricalHead(2, 2, runs=runs, seed=0, hidden=()), rooms.action_space, lambda obs: one_hot(obs, 2))
    with torch.no_grad():
        policy.head.net.weights[0][:] = logits
    return policy


best_values, _ = value_iteration(rooms, 0.9)
old = policy_evaluation(rooms, torch.softmax(behaviour_logits(), -1), 0.9)
print("values: of the policy that filled the replay", [round(x, 1) for x in old.tolist()], "the best", [round(x, 1) for x in best_values.tolist()])
settings = off_policy.Config(total_steps=5000, discount=0.9)
for name, config in (("naive", off_policy.naive(settings)), ("corrected", settings)):
    learner, q = in_a_table(logits), DiscreteQNet(2, 2, runs=8, seed=0, hidden=(), encode=lambda obs: one_hot(obs, 2))
    source = DynamicsSource(rooms, 8, 4, random=generator(0, "old episodes"), dtype=torch.float64)
    for _ in off_policy.train(source, learner, q, config, seed=0, behaviour=in_a_table(behaviour_logits())):
        pass
    learned = learner.distribution(torch.arange(2).expand(8, 2)).probs.detach()
    reached = torch.stack([policy_evaluation(rooms, run, 0.9) for run in learned])
    print(f"{name:9} works with probability", [round(x, 1) for x in learned[..., 1].mean(0).tolist()],
          "and is worth", [round(x) for x in reached.mean(0).tolist()])
beta = torch.softmax(behaviour_logits(), -1)
imitation = beta * q_from_value(rooms, old, 0.9)
print("π ∝ β Q^β works with probability", [round(x, 1) for x in (imitation / imitation.sum(-1, keepdim=True))[:, 1].tolist()])

# %% [markdown]
# The naive learner comes to rest at a policy that *imitates the replay*, a little tilted towards what paid. That is no accident of this run. If every $Q$ is positive, $\sum_a \beta(a \mid s)\, Q(s,a)\, \nabla \log \pi(a \mid s)$ is the gradient of a weighted likelihood, and its maximum is $\pi \propto \beta\, Q^\beta$: the last line. The corrected learner reaches the best policy from the same
# data, which nobody in them was following.

# %% [markdown]
# ### Through the action: the reparameterised gradient
#
# For continuous actions there is a second way. Draw noise $\epsilon$ first, and let the action be a function of it, $a = f_\theta(s, \epsilon)$; for a Gaussian $a = \mu_\theta(s) + \sigma_\theta(s)\, \epsilon$. Then the expectation is over $\epsilon$, which does not depend on $\theta$, and the gradient goes *through* the action into the critic:
#
# $$\nabla_\theta\, \mathbb E_{a \sim \pi_\theta}\big[Q(s, a)\big] = \mathbb E_\epsilon\big[\nabla_a Q(s, a)\; \nabla_\theta f_\theta(s, \epsilon)\big] .$$
#
# The score function needs only numbers from $Q$; this needs its slope. (For a fixed $Q$ that can be differentiated.) It is usually less noisy, and it believes the critic more deeply: in its slopes, not only in its heights.
#
# **Where this breaks.** Discrete actions have no slope. And a critic that was fitted to heights may have wrong slopes.
#
# ### Soft actor-critic
#
# **SAC** (Haarnoja et al. 2018) puts all this together, and adds one thing. It rewards *entropy*: it maximises $\mathbb E \sum_t \gamma^t \big(r_t + \alpha\, H(\pi(\cdot \mid s_t))\big)$, where $H(\pi) = -\mathbb E \log \pi$, so that the policy keeps trying as long as trying costs little. The critics' target and the actor's loss are
#
# $$y = r + \gamma\,(1 - \text{terminated}) \Big(\min_{i=1,2} \bar Q_{i}(s', a') - \alpha \log \pi_\theta(a' \mid s')\Big),$$
#
# $$\ell_\pi = \alpha \log \pi_\theta(a \mid s) - \min_{i=1,2} Q_i(s, a), \quad a = f_\theta(s, \epsilon) .$$
#
# Two critics, of which the smaller is believed, because an actor that climbs a critic finds its errors (Fujimoto, van Hoof and Meger 2018; lecture 05). The $\bar Q_i$ are copies of them that follow slowly. The temperature $\alpha$ is tuned so that the policy has a given entropy (Haarnoja et al. 2018b).
#
# Are these formulas right? There is a problem with continuous actions where everything is known: linear dynamics with quadratic costs ([`soft_lqr`](../rlcourse/exact/soft_lqr.py)). At the optimum, $Q$ must reproduce itself through the target, and the actor's loss must have no slope. We test both by quadrature over the policy's actions, and, as a control,
# the same with the entropy's sign turned ([`sac_target`](../rlcourse/equations/soft_actor_critic.py), [`actor_loss`](../rlcourse/equations/soft_actor_critic.py)).


# %%
from rlcourse.equations.soft_actor_critic import actor_loss, sac_target
from rlcourse.exact import soft_lqr

eye = torch.eye(1, dtype=torch.float64)
problem = soft_lqr.LinearQuadratic(eye, eye, 2 * eye, 2 * eye)  # s' = s + a, reward −s² − a²
best = soft_lqr.solve(problem, temperature=0.5, discount=0.9)
points, weights = (torch.as_tensor(x) for x in np.polynomial.hermite_e.hermegauss(20))  # exact averages over noise
weights = weights / weights.sum()


def act(state, gain, log_std):
    """Actions and their log densities at every noise point: [B, 20] each."""
    action = -gain * state[:, None] + log_std.exp() * points
    return action, (-0.5 * points**2 - log_std - 0.5 * np.log(2 * np.pi)).expand_as(action)


def q_of(state, action):
    return soft_lqr.soft_q(problem, best.curvature, best.constant, state.expand_as(action)[..., None], action[..., None], discount=0.9)


state, taken = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64), torch.tensor([0.3, -0.7, -1.0], dtype=torch.float64)
gain, log_std = best.gain[0, 0].clone().requires_grad_(), (0.5 * best.action_cov[0, 0].log()).clone().requires_grad_()
for name, sign in (("as it stands", 1.0), ("sign of the entropy turned", -1.0)):
    next_action, log_prob = act(state + taken, gain, log_std)
    following = q_of((state + taken)[:, None], next_action)
    reward = (-state**2 - taken**2)[:, None].expand_as(following)
    target = sac_target(reward, following, sign * log_prob, torch.zeros_like(following, dtype=torch.bool), discount=0.9, temperature=0.5)
    off = float((target @ weights - q_of(state[:, None], taken[:, None])[:, 0]).abs().max())
    drawn, log_prob = act(state, gain, log_std)
    loss = (actor_loss(sign * log_prob, q_of(state[:, None], drawn), temperature=0.5) @ weights).sum()
    slopes = torch.autograd.grad(loss, (gain, log_std))
    print(f"{name}: target misses Q by {off:.4f}; "
          f"actor's slopes in gain, log σ {float(slopes[0].round(decimals=6)) + 0.0:.4f} and {float(slopes[1].round(decimals=6)) + 0.0:.4f}")

# %% [markdown]
# With the right sign the best policy is where everything rests. With the wrong one it is not: a lower $\log \sigma$ would lower the actor's loss, so that it wants to be rid of the noise. (The entropy does not depend on the gain, so this test sees no error there.)
#
# Now live: pendulums that start at any angle, have to be swung up and held, and are pushed by a torque $u$ between −2 and 2, too weak to lift them at once. The reward is $-(\theta^2 + 0.1\, \dot\theta^2 + 0.001\, u^2)$, with the angle $\theta$ measured from the top. An episode has 200 steps; −200 is a good one, −1200 what a beginner gets.
#
# *Read the code:* [`sac`](../rlcourse/algorithms/sac.py), [`Pendulum`](../rlcourse/envs/pendulum.py) (Gymnasium's), [`SquashedGaussianHead`](../rlcourse/nets/heads_squashed.py) (a Gaussian pressed into the range of the torque by $\tanh$), [`QNet`](../rlcourse/nets/q_values.py),
# [`learning_and_picture`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import sac
from rlcourse.envs.pendulum import Pendulum
from rlcourse.nets.heads_squashed import SquashedGaussianHead
from rlcourse.nets.q_values import QNet
from rlcourse.plots.learning import learning_and_picture

pendulum = Pendulum()
source, config = DynamicsSource(pendulum, runs, 8, random=generator(0, "pendulum")), sac.Config()
actor = Policy(SquashedGaussianHead(3, 1, runs=runs, seed=0, low=-2.0, high=2.0, dtype=torch.float32), pendulum.action_space)
critic = QNet(3, 1, runs=runs, seed=0, dtype=torch.float32)
swung = watch(sac.train(source, actor, critic, config, seed=0), config.total_steps, runs=runs, describe=describe, name="SAC", size=(9, 3),
              draw=learning_and_picture(source, "SAC on the pendulum", total=config.total_steps, bottom=-1600, top=0, threshold=-200))

# %% [markdown]
# The curve moves in stairs: all episodes have 200 steps and end together. It first falls: the earliest critics are wrong, and the actor believes them. How good are the eight policies when they no longer explore ([`episodes`](../rlcourse/data/episodes.py), [`mean_return`](../rlcourse/data/evaluate.py))? And this is what the first of them does ([`one_episode`](../rlcourse/data/episodes.py), [`film`](../rlcourse/plots/control.py)).

# %%
from rlcourse.data.episodes import episodes, one_episode
from rlcourse.data.evaluate import mean_return
from rlcourse.plots.control import film

greedy = mean_return(episodes(DynamicsSource(pendulum, runs, 20, random=generator(0, "examination")), swung.policy))
print("mean of 20 episodes at least −200 in at least 7 of the 8 runs:", int((greedy >= -200).sum()) >= 7)
print(f"experience: {config.total_steps:,} steps for each run, {config.total_steps // 200} episodes; every stored transition was used about "
      f"{config.batch_size * config.updates / (config.horizon * 8):.0f} times")

# %% tags=["unstable-picture"]
film(pendulum, one_episode(pendulum, swung.policy, run=0, seed=1))

# %% [markdown]
# **What to notice.** Seventy-five episodes for each run are enough. Each transition takes part in about eight updates, and each update asks the critic about actions that nobody ever took. (How much of that is the replay's merit only a comparison on the same task could show.)
#
# **Where this breaks.** All of this rests on $Q(s, a^\pi)$ being right *at actions that are not in the data*. While the policy goes on acting, errors there are found out and corrected. Without fresh data nobody corrects them (lecture 10). And the maximisation hidden in "climb the critic" has a bias of its own, which is why there are two critics here (lecture 05).

# %% [markdown]
# ## Questions you may have
#
# **Which λ should I use?** 0.9 to 0.95 is a good first guess for PPO and A2C, where the critic is wrong and batches are large. If your critic is good and your batches are small, less.
#
# **What does the entropy do in SAC?** It keeps the policy trying, keeps the critics from being climbed at a single point, and spares a schedule for the noise. It is not what makes SAC off-policy: that is the critic of actions.
#
# **Why does PPO not use a replay?** Its advantages are made of rewards that *followed*, under the policy of that time. A replayed reward-to-go belongs to an old policy, and needs the ratios of P6. One transition needs none.
#
# ## What to take along
#
# - A critic replaces the noise of the future by its own error. Monte Carlo and bootstrapping are the two ends of a dial; $\lambda$ turns it, and its best position depends on the critic's error *and* on the batch.
# - An error that is the same for all actions is a baseline and does not bias the gradient. What misleads the actor is an error that differs with where the action leads.
# - Terminated: nothing follows. Truncated: the value of the true successor does.
# - A critic of actions may be subtracted, if its expectation is added back.
# - From a replay, ask for $Q(s, a)$ with today's actions, in the target and in the gradient. The stored $r$ and $s'$ are fine, the stored next action is not.
#
# The actor is there to find good actions, and $Q$ knows which they are. [Lecture 05](../README.md) asks whether one can do without the actor.
#
# **Exercise.** [Write the targets and the advantages](../exercises/04_actor_critic.ipynb), a soft target, a squashed density, a critic that sees the action, and find out why a pond stays empty.
#
# ## References
#
# - T. Degris, M. White, R. S. Sutton (2012). Off-policy actor-critic. *ICML*.
# - S. Fujimoto, H. van Hoof, D. Meger (2018). Addressing function approximation error in actor-critic methods. *ICML*.
# - S. Gu, T. Lillicrap, Z. Ghahramani, R. E. Turner, S. Levine (2017). Q-Prop: sample-efficient policy gradient with an off-policy critic. *ICLR*.
# - T. Haarnoja, A. Zhou, P. Abbeel, S. Levine (2018). Soft actor-critic: off-policy maximum entropy deep reinforcement learning with a stochastic actor. *ICML*.
# - T. Haarnoja et al. (2018b). Soft actor-critic algorithms and applications. arXiv 1812.05905.
# - V. Konda, J. Tsitsiklis (2000). Actor-critic algorithms. *NIPS*.
# - V. Mnih et al. (2016). Asynchronous methods for deep reinforcement learning. *ICML*.
# - J. Schulman, P. Moritz, S. Levine, M. Jordan, P. Abbeel (2016). High-dimensional continuous control using generalized advantage estimation. *ICLR*.
# - R. S. Sutton (1988). Learning to predict by the methods of temporal differences. *Machine Learning* 3.
# - G. Tucker, S. Bhupatiraju, S. Gu, R. E. Turner, Z. Ghahramani, S. Levine (2018). The mirage of action-dependent baselines in reinforcement learning. *ICML*.
# - C. J. C. H. Watkins (1989). Learning from delayed rewards. PhD thesis, King's College, Cambridge.
