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
# # Lecture 05b · Q-learning in practice: what the maximum does to errors
#
# Lecture 05a ended with a learner that works: a network, a replay, and a target that stands still. Its whole idea is
# one number,
#
# $$y = r + \gamma\,(1 - \text{terminated})\, \max_{a'} Q_{\phi'}(s', a') ,$$
#
# where $\phi$ are the parameters of the network that learns, and $\phi'$ the older ones of the target network. In
# this lecture we take the number apart. Its maximum turns noise into optimism (Q6). Its single reward makes news
# travel slowly (Q7). And if actions are not a list but numbers, such as the torque of a motor, the maximum is a
# problem of its own (Q8). At the end there is a list of what to do when you build one (Q9).
#
# **You need** lecture 05a: the target (Q1), the $\varepsilon$-greedy policy (Q3), replay and target network (Q4).
# From lecture 04 you need the bias and noise of a target (A1), and the reparameterised gradient (A8).
#
# **You will be able to**
#
# - prove that a maximum of estimates is too large, say how much, and say what two estimators change and what they
#   do not;
# - measure whether a trained network believes too much;
# - write targets over several steps, and say when old data spoil them and what can be done;
# - find the best of infinitely many actions in three ways;
# - read a DQN's settings and know what each is there for.

# %%
from rlcourse.notebook import start

start()

# %% [markdown]
# ## Q6 Overestimation
#
# ### The largest of several estimates
#
# Ten slot machines pay 0 on average. You try each four times and write down the averages. Which machine is best, and
# what is it worth? You will name the largest of your ten averages. You chose it *because* it is large, and most
# likely it is large because it was lucky.
#
# In general, let $q_a$ be the true values of $A$ actions, and $\hat Q_a$ estimates that are right on average,
# $\mathbb E\, \hat Q_a = q_a$. Then
#
# $$\mathbb E\big[\max_a \hat Q_a\big] \;\ge\; \max_a q_a . \tag{max}$$
#
# *Proof.* For every fixed action $b$, always, $\max_a \hat Q_a \ge \hat Q_b$. Take expectations:
# $\mathbb E \max_a \hat Q_a \ge q_b$. This holds for every $b$, hence for the best one. ∎
#
# There is equality only if the best action has the largest estimate with probability 1. (It is Jensen's inequality
# for the convex function $\max$.) No action is overestimated on average; *the choice* makes the error.
#
# Q-learning chooses in every target, and each target is built on earlier ones. Let every maximum be too large by $b$.
# Then all values are too large by the $e$ that satisfies $e = \gamma\,(e + b)$, which is
# $e = \gamma b / (1 - \gamma)$: for $\gamma = 0.99$, 99 times $b$ (Thrun and Schwartz 1993).
#
# How large is it? If the estimates are Gaussian and independent, the probability that the largest is below $x$ is a
# product of $A$ probabilities, and $\mathbb E \max$ is one integral
# ([`expected_max`](../rlcourse/exact/max_bias.py)). For equal actions with standard deviation $\sigma$ it is $\sigma$
# times a number that depends on $A$ alone:

# %%
import numpy as np
import torch

from rlcourse.exact.max_bias import expected_clipped_double, expected_double, expected_max


def equal(actions, std=1.0):
    """(true values, standard deviations) of actions that are all worth 0."""
    value = torch.zeros(actions, dtype=torch.float64)
    return value, value + std


counts = (1, 2, 3, 10, 30, 100)
print("actions        " + "".join(f"{count:8}" for count in counts))
print("E max, σ = 1   " + "".join(f"{abs(expected_max(*equal(count))):8.3f}" for count in counts))

# %% [markdown]
# ### Two opinions
#
# The remedy is in the diagnosis. If choosing spoils the numbers that were used for the choice, use *other* numbers to
# say what the choice is worth (van Hasselt 2010). Let $\hat Q'$ be a second set of estimates, from other data:
#
# $$\text{single:}\;\; \hat Q_{a^*}, \qquad \text{double:}\;\; \hat Q'_{a^*}, \qquad
#   a^* = \arg\max_a \hat Q_a .$$
#
# Since $\hat Q'$ knows nothing of the luck that chose $a^*$, its mean is the true value of what was chosen,
# $\mathbb E\, \hat Q'_{a^*} = \mathbb E\, q_{a^*}$. An average of true values is at most the largest of them:
#
# $$\mathbb E\, \hat Q'_{a^*} = \mathbb E\, q_{a^*} \;\le\; \max_a q_a \;\le\; \mathbb E\, \hat Q_{a^*} . \tag{double}$$
#
# So double estimation does not remove the bias, it turns it round: it *under*estimates, unless the best action is
# always chosen or all are worth the same. And (double) needs the two to be **independent**. Suppose that they share
# a part $c$ of their samples; the correlation of their errors is then $c$. For Gaussian errors of equal size, if the
# first estimate is off by $e$, the second is off by $c\,e$ on average. So
#
# $$\mathbb E\, \hat Q'_{a^*} = \mathbb E\, q_{a^*}
#   + c\, \big(\mathbb E\, \hat Q_{a^*} - \mathbb E\, q_{a^*}\big) .$$
#
# A part $c$ of the single estimator's error comes back. **Clipped double** estimation takes the smaller of both,
# $\min(\hat Q_{a^*}, \hat Q'_{a^*})$ (Fujimoto, van Hoof and Meger 2018).
#
# Answer the question, then play. All means are exact; the widget is
# [`overestimation`](../rlcourse/widgets/app/overestimation.py), its numbers come from
# [`compute`](../rlcourse/widgets/models/overestimation.py).

# %%
from rlcourse.widgets.app.overestimation import overestimation

overestimation()

# %% [markdown]
# Some of its settings as a table. The largest true value is always 0.

# %%
from rlcourse.widgets.models.overestimation import compute


def signed(number, digits=3):
    """With its sign, and without one if it is rounded to 0."""
    return f"{number:+9.{digits}f}" if abs(number) >= 0.5 * 10**-digits else f"{0:9.{digits}f}"


print("actions  samples  gap  shared   single   double  clipped   best action chosen")
for actions, samples, gap, shared in (
        (2, 4, 0, 0), (10, 4, 0, 0), (30, 4, 0, 0), (10, 16, 0, 0), (10, 1, 0.5, 0),
        (10, 4, 0, 0.5), (10, 4, 0, 0.9), (1, 4, 0, 0)):
    frame = compute(actions, 1.0, samples, gap, shared, 1)
    means = "".join(signed(mean) for mean in frame.exact)
    print(f"{actions:7} {samples:8} {gap:4} {shared:7}{means} {frame.right:14.0%}")

# %% [markdown]
# **What to notice.**
#
# 1. *More actions* make the single estimator worse, slowly. *More samples* help as $1/\sqrt n$: four times the
#    samples, half the error.
# 2. With equal actions the double estimator has no bias at all: whatever it chooses is worth 0. When one action is
#    ahead (gap 0.5, one sample) it says −0.4: it speaks of an action that is not the best in four cases of five.
# 3. *Shared samples* bring the error back. At $c = 0.9$ the double estimator has nine tenths of the single one's
#    bias. Two networks that are trained on one replay, or a network and its copy of a little while ago, are like
#    that.
# 4. The clipped estimator is the lowest everywhere. With one action there is nothing to choose and nobody should be
#    biased; it is, by −0.282, since the smaller of two noisy numbers is too small.
#
# ### The same in targets
#
# In a target the two sets of estimates are two tables or two networks. Three forms:
#
# $$\begin{aligned}
# \text{single:}  &\quad y = r + \gamma\, Q_{\phi'}\big(s', \arg\max_{a'} Q_{\phi'}(s', a')\big)\\
# \text{double:}  &\quad y = r + \gamma\, Q_{\phi'}\big(s', \arg\max_{a'} Q_{\phi}(s', a')\big)\\
# \text{clipped:} &\quad y = r + \gamma\, \textstyle\min_i Q_{i}\big(s', \arg\max_{a'} Q_{1}(s', a')\big)
# \end{aligned}$$
#
# (Behind a termination the second term is missing.) The first *is* the target of DQN, written at length:
# $\max_a Q = Q(\arg\max Q)$. With two tables, a coin decides in each step which of them learns; that one chooses, the
# other evaluates (van Hasselt 2010). In the deep form the network $\phi$ chooses, and $\phi'$, which is there
# anyway, evaluates (van Hasselt, Guez and Silver 2016).
#
# Two slips are frequent in notes: to let $\phi'$ choose as well, and to write $\max$ where $\arg\max$ is meant.
# The first leaves nothing of the idea; it is the single target. The check is one line with
# [`double_q_target`](../rlcourse/equations/td.py), [`q_target`](../rlcourse/equations/td.py) and
# [`clipped_double_q_target`](../rlcourse/equations/td.py): 200,000 pairs of noisy values of ten equal actions, whose
# errors have correlation $c$, with $r = 0$ and $\gamma = 1$. Beside each mean is the exact one from
# [`expected_double`](../rlcourse/exact/max_bias.py) and
# [`expected_clipped_double`](../rlcourse/exact/max_bias.py). (*Read the code of the luck:*
# [`generator`](../rlcourse/core/seeding.py).)

# %%
from rlcourse.core.seeding import generator
from rlcourse.equations.td import clipped_double_q_target, double_q_target, q_target

count = 200_000
nothing, goes_on = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.bool)
older, fresh = torch.randn(2, count, 10, generator=generator(0, "errors"), dtype=torch.float64)
print("               φ chooses,         φ' chooses,        clipped          DQN's own")
print("correlation    φ' evaluates       φ' evaluates                        target")
for c in (0.0, 0.5, 0.9):
    q = c * older + (1 - c**2) ** 0.5 * fresh  # Q_φ(s', ·); Q_φ'(s', ·) is `older`
    rows = ((double_q_target, q, expected_double(*equal(10), correlation=c)),
            (double_q_target, older, expected_max(*equal(10))),
            (clipped_double_q_target, q, expected_clipped_double(*equal(10), correlation=c)))
    line = f"{c:11}"
    for rule, chooses, exact in rows:
        mean = rule(nothing, chooses, older, goes_on, discount=1.0).mean()
        line += f"{mean:10.3f} ({exact:6.3f})"
    print(line + f"{q_target(nothing, older, goes_on, discount=1.0).mean():10.3f}")

# %% [markdown]
# ### In a table: a casino that one should leave
#
# Here is a world in which optimism costs something (Sutton and Barto 2018, example 6.7). At the *start* one can leave,
# for 0, or enter a casino. It has ten machines, each of which pays $\mathcal N(-0.1,\, 1)$ and ends the episode. So
# entering is worth −0.1, and leaving 0. But the target for entering is the largest of ten estimates.
#
# First an experiment whose result can be computed. Eight hundred learners of each kind are made to enter and to play
# machines at random. With a constant rate $\alpha = 0.1$ an estimate is an average with geometric weights,
# $\sum_k \alpha (1 - \alpha)^k r_k$, and so a Gaussian with variance
# $\alpha^2 \sum_k (1-\alpha)^{2k} = \alpha / (2 - \alpha)$, around −0.1. In the long run the value of entering must
# then be the $\mathbb E \max$ of ten such numbers for single Q-learning, and −0.1 for double.
#
# *Read the code:* [`maximisation_bias`](../rlcourse/envs/maximisation_bias.py),
# [`q_learning`](../rlcourse/algorithms/q_learning.py), [`DynamicsSource`](../rlcourse/data/sources.py),
# [`mean_interval`](../rlcourse/results/intervals.py).

# %%
from rlcourse.algorithms import q_learning
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.maximisation_bias import maximisation_bias
from rlcourse.results.intervals import mean_interval

casino, rate, learners = maximisation_bias(10), 0.1, 800


def play(rule, steps, every, behaviour=None):
    source = DynamicsSource(casino, learners, 1, random=generator(0, f"casino {rule}"),
                            dtype=torch.float64)
    config = q_learning.Config(rule=rule, total_steps=steps, report_every=every,
                               learning_rate=rate, discount=1.0)
    return q_learning.train(source, 3, config, seed=0, behaviour=behaviour)


gambler = torch.full((3, 10), 0.1, dtype=torch.float64)
gambler[0] = torch.eye(10)[1]  # at the start action 1, which enters
means, stds = equal(10, (rate / (2 - rate)) ** 0.5)
exact = {"q": expected_max(means - 0.1, stds), "double_q": expected_double(means - 0.1, stds)}
print("value of entering: learned, with 95 % interval      exact")
for rule in ("q", "double_q"):
    *_, last = play(rule, 2400, 2400, gambler)
    mean, low, high = mean_interval(last.q_values[:, 0, 1].numpy())
    print(f"{rule:10}{mean:12.3f} [{low:.3f}, {high:.3f}] {exact[rule]:22.3f}")

# %% [markdown]
# Now they act for themselves, $\varepsilon$-greedily with $\varepsilon = 0.1$, and begin with tables of zeros. How
# many of them think that one should enter ([`curves`](../rlcourse/plots/curves.py))?

# %%
from rlcourse.plots.curves import curves

series, at = {}, {}
for rule, name in (("q", "Q-learning"), ("double_q", "double Q-learning")):
    steps, entering, belief = [], [], []
    for snapshot in play(rule, 1500, 50):
        steps.append(snapshot.step)
        would_enter = snapshot.q_values[:, 0].argmax(-1) == 1
        entering.append(mean_interval(would_enter.double().numpy()))
        belief.append(snapshot.q_values[:, 0, 1].mean())
    series[name], at[name] = (steps, *100 * np.array(entering).T), (entering, belief)
shown = (0, 4, 9, 19, 29)
print(f"{'after … steps':38}" + "".join(f"{steps[i]:9}" for i in shown))
for name, (entering, belief) in at.items():
    share = [100 * entering[i][0] for i in shown]
    print(f"{name + ': % who would enter':38}" + "".join(f"{percent:9.1f}" for percent in share))
    print(f"{name + ': value of entering':38}" + "".join(signed(belief[i]) for i in shown))
curves(series, xlabel="steps of each learner", ylabel="% who would enter",
       title="Who would enter the casino (800 learners, 95 % Student interval)")

# %% [markdown]
# **What to notice.** After 250 steps four in ten Q-learners would enter, for a value that is really −0.1; of the double
# learners one in thirty. The optimism of Q-learning does go away, and for an instructive reason: who believes in the
# casino goes there, and learns what it is like. *Optimism that is acted on is corrected.* In a record that somebody
# else has left behind nobody goes to look (the gamblers above, who did not choose: +0.25 for ever; lecture 10).

# %% [markdown]
# ### In a network: does a DQN believe too much?
#
# A network's errors are not Gaussian, nor independent, and nobody knows how large they are. But whether it believes
# too much can be measured. At the starts of some episodes it *says* $\max_a Q_\phi(s_0, a)$; from there its greedy
# policy *earns* a discounted return. In CartPole there is a third number. It pays 1 for each step, so no policy at all
# can earn more than
#
# $$\sum_{t=0}^{\infty} \gamma^t = \frac{1}{1 - \gamma} = 100 \quad (\gamma = 0.99) ,$$
#
# or $(1 - 0.99^{500})/(1 - 0.99) = 99.3$ in an episode of 500 steps. And while it learns there is a fourth. An exact
# backup raises the largest value from $m$ to at most $1 + \gamma m$. After $k$ copies to the target network, starting
# from nearly 0, no value can be above $1 + \gamma + \dots + \gamma^k$. Whatever is above that line is error.
#
# CartPole has two actions, which is little for a maximum to choose from. So we build a second version with twenty
# buttons: even ones push to the left, odd ones to the right. It is the same problem, with the same values, and the
# widget's first slider far to the right.
#
# We use one-step targets, a copy to the target network every 16 updates, and 20,000 steps of each run; all else is as
# in [`dqn`](../rlcourse/algorithms/dqn.py). (Its own settings are gentler: ten steps, a copy every 64. Why, is Q7 and
# Q9.)
#
# *Read the code:* [`CartPole`](../rlcourse/envs/cartpole.py), [`Discrete`](../rlcourse/core/spaces.py),
# [`DiscreteQNet`](../rlcourse/nets/q_values.py), [`episodes`](../rlcourse/data/episodes.py),
# [`mean_return`](../rlcourse/data/evaluate.py).

# %%
from dataclasses import dataclass

from rlcourse.algorithms import dqn
from rlcourse.core.spaces import Discrete
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.q_values import DiscreteQNet


@dataclass(frozen=True, eq=False)
class Buttons(CartPole):
    """CartPole with many buttons: even ones push to the left, odd ones to the right."""

    buttons: int = 20

    @property
    def action_space(self):
        return Discrete(self.buttons)

    def transition(self, state, action, noise=None):
        return super().transition(state, action % 2)


# %%
runs = 8


def examined(training, test, says, log, discount, every=2000):
    """Pass on the snapshots; now and then note what the critic says and its greedy policy earns."""
    for snapshot in training:
        if snapshot.step >= every * (1 + len(log)):
            batch = episodes(test, snapshot.policy)
            with torch.no_grad():
                at_the_starts = says(snapshot, batch.obs[0])
            log.append((snapshot.step, at_the_starts.numpy(), mean_return(batch, discount).numpy()))
        yield snapshot


def compared(training, source, shares):
    """Pass on the snapshots; note in how many states φ and φ' name different best actions."""
    for number, snapshot in enumerate(training):
        if number % 2 == 0:  # with a copy every 16 updates, half-way between two copies
            with torch.no_grad():
                best, older = snapshot.critic(source.obs), snapshot.target(source.obs)
            shares.append((best.argmax(-1) != older.argmax(-1)).double().mean())
        yield snapshot


# %%
def learn(buttons, config):
    """Eight runs: returns, what was said and earned at eight starts, how often φ and φ' differ."""
    world, log, shares = Buttons(buttons=buttons), [], []
    source, test = (DynamicsSource(world, runs, 8, random=generator(0, name))
                    for name in ("poles", "test"))
    critic = DiscreteQNet(4, buttons, runs=runs, seed=0, dtype=torch.float32)
    training = compared(dqn.train(source, critic, config, seed=0), source, shares)
    *_, last = examined(training, test, lambda now, obs: now.critic(obs).amax(-1).mean(-1), log,
                        config.discount)
    return last.curve, log, float(torch.stack(shares).mean())


def most_after(steps, config):
    """1 + γ + …: the most that exact backups can have found after so many steps of a run."""
    rounds = (np.asarray(steps) - config.random_steps) // (8 * config.horizon) + 1
    copies = rounds * config.updates // config.follow_every
    return (1 - config.discount ** (config.n_step * (copies + 1))) / (1 - config.discount)


# %% [markdown]
# Four trainings of eight runs each. The bands reach from the lowest to the highest run, so nothing is hidden by an
# average ([`panels`](../rlcourse/plots/curves.py)).

# %% tags=["unstable-picture"]
from dataclasses import replace

from rlcourse.plots.curves import panels

one_step = dqn.Config(total_steps=20_000, n_step=1, follow_every=16)
logs, returns, differ = {}, {}, {}
for buttons in (2, 20):
    for name, double in (("single", False), ("double", True)):
        key = buttons, name
        returns[key], logs[key], differ[key] = learn(buttons, replace(one_step, double=double))


def with_range(log, which):
    steps, values = [row[0] for row in log], np.array([row[which] for row in log])
    return steps, values.mean(1), values.min(1), values.max(1)


def panel(buttons):
    lines = {f"{name} {what}": with_range(logs[buttons, name], which)
             for which, what in ((1, "says"), (2, "earns")) for name in ("single", "double")}
    steps = [row[0] for row in logs[buttons, "double"]]
    lines["most that backups allow"] = steps, most_after(steps, one_step)
    return {"title": f"{buttons} buttons", "series": lines, "log": "y",
            "xlabel": "environment steps of each run", "ylabel": "discounted return"}


panels([panel(2), panel(20)])

# %%
print("after 12,000 steps; runs in which the mean over 8 starts is ...    above 100    below 100")
for (buttons, name), log in logs.items():
    step, says, earns = next(row for row in log if row[0] >= 12_000)
    print(f"{f'{buttons} buttons, {name}':62} {(says > 100).sum():6} of {runs}"
          f" {(says < 100).sum():8} of {runs}")
most = most_after(step, one_step)
print(f"exact backups allow {most:.1f} by then; with 2 buttons more is said by", ", ".join(
    f"{(logs[2, name][5][1] > most).sum()} of {runs} ({name})" for name in ("single", "double")))
print("half-way between two copies φ and φ' name different best actions in ...")
for (buttons, name), share in differ.items():
    words = "fewer than 40 %" if share < 0.4 else "more than 60 %" if share > 0.6 else "about half"
    print(f"{buttons:4} buttons, {name}: {words} of the states")

# %% [markdown]
# **What to notice.**
#
# 1. With twenty buttons the single target promises, in every run, more than any policy in this world can earn. It
#    crosses the line of exact backups early. All that is above the line is error, and the next targets are built on it.
# 2. With the double target this takes longer: it keeps near the line, below 100 in every run after 12,000 steps. The
#    two networks are at most 16 updates apart, and yet in most states they disagree on *which* button is best. That is
#    what double Q lives on.
# 3. With two buttons the two targets can hardly be told apart, and both say more than exact backups allow. In most
#    states both networks name the same action, and then the two targets are the same number. What is wrong with the
#    values is wrong with both networks alike, and double Q is no cure for that.
# 4. What the policies earn differs little on average, and lies far below the promises of the single target. An error
#    that is the same for all actions does not change which of them is best. Overestimation does harm where it differs
#    between actions. (Single runs may fall deep: look at the green band on the right.)
#
# **Where this breaks.** Let us hurry: a copy every four updates instead of sixteen, two buttons, double targets.

# %%
hasty = learn(2, replace(one_step, total_steps=8000, follow_every=4))[1][-1][1]
print(f"after 8,000 steps: above 100 in {(hasty > 100).sum()} of {runs} runs; above 10,000",
      "in at least 6" if (hasty > 10_000).sum() >= 6 else "in fewer than 6")

# %% [markdown]
# That is not the bias of a maximum, it is the divergence of 05a (Q2): errors that feed on themselves. So "double Q
# always" is good advice (it costs one more pass of the network), and "double Q makes the problem go away" is not
# true.

# %% [markdown]
# ## Q7 n-step targets
#
# ### How far does news travel?
#
# In the picture above the values rose slowly for another reason: the line of exact backups itself is slow. A one-step
# target moves a reward back by one step for each copy of the target network. To know what happens in a hundred steps
# takes a hundred copies. Why not look $N$ steps ahead?
#
# $$y_t = \sum_{t'=t}^{t+N-1} \gamma^{\,t'-t}\, r_{t'} \;+\; \gamma^N \max_{a} Q_{\phi'}(s_{t+N}, a) . \tag{N}$$
#
# (The exponent is $t' - t$, the age of the reward as seen from $t$. The other sign, found in print, makes later
# rewards count *more*. And the sum ends at an end of the episode: at a termination nothing follows, at a time limit
# the value of the true successor, with $\gamma$ to the number of steps really made.)
#
# This is the dial of lecture 04, A6, and it turns the same way. $N = 1$ has the most bias, as all but one reward is the
# critic's opinion, and the least noise. A large $N$ has little bias, since the error of the opinion is multiplied by
# $\gamma^N$, and much noise. Exactly, for the corridor of lecture 04, its walker, and a critic that knows nothing yet
# ($\hat V = 0$); root mean square over the cells:
#
# *Read the code:* [`corridor`](../rlcourse/envs/corridor.py), [`corridor_policy`](../rlcourse/envs/corridor.py),
# [`target_moments`](../rlcourse/exact/actor_critic.py).

# %%
from rlcourse.envs.corridor import corridor, corridor_policy
from rlcourse.exact.actor_critic import target_moments

walk, policy, ignorant = corridor(), corridor_policy(), torch.zeros(8, dtype=torch.float64)
print("N              bias     noise")
for steps in (1, 3, 10, 30, 100):
    bias, variance = target_moments(walk, policy, ignorant, discount=0.95, steps=steps)
    print(f"{steps:<10} {bias.square().mean().sqrt():8.3f} {variance.mean().sqrt():9.3f}")

# %% [markdown]
# ### When is it right?
#
# A one-step target may be made of anybody's data: $a_t$ is an argument of $Q$. What about (N)? Read it from left to
# right. The reward $r_t$ belongs to $a_t$, which is free. The rewards $r_{t+1}, \dots, r_{t+N-1}$ were earned by
# $a_{t+1}, \dots, a_{t+N-1}$, **and those were chosen by whoever acted**. The last action, in $s_{t+N}$, is chosen by
# the maximum. So
#
# > (N) has the right mean for a policy $\pi$ if $a_{t+1}, \dots, a_{t+N-1}$ are $\pi$'s. For $N = 1$ there are none of
# > them; for Q-learning, where $\pi$ is greedy, they must all be greedy.
#
# What can be done about actions that are not?
#
# 1. **Nothing.** With small $N$ and recent data, gathered with little exploration, it often works well. It is what
#    most DQNs do, ours included.
# 2. **Cut the trace:** end the sum in front of the first action that is not greedy, with the maximum in its place
#    (Watkins 1989). Right, but with much exploration the sums are short.
# 3. **Weigh.** Write the target with TD errors, as in lecture 04 (A6), and give each a weight. With
#    $\delta_k = r_k + \gamma\, \mathbb E_{a \sim \pi} Q(s_{k+1}, a) - Q(s_k, a_k)$,
#
# $$y_t = Q(s_t, a_t) + \sum_{k=t}^{t+N-1} \gamma^{k-t}\, (c_{t+1} \cdots c_k)\, \delta_k .$$
#
# If $Q = Q^\pi$, each $\delta_k$ has the mean 0 whoever chose $a_k$. So the *right* values reproduce themselves for
# **any** traces $c$. From other values one wants to be brought closer. Importance weights
# $c = \rho = \pi(a \mid s) / \pi_\beta(a \mid s)$ do that, with the variance of a product (P6). **Retrace** takes
# $c = \lambda \min(1, \rho)$, which cannot blow up, and still brings the mean closer by a factor $\gamma$ at least
# (Munos, Stepleton, Harutyunyan and Bellemare 2016). If $\pi$ is greedy, $\min(1, \rho)$ is 1 for the greedy action
# and 0 for all others: then Retrace *is* the cut trace.
#
# The fork of lecture 04 (A8) shows all of it with two possible records. One can take 2 and stop, or go on to two
# doors, of which one pays 1 and the other 4; $\gamma = 0.8$. The record is that of somebody who takes the good door one
# time in four. The pair in question is (fork, go on), worth $0.8 \cdot 4 = 3.2$ to a greedy policy that takes the good
# door. Mean and standard deviation of a two-step target, with a $Q$ that knows nothing and with the right $Q$:
#
# *Read the code:* [`n_step_target`](../rlcourse/equations/n_step.py),
# [`trace_target`](../rlcourse/equations/n_step.py),
# [`retrace_coefficients`](../rlcourse/equations/n_step.py),
# [`watkins_coefficients`](../rlcourse/equations/n_step.py).

# %%
from rlcourse.equations.n_step import (n_step_target, retrace_coefficients, trace_target,
                                       watkins_coefficients)

prob = torch.tensor([0.75, 0.25], dtype=torch.float64)  # of the bad and the good door: columns
reward = torch.tensor([[0.0, 0.0], [1.0, 4.0]], dtype=torch.float64)  # rows: the two steps
ends = torch.tensor([[False, False], [True, True]]), torch.zeros(2, 2, dtype=torch.bool)
ratio = torch.tensor([0.0, 1.0], dtype=torch.float64) / prob  # π takes the good door
traces = {"one step (c = 0)": torch.zeros(2, dtype=torch.float64),
          "cut": watkins_coefficients(torch.tensor([False, True]), trace_decay=1.0),
          "importance weights": ratio, "Retrace": retrace_coefficients(ratio, trace_decay=1.0)}


def targets(name, known):
    """The target of (fork, go on) for either record; known is 0 for Q = 0 and 1 for the right Q."""
    q = known * torch.tensor([[3.2, 3.2], [1.0, 4.0]], dtype=torch.float64)
    best_next = known * torch.tensor([[4.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    if name == "uncorrected":
        return n_step_target(reward, best_next, *ends, discount=0.8)
    return trace_target(reward, q, best_next, traces[name].expand(2, 2), *ends, discount=0.8)[0]


print("                          Q = 0            the right Q     (3.2 is right)")
print("target                mean    std         mean    std")
for name in ("uncorrected", *traces):
    line = f"{name:18}"
    for known in (0.0, 1.0):
        target = targets(name, known)
        mean = prob @ target
        line += f"{mean:8.2f} {(prob @ (target - mean) ** 2) ** 0.5:6.2f}     "
    print(line.rstrip())

# %% [markdown]
# The uncorrected target says 1.4 whatever $Q$ is, and 1.4 is less than the 2 at the fork: its learner will never go
# through the doors. One step says 0 at first, and is right as soon as the doors' values are. Cut and Retrace move in
# the right direction at once. The importance weights are right at once on average, with a spread that is larger than
# the value. And for the right $Q$ every trace is right.
#
# ### What it converges to
#
# On the cliff of 05a (Q1), with the aimless walker's record, we do all sums exactly: every sweep replaces each $Q$ by
# the mean of its target. (The mean over what follows a pair, with a trace, is a matrix: the walker's
# [`pair_backup_matrix`](../rlcourse/exact/operators.py) with each column multiplied by its $c$.) The last columns are
# what the greedy policy is worth after so many sweeps.
#
# *Read the code:* [`cliff`](../rlcourse/envs/maps.py), [`value_iteration`](../rlcourse/exact/evaluation.py),
# [`q_from_value`](../rlcourse/exact/evaluation.py), [`policy_evaluation`](../rlcourse/exact/evaluation.py),
# [`greedy_policy`](../rlcourse/exact/evaluation.py),
# [`bellman_optimality_backup`](../rlcourse/exact/operators.py) (one step with a maximum).

# %%
from rlcourse.envs.maps import cliff
from rlcourse.exact.evaluation import (greedy_policy, policy_evaluation, q_from_value,
                                       value_iteration)
from rlcourse.exact.operators import bellman_optimality_backup, pair_backup_matrix

world, gamma = cliff().mdp, 0.95
aimless = torch.full((world.num_states, 4), 0.25, dtype=torch.float64)
walker = pair_backup_matrix(world, aimless, gamma).matrix  # γ p(s'|s,a) π_β(a'|s')
paid = world.reward_table.flatten()


def sweep(q, steps, corrected):
    """The mean of every pair's target: N steps, uncorrected, or cut where not greedy."""
    one = bellman_optimality_backup(world, q, gamma).flatten()
    if not corrected:
        for _ in range(steps - 1):
            one = paid + walker @ one
        return one.view_as(q)
    trace = watkins_coefficients(greedy_policy(q).bool(), trace_decay=1.0).flatten()
    error = one - q.flatten()
    total = error
    for _ in range(steps - 1):
        total = error + (walker * trace) @ total
    return q + total.view_as(q)


# %%
best_q_values = q_from_value(world, value_iteration(world, gamma)[0], gamma)
print("                           largest error after … sweeps        worth of the greedy policy")
print(f"{'sweeps':22}" + "".join(f"{count:9}" for count in (1, 4, 8, 12, 200)) + f"{12:12}{200:9}")
for name, steps, corrected in (("N = 1", 1, True), ("N = 2, uncorrected", 2, False),
                               ("N = 5, uncorrected", 5, False), ("N = 5, cut", 5, True)):
    q, line, worth = torch.zeros(world.num_states, 4, dtype=torch.float64), "", ""
    for count in range(1, 201):
        q = sweep(q, steps, corrected)
        if count in (1, 4, 8, 12, 200):
            line += f"{(q - best_q_values).abs().max():9.3f}"
        if count in (12, 200):
            worth += f"{world.initial @ policy_evaluation(world, greedy_policy(q), gamma):9.2f}"
    print(f"{name:22}{line}   {worth}")

# %% [markdown]
# **What to notice.** The best way, along the edge, is worth −9.73. With two uncorrected steps the learner ends on a
# way that is two steps longer, one row further from the edge. The first step of each target is free, the second is the
# walker's, who falls off every fourth time. So the learner keeps one step away, as if it feared its own next
# action; that is SARSA's caution (05a, Q1), for one step only. With five uncorrected steps it does not dare to go at
# all: −20 is the worth of walking on for ever. The cut trace ends at the right values. It is only a little faster than
# one step, since with a walker who is greedy one time in four traces are short.
#
# **Where this breaks.** An aimless walker is the worst case. A DQN's replay is filled by its own recent
# $\varepsilon$-greedy policies, and then most of the actions *are* nearly greedy.
#
# ### In a DQN
#
# Three trainings on CartPole with $N = 1$, 3 and 10, double targets without correction, and a copy every 64 updates.
# Exact backups over $N$ steps allow $1 + \gamma + \dots$ up to $N(k + 1)$ terms after $k$ copies, at the end of this
# training 32, 68 and 98. ([`compare`](../rlcourse/plots/learning.py) draws the learning curves.)

# %% tags=["unstable-picture"]
from rlcourse.plots.learning import compare

ahead = {steps: learn(2, dqn.Config(total_steps=20_000, n_step=steps))[:2] for steps in (1, 3, 10)}
compare({f"N = {steps}": curve for steps, (curve, _) in ahead.items()},
        "N-step targets: DQN on CartPole")

# %%
def in_words(share):
    return "below 0.6" if share < 0.6 else "above 0.85" if share > 0.85 else "0.6 to 0.85"


average = {}
print("at the end    backups allow   says, to the nearest ten   says / earns (means)")
for steps, (curve, log) in ahead.items():
    most, (says, earns) = most_after(log[-1][0], dqn.Config(n_step=steps)), log[-1][1:]
    average[steps] = torch.stack([value.nan_to_num(20.0) for _, value in curve]).mean()
    print(f"N = {steps:2} {most:17.1f} {10 * round(says.mean() / 10):20} "
          f"{in_words(says.mean() / earns.mean()):>25}")
print("average return over all of training, N = 10 against N = 1: more than 1.2 times as much:",
      "yes" if average[10] > 1.2 * average[1] else "no")

# %% [markdown]
# **What to notice.** The values stand about where the number of copies lets them stand. With $N = 1$ they are far
# below what the policy really earns, though the *order* of the actions is good enough to earn it. And over the
# whole training the runs with $N = 10$ earn more. (Those with $N = 3$ lie in between here; the bands overlap.)
#
# **Where this breaks.** In a world with more luck in it than CartPole, ten rewards are noisy; with more exploration
# the uncorrected sum is wrong. $N$ is chosen by trying; 3 to 10 are usual.

# %% [markdown]
# ## Q8 Continuous actions
#
# A motor's torque is a number. The maximum in the target is now over infinitely many actions, and so is the
# $\arg\max$ that acts. There are three ways.
#
# The test bench for all of them is a problem whose best $Q$ is known: linear dynamics and quadratic costs (LQR),
# $s' = As + Ba$ and $r = -\frac12 (s^\top C s + a^\top D a)$. There
#
# $$Q^*(s, a) = V^*(s) - \tfrac12\, (a + Gs)^\top H\, (a + Gs) , \tag{LQR}$$
#
# a parabola in the action, with its top at $a = -Gs$; $G$ and $H$ come from a matrix equation
# ([`best_q`](../rlcourse/exact/lqr_q.py) for a [`LinearQuadratic`](../rlcourse/exact/soft_lqr.py) problem).
#
# ### First way: search
#
# Try $n$ random actions and take the best. Or be cleverer with the same number of questions, the **cross-entropy
# method**, CEM (Rubinstein 1999): draw a few from a Gaussian, keep the best of them, fit the Gaussian to those, and
# repeat. Here with 256 questions, for 200 states, $A = B = C = D = I$ in 1 to 8 dimensions. What is lost is measured
# in shares of the mean cost, $-V^*$.

# %%
from rlcourse.exact.lqr_q import best_q
from rlcourse.exact.soft_lqr import LinearQuadratic

luck = generator(0, "search")


def cem(q_of, size, states, rounds=4, draws=64, kept=8):
    """The mean of the last Gaussian, [states, size], for actions in [−1, 1]."""
    mean, std = torch.zeros(states, 1, size).double(), torch.full((states, 1, size), 0.6).double()
    for _ in range(rounds):
        noise = torch.randn(states, draws, size, generator=luck, dtype=torch.float64)
        action = (mean + std * noise).clamp(-1, 1)
        best = q_of(action).topk(kept, 1).indices[..., None].expand(-1, -1, size)
        elite = action.gather(1, best)
        mean, std = elite.mean(1, keepdim=True), elite.std(1, keepdim=True)
    return mean


print("dimensions   lost by 256 random actions   by CEM with 4 rounds of 64")
for size in (1, 2, 4, 8):
    eye = torch.eye(size, dtype=torch.float64)
    best = best_q(LinearQuadratic(eye, eye, eye, eye), discount=0.9)
    state, tries = (2 * torch.rand(200, count, size, generator=luck, dtype=torch.float64) - 1
                    for count in (1, 256))

    def q_of(action):
        return best.q(state.expand(-1, action.shape[1], -1), action)

    top = best.top(state)[:, 0]
    lost = [float((top - found).mean() / -top.mean())
            for found in (q_of(tries).amax(1), q_of(cem(q_of, size, 200))[:, 0])]
    print(f"{size:10} {lost[0]:22.2%} {lost[1]:30.2%}")

# %% [markdown]
# The more dimensions, the more a random search loses; CEM holds out longer. (QT-Opt, on robots, has its maximum from
# CEM; Kalashnikov et al. 2018.) Both ask the network 256 times *for every target*, and again for every step in the
# world. And a search finds errors: the maximum of 256 noisy values is the widget of Q6 with its first slider beyond
# the end.
#
# ### Second way: a Q whose top is known (NAF)
#
# Let the network give a parabola in the action (Gu, Lillicrap, Sutskever and Levine 2016; *normalised advantage
# functions*). For each state it returns a number $V$, an action $\mu$ and a lower triangular matrix $L$ with a positive
# diagonal:
#
# $$Q(s, a) = V(s) - \tfrac12\, \big(a - \mu(s)\big)^\top L(s) L(s)^\top \big(a - \mu(s)\big) .$$
#
# The second term is never positive and is 0 at $a = \mu(s)$. So the best action *is* $\mu(s)$, its value *is* $V(s)$,
# the target is $y = r + \gamma V_{\phi'}(s')$, and no search is needed. $L L^\top$ with a free $L$ can be any positive
# definite matrix: on (LQR), with $\mu = -Gs$ and $L L^\top = H$, nothing is lost. Check it with the Bellman equation,
# $Q^*(s, a) = r + \gamma V^*(s')$, at a thousand random pairs; and as a control with the diagonal of $H$ alone
# ([`naf_advantage`](../rlcourse/equations/continuous_q.py)).

# %%
from rlcourse.equations.continuous_q import naf_advantage

def numbers(*rows):
    return torch.tensor(rows, dtype=torch.float64)


lqr = LinearQuadratic(numbers([1.0, 0.2], [0.0, 0.9]), numbers([1.0, 0.0], [0.4, -0.5]),  # A, B
                      numbers([1.0, 0.0], [0.0, 2.0]), numbers([0.5, 0.2], [0.2, 0.8]))  # C, D
best = best_q(lqr, discount=0.9)
state, action = torch.randn(2, 1000, 2, generator=luck, dtype=torch.float64)
following = state @ lqr.dynamics.T + action @ lqr.control.T
reward = -0.5 * ((state @ lqr.state_cost * state).sum(-1)
                 + (action @ lqr.action_cost * action).sum(-1))
for name, curvature in (("the whole of H", best.steepness),
                        ("its diagonal", best.steepness.diag().diag())):
    lower = torch.linalg.cholesky(curvature).expand(1000, 2, 2)
    q = best.top(state) + naf_advantage(action, -state @ best.gain.T, lower)
    residual = (q - (reward + 0.9 * best.top(following))).abs().max()
    print(f"{name:15}: largest Bellman error {float(residual):.9f}, "
          f"largest |Q| {float(q.abs().max()):.1f}")

# %% [markdown]
# And it can be learned, from transitions alone. The one-dimensional problem of lecture 04, $s' = s + a$ with
# $r = -s^2 - a^2$; the network is linear in $s$ and $s^2$ (from which $V$, $\mu$ and $L$ can be made exactly), and the
# actions are noisy. The best gain comes from the matrix equation, which the learner does not know.
#
# *Read the code:* [`naf`](../rlcourse/algorithms/naf.py), [`NAFNet`](../rlcourse/nets/naf.py),
# [`LinearGain`](../rlcourse/envs/linear_gain.py).

# %%
from rlcourse.algorithms import naf
from rlcourse.envs.linear_gain import LinearGain
from rlcourse.nets.naf import NAFNet

line = LinearGain(horizon=3, action_limit=1.0)  # time limits cut the episodes; the problem goes on
linear = NAFNet(2, 1, runs=runs, seed=0, low=-1.0, high=1.0, hidden=(), squash=False,
                encode=lambda s: torch.cat([s, s**2], -1))
settings = naf.Config(total_steps=4000, random_steps=400, horizon=4, updates=16, batch_size=64,
                      learning_rate=0.05, discount=0.9, polyak_rate=0.05, reward_scale=1.0,
                      exploration_noise=0.5)
source = DynamicsSource(line, runs, 8, random=generator(0, "line"), dtype=torch.float64)
*_, last = naf.train(source, linear, settings, seed=0)
one = numbers([1.0])
exact_gain = float(best_q(LinearQuadratic(one, one, 2 * one, 2 * one), discount=0.9).gain)
learned = -linear.act(one.expand(runs, 1, 1)).flatten()
print(f"gain from the matrix equation {exact_gain:.3f}; learned within 0.01 of it in "
      f"{int((abs(learned - exact_gain) < 0.01).sum())} of {runs} runs")

# %% [markdown]
# **Where this breaks.** A parabola has one top. If going round an obstacle on either side is good and straight on is
# bad, the best parabola has its top in the middle (lecture 02, I5).
#
# ### Third way: learn the maximiser (DDPG)
#
# Train a second network $\mu_\theta(s)$ to do what the $\arg\max$ would do. It climbs $Q$ along its slope in the
# action (Silver et al. 2014; with networks Lillicrap et al. 2015, *deep deterministic policy gradient*). By the chain
# rule
#
# $$\nabla_\theta\, Q\big(s, \mu_\theta(s)\big) =
#   \nabla_\theta \mu_\theta(s)\; \nabla_a Q(s, a)\big|_{a = \mu_\theta(s)} , \tag{DPG}$$
#
# which is the reparameterised gradient of A8 without noise. The critic's target uses $\mu$ in place of the $\arg\max$:
# $y = r + \gamma\, Q_{\phi'}\big(s', \mu_{\theta'}(s')\big)$. It may be called an actor-critic; here it is Q-learning
# with an approximate maximum. Exploration is noise on the actions.
#
# If $Q$ is $Q^\mu$ and the states are as frequent as $\mu$ visits them (each discounted by $\gamma^t$), the sum of
# (DPG) over the states is the true gradient of the return. On (LQR) we can look: the policy is $a = -Ks$, and four
# ways to have a gradient in $K$ are compared, entry by entry. First, differences of the exact return; then (DPG) with
# $Q^K$ at the visited states; at other states, as a replay would have them; and with *stored* actions in the place of
# $\mu(s)$, a frequent slip.
#
# *Read the code:* [`objective`](../rlcourse/exact/lqr_q.py), [`policy_q`](../rlcourse/exact/lqr_q.py),
# [`state_moment`](../rlcourse/exact/lqr_q.py), [`deterministic_actor_loss`](../rlcourse/equations/continuous_q.py).

# %%
from rlcourse.equations.continuous_q import deterministic_actor_loss
from rlcourse.exact.lqr_q import objective, policy_q, state_moment

start = numbers([1.0, 0.3], [0.3, 0.5])  # E[s₀ s₀ᵀ]
gain = (0.6 * best.gain).requires_grad_()
fixed, held = gain.detach(), policy_q(lqr, gain.detach(), discount=0.9)  # Q^K, held fixed


def chain_rule(moment, stored=None):
    """−∇ of the loss, summed over states with Σ s sᵀ = moment."""
    states = torch.linalg.cholesky(moment).T
    action = -states @ gain.T if stored is None else stored + 0.0 * gain.sum()
    return -torch.autograd.grad(deterministic_actor_loss(held.q(states, action)).sum(), gain)[0]


def difference(entry, step=1e-5):
    up, down = (objective(lqr, fixed + move * entry, start, discount=0.9) for move in (step, -step))
    return (up - down) / (2 * step)


entries = torch.eye(4, dtype=torch.float64).view(4, 2, 2)
visited = state_moment(lqr, fixed, start, discount=0.9)
print(f"{'gradient in':30}      K₁₁      K₁₂      K₂₁      K₂₂")
exact_slope = torch.stack([difference(entry) for entry in entries])
for name, slope in (("differences of the return", exact_slope),
                    ("chain rule, visited states", chain_rule(visited)),
                    ("chain rule, a replay's states", chain_rule(numbers([1.0, 0.0], [0.0, 1.0]))),
                    ("stored actions", chain_rule(visited, torch.ones(2, 2, dtype=torch.float64)))):
    print(f"{name:30}" + "".join(f"{abs(x) if x == 0 else x:9.4f}" for x in slope.flatten()))

# %% [markdown]
# The chain rule gives the gradient of the return. A replay's states give another direction; it still improves the
# policy in those states, and comes to rest where the right one does, at $K = G$. Stored actions give no gradient at
# all.
#
# ### What TD3 adds
#
# An actor that climbs a critic *looks for* its errors: it is the maximum of Q6 in another dress, over infinitely many
# actions. **TD3** (Fujimoto, van Hoof and Meger 2018) adds three things to DDPG:
#
# 1. *clipped double Q*: two critics, of which the target believes the smaller;
# 2. *smoothing*: the target's action is $\mu_{\theta'}(s')$ plus a little clipped noise, so that a narrow peak of the
#    critic's error counts for less;
# 3. *delay*: actor and targets move only at every other update of the critics, so that the critics settle first.
#
# The equations are [`td3_target`](../rlcourse/equations/continuous_q.py) and
# [`smoothed_action`](../rlcourse/equations/continuous_q.py):

# %%
from rlcourse.equations.continuous_q import smoothed_action, td3_target

action, noise = numbers([0.0], [0.0], [1.9]), numbers([1.0], [5.0], [3.0])  # noise: standard normal
shifted = smoothed_action(action, noise, noise_std=0.4, noise_clip=1.0, low=-2.0, high=2.0)
q_1, q_2 = numbers(10.0, 12.0, 9.0), numbers(11.0, 8.0, 7.0)
over = torch.tensor([False, False, True])
target = td3_target(numbers(1.0, 1.0, 1.0), q_1, q_2, over, discount=0.9)
print("actions 0, 0, 1.9, moved by 0.4 times 1, 5, 3, at most by 1, within −2 and 2:",
      [round(float(a), 2) for a in shifted])
print("1 + 0.9 times the smaller of 10 and 11, of 12 and 8, and 1 at a termination:",
      [round(float(y), 2) for y in target])

# %% [markdown]
# Now live, on the pendulum of lecture 04 (swing it up and hold it; −200 is a good return): TD3, then DDPG, which is
# the same program with one flag, and NAF. Eight runs each. As in Q6 we note what the critic says at twenty starts, and
# what the greedy policy earns from there, discounted by $\gamma = 0.97$.
#
# *Read the code:* [`td3`](../rlcourse/algorithms/td3.py),
# [`DeterministicHead`](../rlcourse/nets/heads_deterministic.py), [`Policy`](../rlcourse/nets/policies.py),
# [`QNet`](../rlcourse/nets/q_values.py),
# [`Pendulum`](../rlcourse/envs/pendulum.py), [`watch`](../rlcourse/widgets/app/watch.py),
# [`learning_and_picture`](../rlcourse/plots/learning.py), [`describe`](../rlcourse/plots/learning.py).

# %%
from rlcourse.algorithms import td3
from rlcourse.envs.pendulum import Pendulum
from rlcourse.nets.heads_deterministic import DeterministicHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.q_values import QNet

pendulum, sizes = Pendulum(), {"runs": runs, "seed": 0, "dtype": torch.float32}
trained, opinions = {}, {}


def swing(name, learner, networks, config, says):
    """The source and a training that is examined at twenty starts."""
    source, test = (DynamicsSource(pendulum, runs, count, random=generator(0, word))
                    for count, word in ((8, "pendulum"), (20, "examination")))
    opinions[name] = []
    training = learner.train(source, *networks, config, seed=0)
    return source, examined(training, test, says, opinions[name], config.discount)


def deterministic(config):
    head = DeterministicHead(3, 1, low=-2.0, high=2.0, **sizes)
    return Policy(head, pendulum.action_space), QNet(3, 1, critics=2 if config.td3 else 1, **sizes)


def critic_says(now, obs):
    return now.critic(obs, now.policy.act(obs))[:, 0].mean(-1) / td3.Config.reward_scale


# %% tags=["unstable-picture"]
from rlcourse.plots.learning import describe, learning_and_picture
from rlcourse.widgets.app.watch import watch

config = td3.Config()
source, training = swing("TD3", td3, deterministic(config), config, critic_says)
picture = learning_and_picture(source, "TD3 on the pendulum", total=config.total_steps,
                               bottom=-1600, top=0, threshold=-200)
trained["TD3"] = watch(training, config.total_steps, runs=runs, describe=describe, name="TD3",
                       size=(9, 3), draw=picture)

# %% tags=["unstable-picture"]
ddpg = replace(config, td3=False)
_, training = swing("DDPG", td3, deterministic(ddpg), ddpg, critic_says)
*_, trained["DDPG"] = training
parabola = replace(naf.Config(), total_steps=config.total_steps)
_, training = swing("NAF", naf, [NAFNet(3, 1, low=-2.0, high=2.0, **sizes)], parabola,
                    lambda now, obs: now.policy.value(obs).mean(-1) / naf.Config.reward_scale)
*_, trained["NAF"] = training
compare({name: last.curve for name, last in trained.items()},
        "TD3, DDPG and NAF on the pendulum", threshold=-200)

# %% tags=["unstable-picture"]
difference = {}
for name, log in opinions.items():
    gap = np.array([says - earns for _, says, earns in log])
    difference[name] = [row[0] for row in log], gap.mean(1), gap.min(1), gap.max(1)
difference["right"] = [0, 12_000], [0, 0]
curves(difference, xlabel="environment steps of each run", ylabel="said − earned",
       title="What the critic says minus what the policy earns (mean and range of 8 runs)")

# %%
def in_runs(which):
    count = int(which.sum())
    return "at least 7 of 8" if count >= 7 else "at most 1 of 8" if count <= 1 else "2 to 6 of 8"


print("at the end, runs in which    the policy earns −200 or more    the critic says too much")
for name, last in trained.items():
    test = DynamicsSource(pendulum, runs, 20, random=generator(0, "last examination"))
    _, says, earns = opinions[name][-1]
    print(f"{name:10} {in_runs(mean_return(episodes(test, last.policy)) >= -200):>40} "
          f"{in_runs(says > earns):>26}")

# %% [markdown]
# **What to notice.**
#
# 1. All three learn to swing up and hold. *When* they do differs much from run to run: look at the thin lines of TD3
#    and at the bands. The thick lines are *interquartile means*, which leave out the two best and the two worst of
#    eight runs, so that neither one failed run moves them nor one lucky run.
# 2. At the end DDPG's critic promises too much in nearly every run, and TD3's too little: clipped double Q has turned
#    the bias round. (The large errors at the start are another matter: news has not arrived yet, and all values here
#    are negative.)
# 3. Both policies are good all the same. On this task the bias of DDPG does no visible harm, and TD3's caution takes
#    time. The gains that its authors report are on larger tasks.
# 4. NAF's critic says too little at the end. One reason may be that here the best $Q$ is no parabola in the action; we
#    have not tested it.
#
# **Where this breaks.** The actor knows only the slope of $Q$ at one action, and can be stuck on a local top. The noise
# of exploration has to be chosen. And SAC in lecture 04, whose actor is random, did the same task in about as many
# steps: a deterministic actor is no gain in itself.

# %% [markdown]
# ## Q9 Q-learning in practice
#
# ### A loss that does not panic
#
# A target can be far off: after a surprising end, or just after the target network was replaced. Half the squared
# error has the slope $e = Q - y$, so that one such target throws the network. The **Huber loss** (Huber 1964) is a
# square near 0 and a line beyond a threshold $k$. Its slope is $e$, clipped to $[-k, k]$.
#
# "Clip the error" is how this is often described, and a slip waits there. Clipping the error *before* squaring makes
# the loss flat beyond $k$: the most surprising targets then teach nothing
# ([`huber`](../rlcourse/equations/td.py)).

# %%
from rlcourse.equations.td import huber

errors = torch.tensor([0.1, 0.5, 1.0, 3.0, 30.0], dtype=torch.float64)
print(f"{'error':34}" + "".join(f"{float(e):7.1f}" for e in errors))
for name, loss in (("square", lambda e: 0.5 * e**2),
                   ("Huber, k = 1", lambda e: huber(e, threshold=1.0)),
                   ("square of the clipped error", lambda e: 0.5 * e.clamp(-1, 1) ** 2)):
    e = errors.clone().requires_grad_()
    slopes, = torch.autograd.grad(loss(e).sum(), e)
    print(f"slope, {name:27}" + "".join(f"{float(slope):7.1f}" for slope in slopes))

# %% [markdown]
# (At exactly $e = k$ the slope of the last is a matter of convention.) The threshold is in units of the value. With
# rewards of 1 and ten of them in a target, an error of 10 is no surprise but the rule after each copy of the target
# network; so the settings here have $k = 10$. A second bound, on the length of the gradient, guards against what a
# clipped error times a steep network still does.
#
# ### One run says little
#
# Suppose that you could have afforded a single run of each training in Q6. There are 64 ways to pick a run with a
# single and a run with a double target. In how many of them does the double one look better?

# %%
def share(double, single):
    wins = (np.asarray(double)[:, None] > np.asarray(single)).mean()
    return ("in all of them" if wins == 1 else "in none" if wins == 0 else
            "in more than 1 and fewer than 9 in 10" if 0.1 < wins < 0.9 else "nearly all or none")


average = {key: torch.stack([value.nan_to_num(20.0) for _, value in curve]).mean(0)
           for key, curve in returns.items()}
print("20 buttons, it says less after 12,000 steps: ",
      share(-logs[20, "double"][5][1], -logs[20, "single"][5][1]))
print("2 buttons, its average return is higher:     ",
      share(average[2, "double"], average[2, "single"]))

# %% [markdown]
# A large effect shows in a single run. In the second comparison a pair of single runs nearly always names a winner, and
# the winner depends on which runs you happened to make. Hence several runs everywhere in this course, with an interval,
# or with the lowest and the highest shown.
#
# ### A checklist
#
# For a DQN that does not learn, or is to be built. In brackets, the settings of [`dqn`](../rlcourse/algorithms/dqn.py)
# for CartPole.
#
# 1. **Test on the smallest thing first.** One step, then a terminal reward: is the value right? Truncated: is it the
#    geometric sum? (The course's tests do this to every learner.)
# 2. **Look at what it says**, $\max_a Q$ at the starts, beside what it earns. Above the possible: it diverges or
#    overestimates. Far below: news has not arrived yet, look at the number of copies times $N$.
# 3. **Double Q always.** It costs a pass of the network, and helps where there are many actions.
# 4. **Several steps** in the target (10), fewer where there is more luck or more exploration.
# 5. **The target's rate.** Too slow is late (Q7), too fast diverges (Q6, at a copy every four updates). Raise it only
#    while what the critic says stays possible (a copy every 64 updates).
# 6. **A large replay**, and some random steps before the first update (1000).
# 7. **Exploration that falls** from much to little ($\varepsilon$ from 0.5 to 0.02), and an examination *without* it.
# 8. **Adam**, with a rate that falls to zero at the end, so that the last values are an average and not the last noise.
# 9. **Huber's loss**, threshold in units of the value (10), and a bound on the gradient (10).
# 10. **Rewards** of a size such that values are neither thousands nor thousandths. (Clipping rewards to ±1, as the
#     first DQN did for Atari, changes the problem.)
# 11. **Several seeds**, an interval, and the same number of steps for whatever you compare.
#
# Here is all of it together, live: the defaults, with twice the steps of Q7. After it, the same with a single target.
#
# *Read the code:* [`EpsilonGreedy`](../rlcourse/nets/q_actors.py) (who acts),
# [`learning_curve`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.plots.learning import learning_curve

pole, final, settings = CartPole(), {}, dqn.Config()


def dqn_training(config):
    source = DynamicsSource(pole, runs, 8, random=generator(0, "poles"))
    critic = DiscreteQNet(4, 2, runs=runs, seed=0, dtype=torch.float32)
    return dqn.train(source, critic, config, seed=0)


picture = learning_curve("DQN on CartPole: double, ten steps", total=settings.total_steps, top=500)
final["double"] = watch(dqn_training(settings), settings.total_steps, runs=runs, describe=describe,
                        name="DQN", draw=picture, size=(8, 2.8))

# %% tags=["unstable-picture"]
*_, final["single"] = dqn_training(replace(settings, double=False))
compare({name: last.curve for name, last in final.items()}, "Single and double DQN on CartPole")

# %%
print("mean of 20 greedy episodes, γ = 0.99      475 steps or more      says what it earns, ±10")
for name, last in final.items():
    test = DynamicsSource(pole, runs, 20, random=generator(0, "examination"))
    batch = episodes(test, last.policy)
    with torch.no_grad():
        says = last.critic(batch.obs[0]).amax(-1).mean(-1)
    print(f"{name:30} {in_runs(mean_return(batch) >= 475):>28} "
          f"{in_runs((says - mean_return(batch, 0.99)).abs() < 10):>28}")

# %% [markdown]
# With ten steps, a slow target and two actions, both hold the pole, both know what they are worth, and the bands of
# their learning curves lie over each other. Nothing here tells the two targets apart.

# %% [markdown]
# ## Questions you may have
#
# **Which, for continuous actions: NAF, DDPG, TD3 or SAC?** TD3 or SAC, which differ mainly in how they explore. NAF
# where a parabola is a good picture of the problem. Plain DDPG is worth knowing, not worth choosing.
#
# **Is underestimation better than overestimation?** For a learner that goes where it believes to be well off, yes:
# what is underestimated is visited less, and does not spread; what is overestimated is sought out. But it may be left
# alone for ever, too. In the casino the optimist found out; a pessimist does not go and look.
#
# **Prioritised replay?** Drawing surprising transitions more often (Schaul, Quan, Antonoglou and Silver 2016; 05a, Q4)
# helps where few transitions matter, and needs importance weights to stay right. We did not use it here.
#
# ## What to take along
#
# - The maximum of estimates is too large by an amount that grows with noise and with the number of actions. Two
#   estimators turn that round if they are independent; as far as they share their errors, the bias stays.
# - What a critic says can be compared with what its policy earns, and with what is possible at all. Do it always.
# - $N$ steps carry news $N$ times as far, and bring in $N - 1$ actions of whoever acted.
# - For continuous actions: search, a shape whose top is known, or a network that learns where the top is, and that
#   finds every error on the way.
#
# Everything so far learned without knowing how the world works. [Lecture 06](../README.md) asks what one can do who
# does know.
#
# **Exercise.** [Write the targets](../exercises/05b_q_in_practice.ipynb), double, n-step and traced; compute the bias
# of a maximum; build NAF and TD3; and find the errors in a DQN.
#
# ## References
#
# - S. Fujimoto, H. van Hoof, D. Meger (2018). Addressing function approximation error in actor-critic methods. *ICML*.
# - S. Gu, T. Lillicrap, I. Sutskever, S. Levine (2016). Continuous deep Q-learning with model-based acceleration.
#   *ICML*.
# - P. J. Huber (1964). Robust estimation of a location parameter. *Annals of Mathematical Statistics* 35.
# - D. Kalashnikov et al. (2018). QT-Opt: scalable deep reinforcement learning for vision-based robotic manipulation.
#   *CoRL*.
# - T. P. Lillicrap et al. (2015). Continuous control with deep reinforcement learning. arXiv 1509.02971.
# - V. Mnih et al. (2015). Human-level control through deep reinforcement learning. *Nature* 518.
# - R. Munos, T. Stepleton, A. Harutyunyan, M. G. Bellemare (2016). Safe and efficient off-policy reinforcement
#   learning. *NIPS*.
# - R. Y. Rubinstein (1999). The cross-entropy method for combinatorial and continuous optimization. *Methodology and
#   Computing in Applied Probability* 1.
# - T. Schaul, J. Quan, I. Antonoglou, D. Silver (2016). Prioritized experience replay. *ICLR*.
# - D. Silver et al. (2014). Deterministic policy gradient algorithms. *ICML*.
# - R. S. Sutton, A. G. Barto (2018). *Reinforcement Learning: An Introduction*, 2nd edition. MIT Press.
# - S. Thrun, A. Schwartz (1993). Issues in using function approximation for reinforcement learning. *Proceedings of
#   the Connectionist Models Summer School*.
# - H. van Hasselt (2010). Double Q-learning. *NIPS*.
# - H. van Hasselt, A. Guez, D. Silver (2016). Deep reinforcement learning with double Q-learning. *AAAI*.
# - C. J. C. H. Watkins (1989). Learning from delayed rewards. PhD thesis, King's College, Cambridge.
