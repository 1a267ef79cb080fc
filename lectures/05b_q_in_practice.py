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
# Lecture 05a ended with a learner that works: a network, a replay, and a target that stands still. All of it serves
# one number, the target
#
# $$y = r + \gamma\,(1 - \text{terminated})\, \max_{a'} Q_{\phi'}(s', a') ,$$
#
# where $\phi$ are the parameters of the network that learns, and $\phi'$ the older ones of the target network. In
# this lecture we take it apart. Its maximum turns noise into optimism (Q6). Its single reward makes news travel
# slowly (Q7). And if an action is not one of a list but a number, such as the torque of a motor, the maximum is a
# problem of its own (Q8). At the end there is a list of what to do when you build one (Q9). The factor
# $(1 - \text{terminated})$ belongs to every target below; from here on we leave it out of the formulas.
#
# **You need** lecture 05a: the target (Q1), the $\varepsilon$-greedy policy (Q3), replay and target network (Q4).
# From lecture 04 you need the bias and noise of a target (A1), and the reparameterised gradient (A8).
#
# **You will be able to**
#
# - prove that a maximum of estimates is too large, say how much, and say when a second set of estimates helps;
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
# There is equality only if a best action has the largest estimate with probability 1. ((max) is Jensen's inequality
# for the convex function $\max$.) No action is overestimated on average; *the choice* makes the error.
#
# Q-learning chooses in every target, and each target is built on earlier ones. In a problem that never ends, let
# every maximum be too large by the same $\beta$. If the values of the next states are too large by $e$, their maximum
# is too large by $e + \beta$, the target by $\gamma\,(e + \beta)$, and so are the values fitted to it. At rest
# $e = \gamma\,(e + \beta)$, which is $e = \gamma \beta / (1 - \gamma)$: for $\gamma = 0.99$, 99 times $\beta$ (Thrun
# and Schwartz 1993).
#
# How large is the bias of one maximum? If the estimates are Gaussian and independent, with standard deviation
# $\sigma$, the probability that the largest is below $x$ is the product of $\Phi((x - q_a) / \sigma)$ over the
# actions ($\Phi$: the normal distribution function), and $\mathbb E \max$ is one integral over $x$
# ([`expected_max`](../rlcourse/exact/max_bias.py)). For equal actions it is $\sigma$ times a number that depends on
# $A$ alone, $1/\sqrt{\pi} = 0.564$ for two:

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
# If choosing spoils the numbers that were used for the choice, use *other* numbers to say what the choice is worth
# (van Hasselt 2010). Let $\hat Q'$ be a second set of estimates, from other data:
#
# $$\text{single:}\;\; \hat Q_{a^*}, \qquad \text{double:}\;\; \hat Q'_{a^*}, \qquad
#   a^* = \arg\max_a \hat Q_a .$$
#
# Given $\hat Q$, the choice $a^*$ is fixed, and $\hat Q'$ knows nothing of the luck that made it:
# $\mathbb E[\hat Q'_{a^*} \mid \hat Q] = q_{a^*}$. Average over $\hat Q$; an average of true values is at most the
# largest of them:
#
# $$\mathbb E\, \hat Q'_{a^*} = \mathbb E\, q_{a^*} \;\le\; \max_a q_a \;\le\; \mathbb E\, \hat Q_{a^*} .
#   \tag{double}$$
#
# So the bias changes its sign: double estimation *under*estimates, unless an action of the largest value is always
# chosen. And (double) needs the two to be **independent**. Suppose that each is a mean of $n$ samples and that they
# share a part $c$ of them. Their covariance is then $c n \sigma_1^2 / n^2$, which is $c$ times the variance of either
# ($\sigma_1^2$: of one sample): the correlation of their errors is $c$. For Gaussian errors of equal size, if the
# first estimate is off by $x$, the second is off by $c\,x$ on average. So
#
# $$\mathbb E\, \hat Q'_{a^*} = \mathbb E\, q_{a^*}
#   + c\, \big(\mathbb E\, \hat Q_{a^*} - \mathbb E\, q_{a^*}\big) .$$
#
# A part $c$ of what the single estimator says too much *of the action that it chose* comes back. **Clipped double**
# estimation takes the smaller of both, $\min(\hat Q_{a^*}, \hat Q'_{a^*})$ (Fujimoto, van Hoof and Meger 2018): a
# margin of safety for estimates that share much. SAC's target has one like it (lecture 04, A8).
#
# Answer the question, then play. The middle panel draws 4000 repetitions; the means marked in it, and those on the
# right, are exact. The widget is [`overestimation`](../rlcourse/widgets/app/overestimation.py), its numbers come from
# [`compute`](../rlcourse/widgets/models/overestimation.py).

# %%
from rlcourse.widgets.app.overestimation import overestimation

overestimation()

# %% [markdown]
# Some of its settings as a table. The first action is worth 0, all others are below it by the gap. "Shared" is the
# correlation $c$ of the two estimates of an action, which need not come from a whole number of samples. The last
# column says how often the first action is chosen.

# %%
from rlcourse.widgets.models.overestimation import compute


def signed(number, digits=3):
    """With its sign, and without one if it is rounded to 0."""
    return f"{number:+9.{digits}f}" if abs(number) >= 0.5 * 10**-digits else f"{0:9.{digits}f}"


print("actions  samples  gap  shared   single   double  clipped   first action chosen")
for actions, samples, gap, shared in (
        (2, 4, 0, 0), (10, 4, 0, 0), (30, 4, 0, 0), (10, 16, 0, 0), (10, 1, 0.5, 0),
        (10, 4, 0, 0.5), (10, 4, 0, 0.9), (1, 4, 0, 0)):
    frame = compute(actions, noise=1.0, samples=samples, gap=gap, shared=shared, repetition=1)
    means = "".join(signed(mean) for mean in frame.exact)
    print(f"{actions:7} {samples:8} {gap:4} {shared:7}{means} {frame.right:14.0%}")

# %% [markdown]
# **What to notice.**
#
# 1. *More actions* make the single estimator worse, slowly. *More samples* help. With equal actions it is as
#    $1/\sqrt n$: four times the samples, half the error.
# 2. With equal actions the double estimator has no bias at all: whatever it chooses is worth 0. When one action is
#    ahead (gap 0.5, one sample) it says $-0.4 = 0.8 \cdot (-0.5)$: in four cases of five it speaks of an action that
#    is worth −0.5.
# 3. *Shared samples* bring the error back. At $c = 0.9$ the double estimator has nine tenths of the single one's
#    bias. Two networks that are trained on one replay, or a network and its copy of a little while ago, may be like
#    that; how much they share, only a measurement can say (below).
# 4. The clipped estimator is the lowest everywhere. With one action there is nothing to choose, and single and double
#    have no bias; the clipped one has −0.282, since the smaller of two noisy numbers is too small.
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
# ($Q_1, Q_2$: two target networks, each a copy of one of two networks that learn. In the table below they are $\phi$
# and $\phi'$.) The first *is* the target of DQN, written at length: $\max_a Q = Q(\arg\max Q)$. With two tables, a
# coin decides in each step which of them learns; that one chooses, the other evaluates (van Hasselt 2010). In the
# deep form the network $\phi$ chooses, and $\phi'$, which is there anyway, evaluates (van Hasselt, Guez and Silver
# 2016).
#
# A slip to avoid: to let $\phi'$ choose as well. It leaves nothing of the idea; it is the single target. In numbers,
# with [`double_q_target`](../rlcourse/equations/td.py), [`q_target`](../rlcourse/equations/td.py) and
# [`clipped_double_q_target`](../rlcourse/equations/td.py): 200,000 pairs of noisy values of ten equal actions, whose
# errors have correlation $c$, with $r = 0$ and $\gamma = 1$. Beside each mean is the exact one from
# [`expected_double`](../rlcourse/exact/max_bias.py) and [`expected_clipped_double`](../rlcourse/exact/max_bias.py).
# (*Read the code of the luck:* [`generator`](../rlcourse/core/seeding.py).)

# %%
from rlcourse.core.seeding import generator
from rlcourse.equations.td import clipped_double_q_target, double_q_target, q_target

count = 200_000
reward, over = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.bool)
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
        mean = rule(reward, chooses, older, over, discount=1.0).mean()
        line += f"{mean:10.3f} ({exact:6.3f})"
    print(line + f"{q_target(reward, older, over, discount=1.0).mean():10.3f}")

# %% [markdown]
# ### In a table: a casino that one should leave
#
# Here is a world in which optimism costs something (after Sutton and Barto 2018, example 6.7). At the *start* one can
# leave, for 0, or enter a casino. It has ten machines, each of which pays $\mathcal N(-0.1,\, 1)$ and ends the
# episode. So entering is worth −0.1, and leaving 0. But the target for entering is the largest of ten estimates. (In
# the code the start has ten actions too: number 1 enters, the nine others leave. In a tie the first one is taken,
# which leaves.)
#
# First an experiment whose result can be computed. Eight hundred learners of each kind are made to enter and to play
# machines at random. With a constant rate $\alpha = 0.1$ an estimate is an average with geometric weights,
# $\sum_k \alpha (1 - \alpha)^k r_k$, and so a Gaussian with variance
# $\alpha^2 \sum_k (1-\alpha)^{2k} = \alpha / (2 - \alpha)$, around −0.1. In the long run the mean
# value of entering must then be the $\mathbb E \max$ of ten such numbers for single Q-learning. For double it must be
# −0.1: all machines are worth the same, and in (double) the first inequality is an equality.
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
    mean, low, high = mean_interval(last.q_values[:, 0, 1].numpy())  # of entering
    print(f"{rule:10}{mean:12.3f} [{low:.3f}, {high:.3f}] {exact[rule]:22.3f}")

# %% [markdown]
# Now they act for themselves, $\varepsilon$-greedily with $\varepsilon = 0.1$, and begin with tables of zeros. How
# many of them think that one should enter, and what is entering worth on average over the learners
# ([`curves`](../rlcourse/plots/curves.py))?

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
# **What to notice.** After 250 steps four in ten Q-learners would enter, for a value that is really −0.1; of the
# double learners one in thirty. (The comparison is not quite even: a double learner divides its steps between two
# tables, and acts on their mean, which has less noise.) The optimism of Q-learning goes down to a few per cent of the
# learners: whoever believes in the casino goes there, plays the machine that looks best, and *its* estimate comes
# down. Both kinds are still too optimistic after 1500 steps, −0.03 in place of −0.1: a learner who would leave enters
# only when an exploring action happens to be number 1, about once in a hundred visits. The gamblers above play all
# machines alike, so the luckiest one is not singled out, and at a constant rate new luck replaces the old: +0.25 for
# as long as the rate is 0.1. (Acting on one's optimism does not always correct it: see the network below. And with a
# fixed record nobody can go and look: lecture 10.)

# %% [markdown]
# ### In a network: does a DQN believe too much?
#
# A network's errors are not Gaussian, nor independent, and nobody knows how large they are. But whether it believes
# too much can be measured. At the starts of some episodes it *says* $\max_a Q_\phi(s_0, a)$; from there its greedy
# policy *earns* a discounted return. In CartPole there is a third number. It pays 1 for each step, so no policy at
# all can earn more than
#
# $$\sum_{t=0}^{\infty} \gamma^t = \frac{1}{1 - \gamma} = 100 \quad (\gamma = 0.99) ,$$
#
# or $(1 - 0.99^{500})/(1 - 0.99) = 99.3$ in an episode of 500 steps. And while it learns there is a fourth. An exact
# backup raises the largest value from $m$ to at most $1 + \gamma m$. The first target network says nearly 0, so
# before the first copy exact targets are at most 1; every copy adds a term. After $k$ copies no value can be above
# $1 + \gamma + \dots + \gamma^k$ if the fits are exact. What is above that line did not come from the rewards seen:
# it is error of the fit, or of the maximum. (It may still be below what the policy earns; that is another question.)
#
# CartPole has two actions, which is little for a maximum to choose from. So we build a second version with twenty
# buttons: even ones push to the left, odd ones to the right. It is the same problem, with the same values, and the
# widget's first slider far to the right. (Each button has output weights of its own, and so errors of its own; how
# far they are independent, nobody knows.)
#
# We use one-step targets, a copy to the target network every 16 updates, and 20,000 steps of each run; all else is as
# in [`dqn`](../rlcourse/algorithms/dqn.py). (Its own settings are gentler: ten steps, a copy every 64. The reasons
# are in Q7 and Q9.)
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
    rounds = (np.asarray(steps) - config.random_steps) // (8 * config.horizon) + 1  # 8 poles
    copies = rounds * config.updates // config.follow_every
    return (1 - config.discount ** (config.n_step * (copies + 1))) / (1 - config.discount)


# %% [markdown]
# Four trainings of eight runs each. The bands reach from the lowest to the highest run, so nothing is hidden by an
# average ([`panels`](../rlcourse/plots/curves.py)). The vertical axis is logarithmic and not the same in both panels;
# 100 is the most that any policy can earn. Below the picture, numbers of runs are given in classes ("at least 6")
# wherever they may differ a little from one machine to another; so in the rest of the lecture.

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
# And the same four trainings run by run, with a slider for the time: the second page of the widget
# ([`promises`](../rlcourse/widgets/app/promises.py), its points are the runs just trained).

# %% tags=["unstable-picture"]
from rlcourse.widgets.app.promises import promises

promises({f"{buttons} buttons, {name}": log for (buttons, name), log in logs.items()}, most=100.0)

# %% [markdown]
# **What to notice.**
#
# 1. With twenty buttons the single target promises, in every run, more than any policy in this world can earn. It is
#    above the line of exact backups early, and the next targets are built on what it says.
# 2. With the double target and twenty buttons that does not happen in 20,000 steps: the mean stays near the line, or
#    below it, and after 12,000 steps every run is below 100. The two networks are at most 16 updates apart, and yet
#    in most states they disagree on *which* button is best. So the errors that decide are not nearly the same in
#    both, and double Q has something to live on. (Perhaps because the buttons differ so little in worth that a few
#    updates reorder them; we have not tested it.)
# 3. With two buttons the two targets can hardly be told apart, and after 12,000 steps both say more than exact
#    backups allow. In most states both networks name the same action, and where they do the two targets are the same
#    number. Whatever error there is, of the fit or of the maximum, is then left as it is.
# 4. In three of the four trainings the policy earns more than is said for a long time: news has not arrived yet (Q7).
#    Late in the training with two buttons it earns less. With twenty buttons and the single target it earns far less
#    than is promised, and yet at the end no less, on average, than with the double target. A wrong *level* need not
#    spoil the order of the actions, and an error that is the same for all of them does not change which is best; how
#    much of the error here is of that kind, we have not measured. Overestimation does harm where it differs between
#    actions. (Single runs may fall deep: look at the lower edges of the bands.)
#
# **Where this breaks.** Let us hurry: a copy every four updates instead of sixteen, two buttons, double targets.

# %%
hasty = learn(2, replace(one_step, total_steps=8000, follow_every=4))[1][-1][1]
print(f"after 8,000 steps: above 100 in {(hasty > 100).sum()} of {runs} runs; above 10,000",
      "in at least 6" if (hasty > 10_000).sum() >= 6 else "in fewer than 6")

# %% [markdown]
# Double Q does not stop this. It is not *one constant* bias $\beta$ of a maximum, fed back: for values above 10,000
# that $\beta$ would have to be above 100. The error grows with the values, as errors did that fed on themselves in
# 05a (Q2). How much the maximum adds to it, this run cannot say. What helps here is a slower target network.

# %% [markdown]
# ## Q7 n-step targets
#
# ### How far does news travel?
#
# In the picture above even the line of exact backups rises slowly. A one-step target moves a reward back by one step
# for each copy of the target network. To know what happens in a hundred steps takes a hundred copies. Why not look
# $N$ steps ahead?
#
# $$y_t = \sum_{t'=t}^{t+N-1} \gamma^{\,t'-t}\, r_{t'} \;+\; \gamma^N \max_{a} Q_{\phi'}(s_{t+N}, a) . \tag{N}$$
#
# The exponent is $t' - t$: how long after $t$ the reward comes. If the episode ends within the $N$ steps, the sum
# ends with it. At a termination nothing follows; at a time limit the value of the true successor does, with $\gamma$
# to the number of steps really made.
#
# This is the dial of lecture 04, A6, and as a rule it turns the same way. $N = 1$ has the most bias, as all rewards
# but the first are the critic's opinion, and the least noise. A large $N$ has little bias, since the error of the
# opinion is multiplied by $\gamma^N$, and much noise. Exactly, for the values of the walker in the corridor of
# lecture 04 (targets (N) with $\hat V$ in the place of the maximum), and a critic that knows nothing yet
# ($\hat V = 0$); root mean square over the cells, in units of the return:
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
# With this critic many steps are best, bias and noise together. If the critic is right, the bias is 0 for every $N$,
# and only the noise counts.
#
# ### When is it right?
#
# A one-step target may be made of anybody's data: $a_t$ is an argument of $Q$. What about (N)? Read it from left to
# right. The reward $r_t$ belongs to $a_t$, which is free. The rewards $r_{t+1}, \dots, r_{t+N-1}$ were earned by
# $a_{t+1}, \dots, a_{t+N-1}$, **and those were chosen by whoever acted**. The last action, in $s_{t+N}$, is chosen by
# the maximum. So
#
# > Put $\mathbb E_{a \sim \pi}\, Q_{\phi'}(s_{t+N}, a)$ in the place of the maximum; for a $\pi$ that is greedy in
# > $Q_{\phi'}$ it is the maximum. Then, whoever chose $a_t$, the mean of (N) is that of $N$ steps backed up along
# > $\pi$ if $a_{t+1}, \dots, a_{t+N-1}$ are $\pi$'s. For $N = 1$ there are none of them. For Q-learning they must all
# > be greedy.
#
# (Even then it is right only up to $\gamma^N$ times the error of $Q_{\phi'}$.) What can be done about actions that
# are not?
#
# 1. **Nothing.** With small $N$ and recent data, gathered with little exploration, many do so; most DQNs with several
#    steps, ours included. Nothing guarantees that the result is right.
# 2. **Cut the trace:** end the sum in front of the first action that is not greedy, with the maximum in its place
#    (Watkins 1989). Right, but with much exploration the sums are short.
# 3. **Weight it.** Write the target with TD errors, as in lecture 04 (A6), and give each a weight made of *traces*
#    $c$. With $\delta_k = r_k + \gamma\, \mathbb E_{a \sim \pi} Q(s_{k+1}, a) - Q(s_k, a_k)$,
#
# $$y_t = Q(s_t, a_t) + \sum_{k=t}^{t+N-1} \gamma^{k-t}\, (c_{t+1} \cdots c_k)\, \delta_k .$$
#
# The product is 1 for $k = t$, and the sum ends with the episode. For a greedy $\pi$ the expectation is the maximum.
# If $Q = Q^\pi$, each $\delta_k$ has the mean 0 whoever chose $a_k$. So the *right* values reproduce themselves for
# **any** traces, if $c_k$ depends only on what happened up to $a_k$. If $Q$ is not right yet, the mean of the target
# should be nearer to $Q^\pi$ than $Q$ is. Importance weights $c = \rho = \pi(a \mid s) / \pi_\beta(a \mid s)$ do
# that, where $\pi_\beta$ is the policy that acted and does whatever $\pi$ may do; but they have the variance of a
# product (P6). **Retrace** takes $c = \lambda \min(1, \rho)$, with a $\lambda$ between 0 and 1 as in A6. It cannot
# blow up, and the largest error of the mean is still at most $\gamma$ times that of $Q$, for a fixed $\pi$ (Munos,
# Stepleton, Harutyunyan and Bellemare 2016; the proof needs only $0 \le c \le \rho$). If $\pi$ is greedy,
# $\min(1, \rho)$ is 1 for the greedy action and 0 for all others: with $\lambda = 1$ Retrace then *is* the cut trace.
# (In Q-learning $\pi$ changes with $Q$; that the values then go to $Q^*$ takes more conditions, in the same paper.)
#
# The fork of lecture 04 (A8) shows all of it with two possible records. One can take 2 and stop, or go on to two
# doors, of which one pays 1 and the other 4; $\gamma = 0.8$. The record is that of somebody who takes the good door
# one time in four. The policy $\pi$ to be judged takes the good door, whatever $Q$ says; so its trace there is cut at
# the bad door. The pair in question is (fork, go on), worth $0.8 \cdot 4 = 3.2$ to $\pi$. Mean and standard deviation
# of a two-step target, with a $Q$ that knows nothing and with the right $Q$. (Cut, $Q = 0$: in one case of four
# $0.8 \cdot 4$, else 0.)
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
# The uncorrected target says 1.4 whatever $Q$ is, and 1.4 is less than the 2 at the fork: from such a record its
# learner never learns to go on to the doors. One step says 0 at first, and is right as soon as the doors' values are.
# Cut and Retrace move in the right direction at once. The importance weights are right at once on average, with a
# spread that is larger than the value. And for the right $Q$ every trace is right.
#
# ### What it converges to
#
# On the cliff of 05a (Q1), with the aimless walker's record, we do all sums exactly: every sweep replaces each $Q$ by
# the mean of its target. (With a trace, what follows a pair is averaged by a matrix $M$: the entry for $(s, a)$ and
# $(s', a')$ is $\gamma\, p(s' | s, a)\, \pi_\beta(a' | s')$, from
# [`pair_backup_matrix`](../rlcourse/exact/operators.py), times $c(s', a')$. The mean of the target is
# $Q + \sum_{n<N} M^n \delta$, with $\delta$ the mean one-step error of each pair.) The last columns are what the
# greedy policy is worth after so many sweeps.
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


def sweep(q, steps, corrected, walker=walker):
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
# way that is two steps longer, one row further from the edge. The first step of each target is free, the second is
# the walker's, who falls off every fourth time. So the learner keeps one step away, as if it feared its own next
# action; that is SARSA's caution (05a, Q1), for one step only. With five uncorrected steps it does not dare to go at
# all: −20 is the worth of walking on for ever. Its values are wrong by up to 111; the walker's falls, at 100 each,
# are in them. (The −20 of $N = 1$ after 12 sweeps is another one: the goal is further away than 12 steps, and news of
# it has not arrived.) The cut trace ends at the right values, and its policy is the best one after 12 sweeps already.
# Its errors, though, fall only a little faster than those of one step: with a walker who is greedy one time in four,
# traces are short.
#
# **Where this breaks.** "Little exploration, little harm" is a rule of thumb. Take a walker who knows the best
# policy, and does something else with probability $\varepsilon$
# ([`epsilon_greedy_probs`](../rlcourse/equations/q_policies.py)). Two uncorrected steps again; what is the learner's
# policy worth in the end?

# %%
from rlcourse.equations.q_policies import epsilon_greedy_probs

for epsilon in (0.02, 0.1, 0.3):
    probs = epsilon_greedy_probs(best_q_values, epsilon=epsilon)
    following = pair_backup_matrix(world, probs, gamma).matrix
    q = torch.zeros(world.num_states, 4, dtype=torch.float64)
    for _ in range(200):
        q = sweep(q, 2, False, following)
    worth = float(world.initial @ policy_evaluation(world, greedy_policy(q), gamma))
    print(f"ε = {epsilon:.2f}: {worth:7.2f}")

# %% [markdown]
# At $\varepsilon = 0.1$ it ends worse than after the aimless walker, and never reaches the goal. What counts is how
# much the walker's next actions differ in value from the best ones, and how often they are taken; next to a cliff one
# wrong action is enough. A DQN's replay is filled by its own recent $\varepsilon$-greedy policies. Behind the free
# first action, the nine others of ten steps are all greedy, for the $Q$ of that time, with probability
# $0.98^9 = 83\,\%$ at $\varepsilon = 0.02$, but only with $0.74^9 = 7\,\%$ at $\varepsilon = 0.26$.
#
# ### In a DQN
#
# Three trainings on CartPole with $N = 1$, 3 and 10, double targets without correction, and a copy every 64 updates.
# After $k$ copies exact backups over $N$ steps allow a sum $1 + \gamma + \dots$ of $N(k + 1)$ terms; at the end of
# this training it is 32, 68 and 98. ([`compare`](../rlcourse/plots/learning.py) draws the learning curves: returns of
# training episodes, undiscounted, with exploration. The thick lines are *interquartile means*, which leave out the
# two best and the two worst of eight runs, so that a single lucky or failed run does not move them much. The dotted
# line is 475, where CartPole counts as solved.)

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
    average[steps] = torch.stack([value.nan_to_num(20.0) for _, value in curve]).mean(0)
    print(f"N = {steps:2} {most:17.1f} {10 * round(says.mean() / 10):20} "
          f"{in_words(says.mean() / earns.mean()):>25}")
wins = (average[10][:, None] > average[1]).double().mean()
print("of the 64 pairs of a run with N = 10 and one with N = 1, the former has the higher",
      "average return over all of training in", "more" if wins > 0.75 else "fewer",
      "than three in four")

# %% [markdown]
# **What to notice.** The values stand about where the number of copies lets them stand. With $N = 1$ they are far
# below what the policy really earns (discounted, without exploration). To act well it needs only the *order* of the
# two actions. Over the whole training the runs with $N = 10$ earn more in most of the 64 pairs, but the bands overlap
# for much of it, and those of $N = 3$ lie in between here. The curve of $N = 1$ falls again towards the end; why, we
# have not looked.
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
# a parabola in the action, with its top at $a = -Gs$. For with $V^*(s) = -\frac12 s^\top P s$ the Bellman equation
# says $Q^*(s, a) = r + \gamma V^*(As + Ba)$; collect the terms in $a$ and complete the square:
# $H = D + \gamma B^\top P B$ and $G = \gamma H^{-1} B^\top P A$. The matrix $P$ solves the equation that remains,
# found by iteration ([`best_q`](../rlcourse/exact/lqr_q.py) for a [`LinearQuadratic`](../rlcourse/exact/soft_lqr.py)
# problem).
#
# ### First way: search
#
# Try $n$ random actions and take the best. Or be cleverer with as many values of $Q$, the **cross-entropy method**,
# CEM (Rubinstein 1999): draw a few from a Gaussian, keep the best of them, fit the Gaussian to those, and repeat.
# Here with 256 values, for 200 states, $A = B = C = D = I$ in 1 to 8 dimensions of state and action, with states and
# random actions drawn uniformly from $[-1, 1]$ in each. The loss is the mean of
# $Q^*(s, \text{top}) - Q^*(s, \text{found})$, as a share of the mean cost, $-V^*$.

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
# CEM; Kalashnikov et al. 2018.) Both, as set here, ask the network 256 times *for every target*, and again for every
# step in the world. And a search finds errors, too: at worst, if those of the 256 values were independent, as in
# the widget of Q6 with its first slider beyond the end.
#
# ### Second way: a Q whose top is known (NAF)
#
# Let the network give a parabola in the action (Gu, Lillicrap, Sutskever and Levine 2016; *normalised advantage
# functions*). For each state it returns a number $V$, an action $\mu$ and a lower triangular matrix $L$ with a
# positive diagonal:
#
# $$Q(s, a) = V(s) - \tfrac12\, \big(a - \mu(s)\big)^\top L(s) L(s)^\top \big(a - \mu(s)\big) .$$
#
# The second term is never positive and is 0 at $a = \mu(s)$. So the best action *is* $\mu(s)$, its value *is* $V(s)$,
# the target is $y = r + \gamma V_{\phi'}(s')$, and no search is needed. $L L^\top$ with a free $L$ can be any
# positive definite matrix: on (LQR), with $\mu = -Gs$ and $L L^\top = H$, nothing is lost. Check it with the Bellman
# equation, $Q^*(s, a) = r + \gamma V^*(s')$, at a thousand random pairs, with the size of $Q$ beside it; and as a
# control with the diagonal of $H$ alone, which cannot be right
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
# $r = -s^2 - a^2$ (so $C = D = 2$ in the form with the ½). The network is linear in $s$ and $s^2$, and can make
# $V \propto s^2$, $\mu \propto s$ and a constant $L$ exactly. ([`NAFNet`](../rlcourse/nets/naf.py) keeps the diagonal
# of $L$ above a floor, 0.3; flatter parabolas it cannot make.) The actions are noisy. The best gain comes from the
# matrix equation, which the learner does not know.
#
# *Read the code:* [`naf`](../rlcourse/algorithms/naf.py), [`LinearGain`](../rlcourse/envs/linear_gain.py).

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
# bad, $Q$ has two. Then the fitted parabola is nearly flat, or has its top between the two good ways, where it is bad
# (compare lecture 02, I5).
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
# which is the reparameterised gradient of A8 without noise. The critic's target uses $\mu$ in place of the
# $\arg\max$: $y = r + \gamma\, Q_{\phi'}\big(s', \mu_{\theta'}(s')\big)$. It may be called an actor-critic; here it
# is Q-learning with an approximate maximum. Exploration is noise on the actions.
#
# If $Q$ is $Q^\mu$ and the states are as frequent as $\mu$ visits them (each discounted by $\gamma^t$), the sum of
# (DPG) over the states is the true gradient of the return (Silver et al. 2014). Why: by the performance-difference
# lemma (F7) another policy $\mu'$ gains $\sum Q^\mu(s, \mu'(s)) - Q^\mu(s, \mu(s))$ over the states that $\mu'$
# visits. For a small change each term is small, so to first order the states may be those of $\mu$, and what is left
# of each term is the slope of $Q^\mu$ along the change of the action. The action must be $\mu_\theta(s)$, taken now:
# a *stored* action does not depend on $\theta$ and gives no gradient at all.
#
# On (LQR) we can look. The policy is $a = -Ks$, and three slopes in $K$ are compared, entry by entry: differences of
# the exact return; (DPG) with $Q^K$ at the visited states; and (DPG) at other states, all directions alike, as a
# replay might have them. (States enter only through $\sum s s^\top$; in the code two states stand for them that have
# the right sum.)
#
# *Read the code:* [`objective`](../rlcourse/exact/lqr_q.py), [`policy_q`](../rlcourse/exact/lqr_q.py),
# [`state_moment`](../rlcourse/exact/lqr_q.py), [`deterministic_actor_loss`](../rlcourse/equations/continuous_q.py).

# %%
from rlcourse.equations.continuous_q import deterministic_actor_loss
from rlcourse.exact.lqr_q import objective, policy_q, state_moment

start = numbers([1.0, 0.3], [0.3, 0.5])  # E[s₀ s₀ᵀ]
gain = (0.6 * best.gain).requires_grad_()
fixed, held = gain.detach(), policy_q(lqr, gain.detach(), discount=0.9)  # Q^K, held fixed


def chain_rule(moment):
    """−∇ of the loss, summed over two states with Σ s sᵀ = moment."""
    states = torch.linalg.cholesky(moment).T
    loss = deterministic_actor_loss(held.q(states, -states @ gain.T)).sum()
    return -torch.autograd.grad(loss, gain)[0]


def difference(entry, step=1e-5):
    up, down = (objective(lqr, fixed + move * entry, start, discount=0.9) for move in (step, -step))
    return (up - down) / (2 * step)


entries = torch.eye(4, dtype=torch.float64).view(4, 2, 2)
visited = state_moment(lqr, fixed, start, discount=0.9)
print(f"{'slope in':30}      K₁₁      K₁₂      K₂₁      K₂₂")
exact_slope = torch.stack([difference(entry) for entry in entries])
for name, slope in (("differences of the return", exact_slope),
                    ("chain rule, visited states", chain_rule(visited)),
                    ("chain rule, other states", chain_rule(numbers([1.0, 0.0], [0.0, 1.0])))):
    print(f"{name:30}" + "".join(f"{x:9.4f}" for x in slope.flatten()))

# %% [markdown]
# At the visited states the chain rule gives the gradient of the return. Other states give another direction: it
# raises $Q^K$ on average over *them*, which need not raise the return. But with $G_K$ for the gain that is greedy in
# $Q^K$, the sum over states is $H_K (G_K - K) \sum s s^\top$ ($H_K$: the curvature of $Q^K$). If the
# states span all directions it is 0 only where $K = G_K$, so where $K$ is greedy in its own $Q$, which is the best
# gain. So both directions rest at the same place.
#
# ### What TD3 adds
#
# An actor that climbs a critic also climbs the critic's errors, as the maximum of Q6 did. **TD3** (Fujimoto, van Hoof
# and Meger 2018) adds three things to DDPG:
#
# 1. *clipped double Q*: two critics, of which the target believes the smaller;
# 2. *smoothing*: the target's action is $\mu_{\theta'}(s')$ plus a little clipped noise, new for each target. The
#    regression averages over it, so that a narrow peak of the critic's error should count for less;
# 3. *delay*: actor and targets move only at every other update of the critics, so that the critics can settle first.
#
# With $\xi$ standard normal, $\sigma$ and $c$ two constants, and $\text{clip}$ once to $[-c, c]$ and once to the box,
#
# $$y = r + \gamma \min_{i = 1, 2} Q_{\phi'_i}(s', \tilde a) ,$$
#
# $$\tilde a = \text{clip}\big(\mu_{\theta'}(s') + \text{clip}(\sigma \xi)\big) .$$
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
# the same program with one flag that takes all three additions away, and NAF. Eight runs each. As in Q6 we note what
# the critic says at twenty starts (of two critics the first; they learn rewards times 0.1, which is undone here), and
# what the greedy policy earns from there, discounted by $\gamma = 0.97$. The learning curves are undiscounted returns
# of training episodes, exploration included, of which NAF has the most (0.6 against 0.3 for the two others). They
# move in stairs, since the eight episodes of a run end together every 200 steps of each. The last table is about the
# greedy policies, undiscounted again.
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
difference["no error"] = [0, 12_000], [0, 0]
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
#    and at the bands. (The curves contain the noise of exploration, NAF's the most; the examinations in the table do
#    not.)
# 2. At the end DDPG's critic promises too much in nearly every run, and TD3's too little. Clip and smoothing can both
#    push that way; the flag switches them together, so this figure does not say how much is whose. (The large errors
#    at the start are another matter: news has not arrived yet. Where the truth is −200, "0" is too much.)
# 3. Both policies are good all the same. TD3 is later here, and between 3000 and 5000 steps worse than at the start.
#    Which of the three additions costs the time, this picture cannot say; the delay alone halves the updates of actor
#    and targets. The gains that its authors report are on larger tasks.
# 4. NAF's critic says too little at the end. One reason may be that here the best $Q$ is no parabola in the action;
#    we have not tested it.
#
# **Where this breaks.** The actor knows only the slope of $Q$ at one action, and can be stuck on a local top. The
# noise of exploration has to be chosen. And SAC in lecture 04, whose actor is random, did the same task in a similar
# number of steps, with other settings: here we saw no gain from a deterministic actor.

# %% [markdown]
# ## Q9 Q-learning in practice
#
# ### A loss that bounds the step
#
# A target can be far off: after a surprising end, or just after the target network was replaced. Half the squared
# error has the slope $e = Q - y$, so that one such target can move the network far. The **Huber loss** (Huber 1964)
# is a square near 0 and a line beyond a threshold $k$. Its slope is $e$, clipped to $[-k, k]$.
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
# ten rewards of 1 in a target an error of nearly 10 is no surprise at the start, and after the first copies of the
# target network; so the settings here have $k = 10$. The slope in the *parameters* is the clipped error times
# $\nabla_\phi Q$, and the second factor may be large too; so the length of the whole gradient is bounded as well.
#
# ### One run says little
#
# Suppose that you could have afforded a single run of each training in Q6. There are $8 \cdot 8 = 64$ ways to pick a
# run with a single and a run with a double target. In how many of them does the double one look better?

# %%
def share(double, single):
    wins = (np.asarray(double)[:, None] > np.asarray(single)).mean()
    return ("in all of them" if wins == 1 else "in none" if wins == 0 else
            "in more than 1 and fewer than 9 in 10" if 0.1 < wins < 0.9 else "nearly all or none")


overall = {key: torch.stack([value.nan_to_num(20.0) for _, value in curve]).mean(0)
           for key, curve in returns.items()}
print("20 buttons, it says less after 12,000 steps: ",
      share(-logs[20, "double"][5][1], -logs[20, "single"][5][1]))
print("2 buttons, its average return is higher:     ",
      share(overall[2, "double"], overall[2, "single"]))

# %% [markdown]
# A large effect shows in a single run. In the second comparison a pair of single runs nearly always names a winner,
# and the winner depends on which runs you happened to make. Hence several runs everywhere in this course, with an
# interval, or with the lowest and the highest shown.
#
# ### A checklist
#
# For a DQN that does not learn, or is to be built. Much of it is experience, ours and others', and was not tested
# here point by point; where it was, the section is named. In square brackets are the settings of
# [`dqn`](../rlcourse/algorithms/dqn.py) for CartPole, with $\gamma = 0.99$.
#
# 1. **The smallest problem first.** One step with a terminal reward $r$: is the value $r$? A reward of 1 for ever,
#    cut only by a time limit: is it $1/(1-\gamma)$? (The course's tests do this.)
# 2. **Compare what it says with what it earns.** More than possible: overestimation or divergence (Q6). Far less:
#    news has not arrived; compute what the copies allow (Q7).
# 3. **Double Q** [yes]. It costs a pass of the network. With many actions it kept the values possible (Q6); that it
#    earned more, we have not seen here.
# 4. **Several steps** in the target [10]. News travels faster (Q7). Fewer if rewards are noisy or exploration is
#    large.
# 5. **The pace of the target network** [a copy every 64 updates]. Copied too rarely, it is slow (Q7); too often, it
#    diverges (Q6). Copy more often only while the values stay possible.
# 6. **A replay much larger than a batch** [10,000 and 64 transitions] (05a, Q4). But the more uncorrected steps a
#    target has, the younger the replay should be (Q7).
# 7. **Random steps** before the first update [1000], so that the first batches are not the same few transitions.
# 8. **Exploration that falls** [$\varepsilon$ from 0.5 to 0.02], and an examination *without* it.
# 9. **Adam**, with a rate that falls to zero [from 0.01], so that the last networks move little from update to
#    update.
# 10. **Huber's loss and a bound on the gradient** [10 and 10], as above.
# 11. **Rewards of a moderate size** [1 a step]. Networks begin near 0, and to reach thousands takes them long.
#     Clipping rewards to ±1 (Mnih et al. 2015, for Atari) makes large and small gains equal, and so changes the
#     problem.
# 12. **Several seeds** [8], an interval, and the same number of steps for whatever you compare.
#
# Here is all of it together, live: the defaults, with twice the steps of Q7.
#
# *Read the code:* [`EpsilonGreedy`](../rlcourse/nets/q_actors.py) (who acts),
# [`learning_curve`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.plots.learning import learning_curve

pole, settings = CartPole(), dqn.Config()
source = DynamicsSource(pole, runs, 8, random=generator(0, "poles"))
training = dqn.train(source, DiscreteQNet(4, 2, runs=runs, seed=0, dtype=torch.float32), settings,
                     seed=0)
picture = learning_curve("DQN on CartPole: double, ten steps", total=settings.total_steps, top=500)
last = watch(training, settings.total_steps, runs=runs, describe=describe, name="DQN",
             draw=picture, size=(8, 2.8))

# %%
test = DynamicsSource(pole, runs, 20, random=generator(0, "examination"))
batch = episodes(test, last.policy)
with torch.no_grad():
    says = last.critic(batch.obs[0]).amax(-1).mean(-1)
print("mean of 20 greedy episodes: 475 steps or more in",
      in_runs(mean_return(batch) >= 475), "runs")
print("what it says is what it earns, γ = 0.99, ±10:  in",
      in_runs((says - mean_return(batch, 0.99)).abs() < 10), "runs")

# %% [markdown]
# In the greedy examination nearly all runs hold the pole and know what they are worth. Here that is the easier part:
# what can be earned ends at 99.3, and so, by now, does what backups allow. On the way single runs fall deep and come
# back. (Whether the double target matters in this problem, with two actions and a slow target, this run does not
# show; with twenty buttons and a faster one, in Q6, it did.)

# %% [markdown]
# ## Questions you may have
#
# **Which, for continuous actions: NAF, DDPG, TD3 or SAC?** Usually TD3 or SAC. Both take the smaller of two critics.
# SAC rewards entropy, in its target too, and learns a random actor; TD3 looks for the best deterministic actor and
# adds noise from outside. NAF where a parabola is a good picture of the problem. On our pendulum DDPG was the first
# to swing up; on larger tasks the authors of TD3 report that it is fragile (Fujimoto et al. 2018).
#
# **Is underestimation better than overestimation?** For a learner that goes where it believes to be well off, often.
# An action that is underestimated *next to one that is not* is chosen less and does not enter the maximum, so that
# its error does not spread; an overestimated one enters every maximum. But where all actions are too low the maximum
# passes that on too: TD3's critic was too low at the starts. And a learner may never find out: in the casino the
# optimist went to look, and a pessimist does not.
#
# **Prioritised replay?** Drawing surprising transitions more often (Schaul, Quan, Antonoglou and Silver 2016; 05a,
# Q4) is meant for problems where few transitions matter, and needs importance weights to stay right. We did not use
# it here.
#
# ## What to take along
#
# - The maximum of estimates is too large by an amount that grows with noise and with the number of actions. With two
#   independent estimators it is never too large on average; as far as they share their errors, the bias stays.
# - What a critic says can be compared with what its policy earns, and with what is possible at all. Do it always.
# - $N$ steps carry news $N$ times as far, and bring in $N - 1$ actions of whoever acted, which would have to be
#   greedy, or to be corrected.
# - For continuous actions: search, a shape whose top is known, or a network that learns where the top is, and that
#   climbs the critic's errors on the way.
#
# Everything so far learned without knowing how the world works. [Lecture 06](../README.md) asks what can be done
# if one does.
#
# **Exercise.** [Write the targets](../exercises/05b_q_in_practice.ipynb), double, n-step and traced; compute the bias
# of a maximum; build NAF and TD3; and find the errors in a DQN.
#
# ## References
#
# - S. Fujimoto, H. van Hoof, D. Meger (2018). Addressing function approximation error in actor-critic methods.
#   *ICML*.
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
