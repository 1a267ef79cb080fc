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
# # Exercise 05b · Q-learning in practice
#
# [Exercise 05a](05a_q_learning.ipynb) built a learner that can be trained. This one is about what goes wrong with it
# and what is done about that: values that are too large, rewards that arrive too slowly, data of other policies,
# actions that cannot be counted, and programs that run, and learn something, and are wrong.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and [the lecture](../lectures/05b_q_in_practice.ipynb); each question names its section. All
# tensors of numbers are float64. A batch of transitions has the shape `[B]`, the values of all actions `[B, A]`,
# actions that are vectors `[B, D]`. Read the shapes in the docstrings first: they are half of each answer.
#
# Two kinds of ends occur, as before. `terminated`: the problem itself was over with this step; nothing comes after
# it, not even a value. `truncated`: only the time limit stopped the episode; the problem would have gone on.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("05b_q_in_practice")

# %% [markdown]
# ## q1 · A second opinion
#
# *5 points · difficulty 2 of 5 · importance 5 of 5 · about 15 minutes · topic Q6*
#
# The maximum of noisy numbers is too large: what looks best is partly good and partly lucky. Q-learning takes a
# maximum in every target, and learns the luck (section Q6). The remedy of van Hasselt (2010) is old and simple: who
# chooses must not be the one who evaluates,
#
# $$y = r + \gamma \, Q'\big(s', \arg\max_{a'} Q(s', a')\big) .$$
#
# With two tables $Q$ is the one to be updated and $Q'$ the other; in *double DQN* (van Hasselt, Guez, Silver 2016) $Q$
# is the network that is trained and $Q'$ its target network. *Clipped* double Q-learning (Fujimoto, van Hoof, Meger
# 2018) has two networks of equal rank. The first one chooses, and the more careful of both evaluates:
#
# $$y = r + \gamma \, \min\big(Q(s', a^*),\, Q'(s', a^*)\big), \qquad a^* = \arg\max_{a'} Q(s', a') .$$
#
# In both cases $y = r$ where the problem is over.
#
# <details><summary>Hint</summary>
#
# `argmax(1)` gives the number of the best action of each row, [B]. `q_values.gather(1, number[:, None])` reads those
# entries of another table, [B, 1]; `squeeze(1)` makes [B] of it. Which of the two networks stands inside of argmax,
# and which one is read?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *Index tensor must have the same number of dimensions as input tensor*: `gather` wants an index [B, 1] for a table
# [B, A]: `number[:, None]`.
#
# *expected shape [4], got [4, 4]*: a column [B, 1] met the rewards [B], and all pairs were formed. `squeeze(1)`.
#
# *expected shape [1], got [1, 1]*: the same for a single transition.
#
# </details>


# %% q="q1"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    """The target of double Q-learning for a batch of transitions.

    reward [B]. next_q_values [B, A]: Q(s', ·) of the network that chooses. other_next_q_values [B, A]: Q'(s', ·) of
    the one that evaluates. terminated [B] (bool): the problem was over. discount: γ. Returns y [B].
    """
    ### SOLUTION
    chosen = next_q_values.argmax(1)
    value = other_next_q_values.gather(1, chosen[:, None]).squeeze(1)
    return reward + discount * torch.where(terminated, 0.0, value)
    ### END


def clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    """As above, with the smaller of both opinions on the action that the first network chose. Returns y [B]."""
    ### SOLUTION
    chosen = next_q_values.argmax(1)[:, None]
    value = torch.minimum(next_q_values.gather(1, chosen), other_next_q_values.gather(1, chosen)).squeeze(1)
    return reward + discount * torch.where(terminated, 0.0, value)
    ### END


# %% tags=["check"]
ex.check("q1")


# %% wrong="q1" at_most=2 why="the second network chooses too" hint="That is the maximum of the *second* network"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    chosen = other_next_q_values.argmax(1)[:, None]
    return reward + discount * ~terminated * other_next_q_values.gather(1, chosen).squeeze(1)


# %% wrong="q1" at_most=2 why="maximum of the target network" hint="That is the maximum of the *second* network"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    return reward + discount * ~terminated * other_next_q_values.amax(1)


# %% wrong="q1" at_most=2 why="maximum of the first network" hint="That is the maximum of the *first* network"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    return reward + discount * ~terminated * next_q_values.amax(1)


# %% wrong="q1" at_most=2 why="select and evaluate swapped" hint="The roles are exchanged"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    chosen = other_next_q_values.argmax(1)[:, None]
    return reward + discount * ~terminated * next_q_values.gather(1, chosen).squeeze(1)


# %% wrong="q1" at_most=2 why="mean of both" hint="You average the two opinions"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    return reward + discount * ~terminated * ((next_q_values + other_next_q_values) / 2).amax(1)


# %% wrong="q1" at_most=3 why="no terminal mask" hint="You look behind the end of the problem"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    chosen = next_q_values.argmax(1)[:, None]
    return reward + discount * other_next_q_values.gather(1, chosen).squeeze(1)


# %% wrong="q1" at_most=2 why="minimum over the actions" hint="You take the smallest value over the actions"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    return reward + discount * ~terminated * other_next_q_values.amin(1)


# %% wrong="q1" at_most=2 why="argmax over the batch" hint="The argmax runs over the batch"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    size, actions = next_q_values.shape
    column = torch.arange(size) % actions
    value = other_next_q_values[next_q_values.argmax(0)[column], column]
    return reward + discount * ~terminated * value


# %% wrong="q1" at_most=2 why="the number of the action" hint="argmax is the *number* of the best action"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    return reward + discount * ~terminated * next_q_values.argmax(1)


# %% wrong="q1" at_most=2 why="gather keeps its axis" hint="Your answer is a matrix"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    value = other_next_q_values.gather(1, next_q_values.argmax(1)[:, None])
    return reward + discount * ~terminated * value


# %% wrong="q1" at_most=3 why="double is clipped too" hint="That is the clipped target"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    return clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount)


# %% wrong="q1" at_most=2 why="clipped is not clipped" hint="the smaller of *both* opinions"
def clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    return double_q_target(reward, next_q_values, other_next_q_values, terminated, discount)


# %% wrong="q1" at_most=3 why="smaller of two maxima" hint="That is the smaller of two maxima"
def clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    value = torch.minimum(next_q_values.amax(1), other_next_q_values.amax(1))
    return reward + discount * ~terminated * value


# %% wrong="q1" at_most=3 why="maximum of the smaller ones" hint="You take the smaller opinion for each action"
def clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    value = torch.minimum(next_q_values, other_next_q_values).amax(1)
    return reward + discount * ~terminated * value


# %% wrong="q1" at_most=2 why="the larger of both" hint="You take the larger opinion"
def clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    chosen = next_q_values.argmax(1)[:, None]
    value = torch.maximum(next_q_values.gather(1, chosen), other_next_q_values.gather(1, chosen)).squeeze(1)
    return reward + discount * ~terminated * value


# %% wrong="q1" at_most=3 why="clipped without the mask" hint="You look behind the end of the problem"
def clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    chosen = next_q_values.argmax(1)[:, None]
    value = torch.minimum(next_q_values.gather(1, chosen), other_next_q_values.gather(1, chosen)).squeeze(1)
    return reward + discount * value


# %% right="q1" why="plain numbers, transition by transition"
def double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    answer = []
    for r, first, second, over in zip(reward.tolist(), next_q_values.tolist(), other_next_q_values.tolist(),
                                      terminated.tolist()):
        answer.append(r if over else r + discount * second[first.index(max(first))])
    return answer


def clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount):
    rows = torch.arange(len(reward))
    first, best = next_q_values.max(1)
    return reward + discount * (1 - terminated.double()) * first.clamp(max=other_next_q_values[rows, best])


# %% [markdown]
# **See it.** Leave at once and get nothing, or enter a casino with ten machines, all of which lose 0.1 on average,
# with a spread of 1 ([`maximisation_bias`](../rlcourse/envs/maximisation_bias.py); Sutton and Barto 2018, example
# 6.7). Somebody who always enters, and tries the machines at random, learns from what happens, twenty times over
# ([`q_learning.train`](../rlcourse/algorithms/q_learning.py), on a
# [`DynamicsSource`](../rlcourse/data/sources.py) with chance from a [`generator`](../rlcourse/core/seeding.py)): with
# the ordinary target, with your double one, and with your clipped one. What do they say
# that it is worth to enter ([`curves`](../rlcourse/plots/curves.py))? Guess the signs.

# %%
from rlcourse.algorithms import q_learning
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs import maximisation_bias
from rlcourse.plots.curves import curves


def casino():
    """Q(start, enter), the mean of twenty learners, for three targets, and the truth."""
    problem = maximisation_bias.maximisation_bias(10)
    behaviour = torch.full((3, 10), 0.1, dtype=torch.float64)
    behaviour[maximisation_bias.START] = torch.eye(10)[maximisation_bias.ENTER]

    def socket(target):
        def student(reward, next_q_values, other, terminated, *, discount):
            return torch.as_tensor(target(reward, next_q_values, other, terminated, discount), dtype=torch.float64)
        return student

    series = {}
    for label, rule, more in (("single", "q", {}), ("double", "double_q", {"double_q_target": socket(double_q_target)}),
                              ("clipped", "double_q", {"double_q_target": socket(clipped_double_q_target)})):
        source = DynamicsSource(problem, 20, 1, random=generator(0, "casino of exercise 05b"), dtype=torch.float64)
        config = q_learning.Config(rule=rule, total_steps=1600, report_every=80, learning_rate=0.2, discount=1.0)
        taught = list(q_learning.train(source, 3, config, seed=0, behaviour=behaviour, **more))
        series[label] = ([snapshot.step for snapshot in taught],
                         [snapshot.q_values[:, 0, maximisation_bias.ENTER].mean() for snapshot in taught])
        print(f"{label}: to enter is worth {series[label][1][-1]:.2f}")
    steps = series["single"][0]
    return curves({**series, "the truth": (steps, [-0.1] * len(steps))}, title="Who enters the casino?",
                  xlabel="steps", ylabel="Q(start, enter)")


ex.demo("q1", casino)

# %% [markdown]
# The single table sends its owner into the casino, where money is lost; the two others do not. They know no more about
# the machines than the single one. They only do not ask the winner how good it is. (The clipped target says little
# less than the double one here: of two opinions on the luckiest machine the second one is nearly always the smaller.)


# %% [markdown]
# ## q2 · Too large, on paper
#
# *6 points · difficulty 3 of 5 · importance 4 of 5 · about 20 minutes · topic Q6*
#
# How large is the error? Take two actions with the true values $a$ and $b$. What we have are estimates,
# $\hat Q_1 \sim \mathcal N(a, \sigma^2)$ and $\hat Q_2 \sim \mathcal N(b, \tau^2)$, independent of each other.
#
# * `expected_max`: what a single estimator says on average, $\mathbb E \max(\hat Q_1, \hat Q_2)$.
#
# * `expected_double`: what a second pair of estimates $\hat Q'$ with the same means and spreads says on average of the
#   action that the first pair chose. The two estimates of *one* action may share noise: their correlation is $c$, and
#   given $\hat Q_i$ the mean of $\hat Q'_i$ is $\mu_i + c\,(\hat Q_i - \mu_i)$, where $\mu_i$ is $a$ or $b$ (of the
#   rest of $\hat Q$ it knows nothing more). For $c = 0$ they are independent; a network and its target network share a
#   part of their errors.
#
# Both in closed form, with the distribution function $\Phi$ and the density $\varphi$ of a standard normal number:

# %%
from math import erf, exp, pi, sqrt


def below(x):
    """Φ(x): the probability that a standard normal number lies below x."""
    return 0.5 * (1 + erf(x / sqrt(2)))


def density(x):
    """φ(x): the density of a standard normal number at x."""
    return exp(-0.5 * x * x) / sqrt(2 * pi)


# %% [markdown]
# <details><summary>Hint</summary>
#
# The larger of two numbers is the second one plus what the first one is above it, if it is: $\max(x, y) = y +
# \max(x - y, 0)$. The difference $D = \hat Q_1 - \hat Q_2$ is normal: which mean, which variance? And for a normal $D$
# with mean $m$ and standard deviation $s$,
#
# $$\mathbb E \max(D, 0) = m\,\Phi(m/s) + s\,\varphi(m/s) .$$
#
# For the second function ask how often the first action is chosen. What is then the true value of the chosen action on
# average, and by how much is $\max \hat Q$ above it? A share $c$ of that is still there in $\hat Q'$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *ZeroDivisionError*: both spreads are positive, so $s$ is too. What did you divide by?
#
# *must be real number, not Tensor*, *unsupported operand*: the arguments are plain numbers. `below` and `density` take
# and give numbers.
#
# </details>


# %% q="q2"
def expected_max(mean_1, mean_2, std_1, std_2):
    """E max(Q̂₁, Q̂₂) for Q̂ᵢ ∼ N(meanᵢ, stdᵢ²), independent. Returns a number."""
    ### SOLUTION
    spread = sqrt(std_1**2 + std_2**2)
    z = (mean_1 - mean_2) / spread
    return mean_1 * below(z) + mean_2 * below(-z) + spread * density(z)
    ### END


def expected_double(mean_1, mean_2, std_1, std_2, correlation):
    """E Q̂'(argmax Q̂): a second opinion, whose noise has the given correlation with the first. Returns a number."""
    ### SOLUTION
    z = (mean_1 - mean_2) / sqrt(std_1**2 + std_2**2)
    chosen = mean_1 * below(z) + mean_2 * below(-z)
    return chosen + correlation * (expected_max(mean_1, mean_2, std_1, std_2) - chosen)
    ### END


# %% tags=["check"]
ex.check("q2")


# %% wrong="q2" at_most=3 why="maximum of the means" hint="That is the larger of the two true values"
def expected_max(mean_1, mean_2, std_1, std_2):
    return max(mean_1, mean_2)


# %% wrong="q2" at_most=4 why="spreads added" hint="The standard deviations add in the square"
def expected_max(mean_1, mean_2, std_1, std_2):
    spread = std_1 + std_2
    z = (mean_1 - mean_2) / spread
    return mean_1 * below(z) + mean_2 * below(-z) + spread * density(z)


# %% wrong="q2" at_most=4 why="variance for spread" hint="z is measured in standard deviations"
def expected_max(mean_1, mean_2, std_1, std_2):
    spread = std_1**2 + std_2**2
    z = (mean_1 - mean_2) / spread
    return mean_1 * below(z) + mean_2 * below(-z) + spread * density(z)


# %% wrong="q2" at_most=4 why="mean of the variances" hint="*sum* of both variances"
def expected_max(mean_1, mean_2, std_1, std_2):
    spread = sqrt((std_1**2 + std_2**2) / 2)
    z = (mean_1 - mean_2) / spread
    return mean_1 * below(z) + mean_2 * below(-z) + spread * density(z)


# %% wrong="q2" at_most=4 why="z turned" hint="z is turned"
def expected_max(mean_1, mean_2, std_1, std_2):
    spread = sqrt(std_1**2 + std_2**2)
    z = (mean_2 - mean_1) / spread
    return mean_1 * below(z) + mean_2 * below(-z) + spread * density(z)


# %% wrong="q2" at_most=3 why="the chosen one's true value" hint="The gain from the noise is missing"
def expected_max(mean_1, mean_2, std_1, std_2):
    z = (mean_1 - mean_2) / sqrt(std_1**2 + std_2**2)
    return mean_1 * below(z) + mean_2 * below(-z)


# %% wrong="q2" at_most=4 why="φ not in units of Q" hint="The last term is in units of Q"
def expected_max(mean_1, mean_2, std_1, std_2):
    z = (mean_1 - mean_2) / sqrt(std_1**2 + std_2**2)
    return mean_1 * below(z) + mean_2 * below(-z) + density(z)


# %% wrong="q2" at_most=3 why="the smaller one" hint="That is the mean of the *smaller* one"
def expected_max(mean_1, mean_2, std_1, std_2):
    spread = sqrt(std_1**2 + std_2**2)
    z = (mean_1 - mean_2) / spread
    return mean_1 * below(-z) + mean_2 * below(z) - spread * density(z)


# %% wrong="q2" at_most=4 why="the bias of equal means" hint="only where both means are equal"
def expected_max(mean_1, mean_2, std_1, std_2):
    return max(mean_1, mean_2) + sqrt(std_1**2 + std_2**2) * density(0)


# %% wrong="q2" at_most=3 why="equal means and equal noise" hint="*and* equal noise"
def expected_max(mean_1, mean_2, std_1, std_2):
    return (mean_1 + mean_2) / 2 + std_1 / sqrt(pi)


# %% wrong="q2" at_most=4 why="no correlation" hint="The correlation has no effect"
def expected_double(mean_1, mean_2, std_1, std_2, correlation):
    z = (mean_1 - mean_2) / sqrt(std_1**2 + std_2**2)
    return mean_1 * below(z) + mean_2 * below(-z)


# %% wrong="q2" at_most=3 why="as a single one" hint="That is what a single estimator says"
def expected_double(mean_1, mean_2, std_1, std_2, correlation):
    return expected_max(mean_1, mean_2, std_1, std_2)


# %% wrong="q2" at_most=4 why="unbiased" hint="noise chooses wrongly sometimes"
def expected_double(mean_1, mean_2, std_1, std_2, correlation):
    best = max(mean_1, mean_2)
    return best + correlation * (expected_max(mean_1, mean_2, std_1, std_2) - best)


# %% wrong="q2" at_most=3 why="c times the maximum" hint="Only the *noise* is shared by c"
def expected_double(mean_1, mean_2, std_1, std_2, correlation):
    return correlation * expected_max(mean_1, mean_2, std_1, std_2)


# %% wrong="q2" at_most=4 why="c squared" hint="not c² d"
def expected_double(mean_1, mean_2, std_1, std_2, correlation):
    z = (mean_1 - mean_2) / sqrt(std_1**2 + std_2**2)
    chosen = mean_1 * below(z) + mean_2 * below(-z)
    return chosen + correlation**2 * (expected_max(mean_1, mean_2, std_1, std_2) - chosen)


# %% right="q2" why="the second plus the positive part, and a complementary error function"
def expected_max(mean_1, mean_2, std_1, std_2):
    from math import erfc, hypot
    spread, gap = hypot(std_1, std_2), mean_1 - mean_2
    positive = 0.5 * gap * erfc(-gap / spread / sqrt(2)) + spread * exp(-0.5 * (gap / spread) ** 2) / sqrt(2 * pi)
    return mean_2 + positive


def expected_double(mean_1, mean_2, std_1, std_2, correlation):
    spread = (std_1**2 + std_2**2) ** 0.5
    z = (mean_1 - mean_2) / spread
    return mean_2 + (mean_1 - mean_2) * below(z) + correlation * spread * density(z)


# %% [markdown]
# **See it.** The error, E max (or the second opinion) less the larger true value, by how far the two actions are
# apart, in units of their spread.


# %%
def errors_by_distance():
    """How far the estimates are off, from equal actions to very different ones."""
    apart = [k / 20 for k in range(81)]
    series = {"single": (apart, [expected_max(x, 0.0, 1.0, 1.0) - x for x in apart])}
    for correlation in (0.9, 0.5, 0.0):
        error = [expected_double(x, 0.0, 1.0, 1.0, correlation) - x for x in apart]
        series[f"double, c = {correlation}"] = (apart, error)
    for label, (_, error) in series.items():
        print(f"{label}: {error[0]:.3f} for equal actions, {error[20]:.3f} if they are one spread apart")
    return curves(series, title="Above 0 is too large", xlabel="difference of the true values, in spreads",
                  ylabel="error on average")


ex.demo("q2", errors_by_distance)

# %% [markdown]
# Where the actions are equal, a second opinion that is independent has no error at all; where they differ a little, it
# is too small. Where $c$ is 0.9 most of the error of a single one is left. With two actions the numbers are
# small; with many they grow, and in Q-learning every target inherits the error of the next.


# %% [markdown]
# ## q3 · Several rewards before the guess
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 20 minutes · topic Q7*
#
# A one-step target contains one reward and one guess. With $N$ rewards before the guess (section Q7)
#
# $$y = \sum_{k=0}^{m-1} \gamma^k\, r_k + \gamma^m\, V(s_m), \qquad V(s_m) = \max_a Q(s_m, a),$$
#
# the guess counts less, and good news travels $N$ steps at once. A window of the replay has $N$ rows, but an episode
# may end in it. So $m = N$ or, if an episode ends in the window, the number of rows up to and with the first end. If
# the problem is over there, nothing comes after it; if only the time limit struck, the value of the state to which that
# step *truly* led is added. Row $k$ of `next_value` is the value of the state behind step $k$. What stands behind the
# first end belongs to another episode.
#
# <details><summary>Hint</summary>
#
# It is easier backwards. In the last row the target is reward plus γ times its `next_value`, or the reward alone where
# it terminated. In each row above: what stands there for a row with an end is that row's own one-step target; else
# it is the reward plus γ times the target of the row below.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *expected shape [1], got [3, 1]*: the target of the window's first step is asked for, one number for each column.
#
# *Boolean value of Tensor with more than one value is ambiguous*: an `if` met a whole row of flags. `torch.where`
# decides column by column.
#
# </details>


# %% q="q3"
def n_step_target(reward, next_value, terminated, truncated, discount):
    """The target of the first step of each window.

    reward, next_value [N, B]: r_k and V of the true successor, of N steps of B windows. terminated, truncated [N, B]
    (bool): the problem was over with step k; the time limit cut the episode behind it (a step may be both, and then
    the problem is over). discount: γ. Returns [B].
    """
    ### SOLUTION
    one_step = reward + discount * ~terminated * next_value
    target = one_step[-1]
    for k in range(len(reward) - 2, -1, -1):
        target = torch.where(terminated[k] | truncated[k], one_step[k], reward[k] + discount * target)
    return target
    ### END


# %% tags=["check"]
ex.check("q3")


# %% wrong="q3" at_most=2 why="a value behind the end" hint="You look behind the end of the problem"
def n_step_target(reward, next_value, terminated, truncated, discount):
    target = reward[-1] + discount * next_value[-1]
    for k in range(len(reward) - 2, -1, -1):
        ended = terminated[k] | truncated[k]
        target = reward[k] + discount * torch.where(ended, next_value[k], target)
    return target


# %% wrong="q3" at_most=3 why="no value at the time limit" hint="You treat the time limit as the end of the problem"
def n_step_target(reward, next_value, terminated, truncated, discount):
    ended = terminated | truncated
    target = next_value[-1]
    for k in range(len(reward) - 1, -1, -1):
        target = reward[k] + discount * ~ended[k] * target
    return target


# %% wrong="q3" at_most=2 why="runs across an end" hint="The sum runs over the ends"
def n_step_target(reward, next_value, terminated, truncated, discount):
    target = next_value[-1] * ~terminated[-1]
    for k in range(len(reward) - 1, -1, -1):
        target = reward[k] + discount * target
    return target


# %% wrong="q3" at_most=2 why="runs across the time limit" hint="The sum runs on behind a time limit"
def n_step_target(reward, next_value, terminated, truncated, discount):
    target = next_value[-1]
    for k in range(len(reward) - 1, -1, -1):
        target = reward[k] + discount * ~terminated[k] * target
    return target


# %% wrong="q3" at_most=3 why="always the last row's value" hint="The value is always that of the last row"
def n_step_target(reward, next_value, terminated, truncated, discount):
    target = next_value[-1] * ~terminated[-1]
    for k in range(len(reward) - 1, -1, -1):
        target = torch.where(truncated[k], next_value[-1], target)
        target = reward[k] + discount * ~terminated[k] * target
    return target


# %% wrong="q3" at_most=3 why="always γ to the power of N" hint="The value always counts γᴺ"
def n_step_target(reward, next_value, terminated, truncated, discount):
    steps, answer = len(reward), []
    for b in range(reward.shape[1]):
        total = 0.0
        for k in range(steps):
            total = total + discount**k * reward[k, b]
            if terminated[k, b] or truncated[k, b]:
                break
        answer.append(total + discount**steps * next_value[k, b] * ~terminated[k, b])
    return torch.stack(answer)


# %% wrong="q3" at_most=2 why="the value's exponent one too small" hint="The exponent of the value is one too small"
def n_step_target(reward, next_value, terminated, truncated, discount):
    one_step = reward + ~terminated * next_value
    target = one_step[-1]
    for k in range(len(reward) - 2, -1, -1):
        target = torch.where(terminated[k] | truncated[k], one_step[k], reward[k] + discount * target)
    return target


# %% wrong="q3" at_most=1 why="the first reward discounted" hint="All exponents are one too large"
def n_step_target(reward, next_value, terminated, truncated, discount):
    one_step = discount * (reward + discount * ~terminated * next_value)
    target = one_step[-1]
    for k in range(len(reward) - 2, -1, -1):
        target = torch.where(terminated[k] | truncated[k], one_step[k], discount * (reward[k] + target))
    return target


# %% wrong="q3" at_most=1 why="no value" hint="What comes after the window is missing"
def n_step_target(reward, next_value, terminated, truncated, discount):
    target = torch.zeros_like(reward[0])
    for k in range(len(reward) - 1, -1, -1):
        target = reward[k] + discount * ~(terminated[k] | truncated[k]) * target
    return target


# %% wrong="q3" at_most=1 why="a value at every step" hint="You add a value behind every reward"
def n_step_target(reward, next_value, terminated, truncated, discount):
    one_step = reward + discount * ~terminated * next_value
    target = one_step[-1]
    for k in range(len(reward) - 2, -1, -1):
        target = torch.where(terminated[k] | truncated[k], one_step[k], one_step[k] + discount * target)
    return target


# %% wrong="q3" at_most=1 why="the flags exchanged" hint="The flags are exchanged"
def n_step_target(reward, next_value, terminated, truncated, discount):
    one_step = reward + discount * ~truncated * next_value
    target = one_step[-1]
    for k in range(len(reward) - 2, -1, -1):
        target = torch.where(terminated[k] | truncated[k], one_step[k], reward[k] + discount * target)
    return target


# %% wrong="q3" at_most=3 why="a value where both flags are set" hint="Where both flags are True you add a value"
def n_step_target(reward, next_value, terminated, truncated, discount):
    one_step = reward + discount * (~terminated | truncated) * next_value
    target = one_step[-1]
    for k in range(len(reward) - 2, -1, -1):
        target = torch.where(terminated[k] | truncated[k], one_step[k], reward[k] + discount * target)
    return target


# %% wrong="q3" at_most=0 why="every row's target" hint="That is a target for every row"
def n_step_target(reward, next_value, terminated, truncated, discount):
    targets = [reward[-1] + discount * ~terminated[-1] * next_value[-1]]
    for k in range(len(reward) - 2, -1, -1):
        following = torch.where(truncated[k], next_value[k], targets[0])
        targets.insert(0, reward[k] + discount * ~terminated[k] * following)
    return torch.stack(targets)


# %% right="q3" why="forwards, with a weight that falls to zero"
def n_step_target(reward, next_value, terminated, truncated, discount):
    total, weight = torch.zeros_like(reward[0]), torch.ones_like(reward[0])
    for k in range(len(reward)):
        total = total + weight * reward[k]
        stops = terminated[k] | truncated[k] if k < len(reward) - 1 else torch.ones_like(terminated[k])
        total = total + discount * weight * (stops & ~terminated[k]) * next_value[k]
        weight = discount * weight * ~stops
    return total


# %% right="q3" why="plain numbers, window by window"
def n_step_target(reward, next_value, terminated, truncated, discount):
    answer = []
    for b in range(reward.shape[1]):
        total, weight = 0.0, 1.0
        for k in range(reward.shape[0]):
            total += weight * float(reward[k, b])
            weight *= discount
            if terminated[k, b] or truncated[k, b]:
                break
        answer.append(total if terminated[k, b] else total + weight * float(next_value[k, b]))
    return answer


# %% [markdown]
# **See it.** A yard with a wall ([`grid_map`](../rlcourse/envs/maps.py)), two thousand drunkards at its gate, and a
# critic that knows nothing: $V = 0$ everywhere. What do your targets for the gate say on average, and how much do they
# scatter, by the number of rewards in them? The truth is known
# ([`policy_evaluation`](../rlcourse/exact/evaluation.py)).

# %%
from rlcourse.envs.maps import grid_map
from rlcourse.exact.evaluation import policy_evaluation


def drunkards():
    """Error of the mean, and spread, of N-step targets from a critic that says 0."""
    yard, discount, most = grid_map(("S..", ".#.", "..G"), slip=0.2).mdp, 0.95, 40
    value = policy_evaluation(yard, torch.full((yard.num_states, 4), 0.25, dtype=torch.float64), discount)
    truth, random = float(value @ yard.initial), generator(0, "drunkards of exercise 05b")
    source = DynamicsSource(yard, 1, 2000, random=random, dtype=torch.float64)
    steps = [source.step(torch.randint(4, (1, 2000), generator=random)) for _ in range(most)]
    reward, over, cut = (torch.stack([getattr(step, name)[0] for step in steps])
                         for name in ("reward", "terminated", "truncated"))
    lengths, error, spread = (1, 2, 3, 5, 8, 12, 20, 30, 40), [], []
    for n in lengths:
        target = torch.as_tensor(n_step_target(reward[:n], torch.zeros(n, 2000).double(), over[:n], cut[:n], discount),
                                 dtype=torch.float64)
        error.append(abs(float(target.mean()) - truth))
        spread.append(float(target.std()))
    print(f"N = 1: wrong by {error[0]:.2f}, spread {spread[0]:.2f}; N = 40: wrong by {error[-1]:.2f}, "
          f"spread {spread[-1]:.2f}")
    return curves({"error of the mean": (lengths, error), "spread": (lengths, spread)},
                  title="What a longer window buys, and costs", xlabel="rewards in the target, N",
                  ylabel="in units of V")


ex.demo("q3", drunkards)

# %% [markdown]
# With one reward nothing scatters, and everything is wrong. With forty hardly anything is wrong on average, but the
# spread of a single target is nearly as large as the true value.


# %% [markdown]
# ## q4 · How much of it to believe
#
# *6 points · difficulty 4 of 5 · importance 3 of 5 · about 25 minutes · topic Q7*
#
# The rewards of q3 are those of the actions that *were* taken, by whoever it was. If another policy $\pi$ is to be
# judged, only the first action is free. A general way out is to give every later action a weight, its *trace*
# $c_i$, that says how much to believe of what comes from there on (section Q7):
#
# $$G_t = Q(s_t, a_t) + \sum_{k \ge t} \gamma^{k-t} \big(c_{t+1} \cdots c_k\big)\, \delta_k,$$
#
# $$\delta_k = r_k + \gamma\, \mathbb E_{a \sim \pi}\, Q(s_{k+1}, a) - Q(s_k, a_k) .$$
#
# The product is empty, 1, for $k = t$. The sum stops at the first end; behind a terminated step the expectation is
# missing, at a time limit it is not. Two of the choices for $c$:
#
# * `retrace` (Munos and others 2016): $c = \lambda \min(1, \rho)$, where $\rho = \pi(a \mid s)/\pi_\beta(a \mid s)$ and
#   $\pi_\beta$ is the policy that acted;
#
# * `watkins` (1989), for a greedy $\pi$: $c = \lambda$ where the action was a greedy one, else 0.
#
# <details><summary>Hint</summary>
#
# Write $G_t = Q(s_t, a_t) + x_t$ and take $\delta_t$ out of the sum: what is left of it contains $c_{t+1}$ and γ in
# every term, and is $\gamma\, c_{t+1}\, x_{t+1}$. So go backwards, from $x = \delta$ in the last row. At an end
# $x_t = \delta_t$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *clamp(): argument 'input' must be Tensor, not float*: `clamp` is for tensors; all arguments but λ and γ are.
#
# *index 3 is out of bounds for dimension 0 with size 3*: there is no $c_{t+1}$ in the last row, and none is needed:
# begin the loop with $x = \delta$ there.
#
# </details>


# %% q="q4"
def retrace(policy_probs, behaviour_probs, trace_decay):
    """λ min(1, ρ) for each action that was taken.

    policy_probs, behaviour_probs (any shape): π(a|s) and π_β(a|s) of that action, both positive. trace_decay: λ.
    """
    ### SOLUTION
    return trace_decay * (policy_probs / behaviour_probs).clamp(max=1.0)
    ### END


def watkins(was_greedy, trace_decay):
    """λ where the action was greedy, 0 elsewhere. was_greedy (bool, any shape); trace_decay: λ."""
    ### SOLUTION
    return trace_decay * was_greedy.double()
    ### END


def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    """G_t of every row.

    reward, q [T, B]: r_k and Q(s_k, a_k). next_expected_q [T, B]: E Q(s', a) over a ∼ π, in the true successor of row
    k. trace [T, B]: row k has c_k, the trace of a_k. terminated, truncated [T, B] (bool): the problem was over; the
    time limit struck (a step may be both, and then the problem is over). discount: γ. Returns [T, B].
    """
    ### SOLUTION
    error = reward + discount * ~terminated * next_expected_q - q
    ended = terminated | truncated
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * trace[t + 1] * ahead[t + 1] * ~ended[t]
    return q + ahead
    ### END


# %% tags=["check"]
ex.check("q4")


# %% wrong="q4" at_most=4 why="clamp after the decay" hint="The decay comes after the clamp"
def retrace(policy_probs, behaviour_probs, trace_decay):
    return (trace_decay * policy_probs / behaviour_probs).clamp(max=1.0)


# %% wrong="q4" at_most=4 why="the larger one" hint="You take the larger of 1 and ρ"
def retrace(policy_probs, behaviour_probs, trace_decay):
    return trace_decay * (policy_probs / behaviour_probs).clamp(min=1.0)


# %% wrong="q4" at_most=4 why="not clamped" hint="The ratio is not clamped"
def retrace(policy_probs, behaviour_probs, trace_decay):
    return trace_decay * policy_probs / behaviour_probs


# %% wrong="q4" at_most=4 why="λ forgotten" hint="λ is forgotten"
def retrace(policy_probs, behaviour_probs, trace_decay):
    return (policy_probs / behaviour_probs).clamp(max=1.0)


# %% wrong="q4" at_most=4 why="the ratio turned" hint="The ratio is turned"
def retrace(policy_probs, behaviour_probs, trace_decay):
    return trace_decay * (behaviour_probs / policy_probs).clamp(max=1.0)


# %% wrong="q4" at_most=4 why="cut where greedy" hint="It is turned round: the trace is cut"
def watkins(was_greedy, trace_decay):
    return trace_decay * (~was_greedy).double()


# %% wrong="q4" at_most=4 why="Watkins without λ" hint="λ is forgotten"
def watkins(was_greedy, trace_decay):
    return was_greedy.double()


# %% wrong="q4" at_most=4 why="product in the coefficient" hint="The product over the steps is part of the target"
def watkins(was_greedy, trace_decay):
    return trace_decay * was_greedy.double().cumprod(0)


# %% wrong="q4" at_most=2 why="the first trace applied" hint="Your first trace is cₜ"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    ended = terminated | truncated
    ahead = trace * error
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = trace[t] * (error[t] + discount * ahead[t + 1] * ~ended[t])
    return q + ahead


# %% wrong="q4" at_most=2 why="one trace early" hint="The traces are one step early"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    ended = terminated | truncated
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * trace[t] * ahead[t + 1] * ~ended[t]
    return q + ahead


# %% wrong="q4" at_most=3 why="the product forgotten" hint="The product is forgotten"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    target = q.clone()
    for t in range(len(error)):
        going = torch.ones_like(error[0])
        for k in range(t, len(error)):
            target[t] += going * discount ** (k - t) * (trace[k] if k > t else 1.0) * error[k]
            going = going * ~(terminated[k] | truncated[k])
    return target


# %% wrong="q4" at_most=4 why="no cut at ends" hint="The sum runs over the ends"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * trace[t + 1] * ahead[t + 1]
    return q + ahead


# %% wrong="q4" at_most=4 why="no cut at the time limit" hint="Also where only the time limit struck"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * trace[t + 1] * ahead[t + 1] * ~terminated[t]
    return q + ahead


# %% wrong="q4" at_most=4 why="the time limit as an end" hint="At a time limit you treat the problem as over"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    ended = terminated | truncated
    error = reward + discount * ~ended * next_expected_q - q
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * trace[t + 1] * ahead[t + 1] * ~ended[t]
    return q + ahead


# %% wrong="q4" at_most=4 why="a value behind the end" hint="You look behind the end of the problem"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * next_expected_q - q
    ended = terminated | truncated
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * trace[t + 1] * ahead[t + 1] * ~ended[t]
    return q + ahead


# %% wrong="q4" at_most=2 why="no discount in the sum" hint="γ is forgotten in the sum"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    ended = terminated | truncated
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + trace[t + 1] * ahead[t + 1] * ~ended[t]
    return q + ahead


# %% wrong="q4" at_most=2 why="the correction alone" hint="That is the correction alone"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    ended = terminated | truncated
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * trace[t + 1] * ahead[t + 1] * ~ended[t]
    return ahead


# %% wrong="q4" at_most=2 why="traces ignored" hint="The traces have no effect"
def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    error = reward + discount * ~terminated * next_expected_q - q
    ended = terminated | truncated
    ahead = error.clone()
    for t in range(len(error) - 2, -1, -1):
        ahead[t] = error[t] + discount * ahead[t + 1] * ~ended[t]
    return q + ahead


# %% right="q4" why="a double sum, as written"
def retrace(policy_probs, behaviour_probs, trace_decay):
    return torch.minimum(torch.full_like(policy_probs, trace_decay), trace_decay * policy_probs / behaviour_probs)


def watkins(was_greedy, trace_decay):
    return torch.where(was_greedy, float(trace_decay), 0.0)


def trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount):
    target = q.clone()
    for t in range(len(reward)):
        weight = torch.ones_like(q[0])
        for k in range(t, len(reward)):
            if k > t:
                weight = weight * discount * trace[k] * ~(terminated[k - 1] | truncated[k - 1])
            following = torch.where(terminated[k], 0.0, next_expected_q[k])
            target[t] += weight * (reward[k] + discount * following - q[k])
    return target


# %% [markdown]
# **See it.** The same yard. One who goes the best way nine times out of ten is to be judged
# ([`epsilon_greedy_probs`](../rlcourse/equations/q_policies.py), [`value_iteration`](../rlcourse/exact/evaluation.py)),
# from two thousand walks of one who does so six times out of ten ([`sample_index`](../rlcourse/envs/tabular.py) draws
# his actions by [`uniforms`](../rlcourse/core/seeding.py)), with windows of 20 steps and a Q that says 0. What do five
# kinds of traces make of it, beside the truth ([`q_from_value`](../rlcourse/exact/evaluation.py)), and how much do they
# scatter?

# %%
from rlcourse.core.seeding import uniforms
from rlcourse.envs.tabular import sample_index
from rlcourse.equations.q_policies import epsilon_greedy_probs
from rlcourse.exact.evaluation import q_from_value, value_iteration


def judged_by_walks_of_others():
    """The mean and the spread of targets at the gate for five kinds of traces, and the truth."""
    yard, discount, steps, size = grid_map(("S..", ".#.", "..G"), slip=0.2).mdp, 0.95, 20, 2000
    best = q_from_value(yard, value_iteration(yard, discount)[0], discount)
    policy, walker = (epsilon_greedy_probs(best, epsilon=epsilon) for epsilon in (0.1, 0.4))
    truth = q_from_value(yard, policy_evaluation(yard, policy, discount), discount)
    random = generator(0, "walks of exercise 05b")
    source = DynamicsSource(yard, 1, size, random=random, dtype=torch.float64)
    rows = []
    for _ in range(steps):
        obs = source.obs[0]
        action = sample_index(walker[obs], uniforms((size,), random).double())
        step = source.step(action[None])
        rows.append((obs, action, step.reward[0], step.terminated[0], step.truncated[0]))
    obs, action, reward, over, cut = (torch.stack(column) for column in zip(*rows))
    zero, taken, by_walker = torch.zeros_like(reward), policy[obs, action], walker[obs, action]
    print(f"the truth: {float(truth[obs[0], action[0]].mean()):.3f}")
    kinds = {"one step": zero, "Watkins, λ = 1": watkins(action == best[obs].argmax(-1), 1.0),
             "Retrace, λ = 1": retrace(taken, by_walker, 1.0),
             "everything believed": torch.ones_like(zero), "importance weights": taken / by_walker}
    for name, trace in kinds.items():
        trace = torch.as_tensor(trace, dtype=torch.float64)
        target = torch.as_tensor(trace_target(reward, zero, zero, trace, over, cut, discount), dtype=torch.float64)[0]
        print(f"{name}: {float(target.mean()):.3f} on average, spread {float(target.std()):.3f}")


ex.demo("q4", judged_by_walks_of_others)

# %% [markdown]
# One step sees no reward at all. To believe everything gives, from a Q that says 0, just the return of the one who
# walked, and not of the one who is judged. The importance weights come closest on average, with the largest spread by
# far. The two careful ones are much too low: where they stop believing, Q is asked, and Q says 0. But with any trace
# between 0 and ρ, and Watkins' is one here although $\pi$ is not greedy, the largest error of the mean shrinks. The
# next round begins with what they have learned, and on average they arrive at the value of the one who is judged,
# whoever walked, if he tries everything.


# %% [markdown]
# ## q5 · The maximum for nothing
#
# *4 points · difficulty 3 of 5 · importance 3 of 5 · about 20 minutes · topic Q8*
#
# Over ten actions a maximum is a comparison. Over all torques of a motor it is a search, in every target and at every
# step. Normalised advantage functions (NAF: Gu and others 2016, section Q8) allow only such Q whose maximum can be
# read off: parabolas,
#
# $$Q(s, a) = V(s) + A(s, a),$$
#
# $$A(s, a) = -\tfrac12 \, (a - \mu)^\top P \, (a - \mu), \qquad P = L L^\top .$$
#
# $L$ is lower triangular with a positive diagonal; it and $\mu$ and $V$ are outputs of a network. Whatever the network
# says, $\mu$ is the best action and $V$ its value.
#
# * `naf_advantage` is $A$.
#
# * `top` goes the other way. A parabola may come as $Q(a) = c + g^\top a - \tfrac12\, a^\top P a$, whose slope at
#   $a = 0$ is $g$; the Q of every linear system with quadratic costs does. Where is its top, and how high?
#
# <details><summary>Hint</summary>
#
# $x^\top L L^\top x$ is the squared length of $L^\top x$. For a batch, `(L.mT @ x[..., None]).squeeze(-1)` is
# $L^\top x$, [B, D]; `.mT` exchanges the last two axes.
#
# At the top the derivative of Q is 0. `torch.linalg.solve(P, g[..., None]).squeeze(-1)` solves $P a = g$ for each of
# the batch.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *The size of tensor a must match*, or *expected shape [2], got [2, 2]* or *[2, 1]*: a matrix times a batch of vectors
# wants columns, [B, D, 1]: `x[..., None]`. What is left over in the end `squeeze(-1)` takes away.
#
# *.T is only supported on matrices*, or a warning about `.T`: `.mT` exchanges the last two axes of a batch.
#
# *expected a list of 2, got …*: two tensors are asked for, `return action, value`.
#
# </details>


# %% q="q5"
def naf_advantage(action, mean, factor):
    """A(s, a) of a batch: action [B, D], mean μ(s) [B, D], factor L(s) [B, D, D], lower triangular. Returns [B]."""
    ### SOLUTION
    x = (factor.mT @ (action - mean)[..., None]).squeeze(-1)
    return -0.5 * (x**2).sum(-1)
    ### END


def top(constant, slope, curvature):
    """The best action and its value for Q(a) = c + gᵀa − ½ aᵀPa.

    constant: c [B]. slope: g [B, D]. curvature: P [B, D, D], symmetric and positive definite. Returns two tensors,
    the actions [B, D] and the values [B].
    """
    ### SOLUTION
    action = torch.linalg.solve(curvature, slope[..., None]).squeeze(-1)
    return action, constant + 0.5 * (slope * action).sum(-1)
    ### END


# %% tags=["check"]
ex.check("q5")


# %% wrong="q5" at_most=2 why="LᵀL" hint="That is LᵀL, another matrix"
def naf_advantage(action, mean, factor):
    x = (factor @ (action - mean)[..., None]).squeeze(-1)
    return -0.5 * (x**2).sum(-1)


# %% wrong="q5" at_most=1 why="no half" hint="The ½ is missing."
def naf_advantage(action, mean, factor):
    x = (factor.mT @ (action - mean)[..., None]).squeeze(-1)
    return -(x**2).sum(-1)


# %% wrong="q5" at_most=1 why="the sign" hint="The sign is turned: μ is the *best* action"
def naf_advantage(action, mean, factor):
    x = (factor.mT @ (action - mean)[..., None]).squeeze(-1)
    return 0.5 * (x**2).sum(-1)


# %% wrong="q5" at_most=1 why="a column" hint="An axis of length 1 is left over"
def naf_advantage(action, mean, factor):
    x = factor.mT @ (action - mean)[..., None]
    return -0.5 * (x**2).sum(1)


# %% wrong="q5" at_most=1 why="all pairs" hint="That is a matrix [B, B]"
def naf_advantage(action, mean, factor):
    x = factor.mT @ (action - mean)[..., None]
    return -0.5 * (x**2).sum(1) * torch.ones(len(action), dtype=torch.float64)


# %% wrong="q5" at_most=2 why="mean over the axes" hint="You take the mean over the axes"
def naf_advantage(action, mean, factor):
    x = (factor.mT @ (action - mean)[..., None]).squeeze(-1)
    return -0.5 * (x**2).mean(-1)


# %% wrong="q5" at_most=1 why="L for L Lᵀ" hint="The matrix of the parabola is P = L Lᵀ"
def naf_advantage(action, mean, factor):
    x = action - mean
    return -0.5 * torch.einsum("bi,bij,bj->b", x, factor, x)


# %% wrong="q5" at_most=2 why="squares of the entries" hint="a product of matrices"
def naf_advantage(action, mean, factor):
    x = action - mean
    return -0.5 * torch.einsum("bi,bij,bj->b", x, factor**2, x)


# %% wrong="q5" at_most=1 why="μ forgotten" hint="μ is not subtracted"
def naf_advantage(action, mean, factor):
    x = (factor.mT @ action[..., None]).squeeze(-1)
    return -0.5 * (x**2).sum(-1)


# %% wrong="q5" at_most=2 why="square of the sum" hint="First the squares, then the sum"
def naf_advantage(action, mean, factor):
    x = (factor.mT @ (action - mean)[..., None]).squeeze(-1)
    return -0.5 * x.sum(-1) ** 2


# %% wrong="q5" at_most=1 why="the batch added up" hint="You add up the batch too"
def naf_advantage(action, mean, factor):
    x = (factor.mT @ (action - mean)[..., None]).squeeze(-1)
    return -0.5 * (x**2).sum()


# %% wrong="q5" at_most=2 why="the curvature forgotten" hint="The curvature is not used"
def top(constant, slope, curvature):
    return slope, constant + 0.5 * (slope * slope).sum(-1)


# %% wrong="q5" at_most=2 why="the value of the action 0" hint="c alone is the value of the action 0"
def top(constant, slope, curvature):
    return torch.linalg.solve(curvature, slope[..., None]).squeeze(-1), constant


# %% wrong="q5" at_most=2 why="without the half" hint="the curvature takes half of what the slope gives"
def top(constant, slope, curvature):
    action = torch.linalg.solve(curvature, slope[..., None]).squeeze(-1)
    return action, constant + (slope * action).sum(-1)


# %% wrong="q5" at_most=2 why="the sign of the action" hint="The sign of the action is turned"
def top(constant, slope, curvature):
    action = -torch.linalg.solve(curvature, slope[..., None]).squeeze(-1)
    return action, constant - 0.5 * (slope * action).sum(-1)


# %% wrong="q5" at_most=2 why="the diagonal alone" hint="You divide by the diagonal alone"
def top(constant, slope, curvature):
    action = slope / curvature.diagonal(dim1=-2, dim2=-1)
    return action, constant + 0.5 * (slope * action).sum(-1)


# %% wrong="q5" at_most=2 why="the two exchanged" hint="The two are exchanged"
def top(constant, slope, curvature):
    action = torch.linalg.solve(curvature, slope[..., None]).squeeze(-1)
    return constant + 0.5 * (slope * action).sum(-1), action


# %% right="q5" why="sums over indices, and an inverse"
def naf_advantage(action, mean, factor):
    x = action - mean
    return -torch.einsum("bi,bik,bjk,bj->b", x, factor, factor, x) / 2


def top(constant, slope, curvature):
    action = torch.einsum("bij,bj->bi", torch.linalg.inv(curvature), slope)
    linear = torch.einsum("bi,bi->b", slope, action)
    return action, constant + linear - 0.5 * torch.einsum("bi,bij,bj->b", action, curvature, action)


# %% [markdown]
# **See it.** What a parabola cannot say. A road with a tree in the middle: to pass it on the left is good, on the right
# a little better. The best parabola through that Q (least squares over all actions) has its top where your `top`
# finds it.


# %%
def a_tree_in_the_way():
    """A Q with two peaks, the parabola that fits it best, and the top of that."""
    action = torch.linspace(-1, 1, 201, dtype=torch.float64)
    truth = torch.exp(-25 * (action + 0.35) ** 2) + 1.1 * torch.exp(-25 * (action - 0.35) ** 2)
    powers = torch.stack([torch.ones_like(action), action, -0.5 * action**2], 1)
    constant, slope, curvature = torch.linalg.lstsq(powers, truth[:, None]).solution[:, 0]
    best, value = (torch.as_tensor(part, dtype=torch.float64)
                   for part in top(constant[None], slope[None, None], curvature[None, None, None]))
    away = torch.as_tensor(naf_advantage(action[:, None], best.expand(201, 1),
                                         curvature.sqrt().expand(201, 1, 1)), dtype=torch.float64)
    here = int((action - best[0, 0]).abs().argmin())
    print(f"the parabola's best action: {float(best[0, 0]):.2f}, where Q is {float(truth[here]):.2f}; the best "
          f"action of Q itself: {float(action[truth.argmax()]):.2f}, worth {float(truth.max()):.2f}")
    return curves({"Q": (action, truth), "the parabola": (action, value + away)}, title="Straight into the tree",
                  xlabel="steering angle a", ylabel="Q(s, a)")


ex.demo("q5", a_tree_in_the_way)

# %% [markdown]
# Where Q has one peak, NAF is quick and has no search in it. Where it has two, it takes the middle. The other way out
# is an actor that climbs Q itself, and that is q6.


# %% [markdown]
# ## q6 · Near the best action, and the more careful of two
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 20 minutes · topic Q8*
#
# DDPG (Lillicrap and others 2015) trains a second network, the actor $\mu(s)$, to climb Q. An actor climbs the errors
# of Q too, where they point upwards, and so overestimates as a maximum does. TD3 (Fujimoto, van Hoof, Meger 2018,
# section Q8) has two remedies in the target. The action in $s'$ is not the target actor's own but one near it,
#
# $$\tilde a = \mathrm{clip}\big(\mu'(s') + \mathrm{clip}(\sigma\, \xi, -c, c),\; \mathrm{low}, \mathrm{high}\big),$$
#
# with standard normal $\xi$, so that a narrow peak counts as little as its surroundings; and of two target critics the
# more careful one counts,
#
# $$y = r + \gamma \, \min\big(Q_1'(s', \tilde a),\, Q_2'(s', \tilde a)\big),$$
#
# with $y = r$ where the problem is over. In `td3_target` actions lie between −1 and 1, $\sigma = 0.2$ and $c = 0.5$.
# (The function of this name in the library is given the critics' values; yours has to ask the critics.)
#
# <details><summary>Hint</summary>
#
# `x.clamp(low, high)` clips. What is clipped to $[-c, c]$: ξ or σ ξ? And which clip comes last?
#
# In the target: the action that was stored belongs to $s$. Which action would be taken in $s'$? `critics` gives both
# values at once, [2, B].
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *'tuple' object has no attribute …*, *expected shape [4], got [2, 4]*: `critics(…)` has a row for each critic. Take
# the smaller of both for every transition: `amin(0)`.
#
# *clamp() received an invalid combination of arguments*: `clamp(low, high)` takes two numbers.
#
# </details>


# %% q="q6"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    """ã for a batch: action μ'(s') [B, D], noise ξ [B, D] (standard normal), and σ, c, low, high, numbers. [B, D]."""
    ### SOLUTION
    near = action + (noise_std * noise).clamp(-noise_clip, noise_clip)
    return near.clamp(low, high)
    ### END


def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    """The target of both critics, for a batch of transitions.

    reward [B]. action [B, D]: the stored one, taken in s. next_obs [B, …]: s'. terminated [B] (bool). actor(obs) gives
    μ' [B, D] for observations; critics(obs, action) gives both target critics [2, B]. noise: ξ [B, D]. discount: γ.
    Actions lie between −1 and 1; σ = 0.2 and c = 0.5. Returns y [B].
    """
    ### SOLUTION
    near = smoothed_action(actor(next_obs), noise, 0.2, 0.5, -1.0, 1.0)
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, near).amin(0))
    ### END


# %% tags=["check"]
ex.check("q6")


# %% wrong="q6" at_most=3 why="noise not clipped" hint="The noise is not clipped"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return (action + noise_std * noise).clamp(low, high)


# %% wrong="q6" at_most=3 why="clip before the scale" hint="You clip ξ and then scale it"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return (action + noise_std * noise.clamp(-noise_clip, noise_clip)).clamp(low, high)


# %% wrong="q6" at_most=3 why="not in the box" hint="The action is not clipped to the box"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return action + (noise_std * noise).clamp(-noise_clip, noise_clip)


# %% wrong="q6" at_most=3 why="the box first" hint="The box comes last"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return action.clamp(low, high) + (noise_std * noise).clamp(-noise_clip, noise_clip)


# %% wrong="q6" at_most=3 why="one range for both" hint="The noise is clipped to the box"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return (action + (noise_std * noise).clamp(low, high)).clamp(low, high)


# %% wrong="q6" at_most=3 why="the variance" hint="σ is the standard deviation, not the variance"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return (action + (noise_std**2 * noise).clamp(-noise_clip, noise_clip)).clamp(low, high)


# %% wrong="q6" at_most=3 why="no σ" hint="σ is forgotten"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return (action + noise.clamp(-noise_clip, noise_clip)).clamp(low, high)


# %% wrong="q6" at_most=2 why="the noise alone" hint="That is the noise alone"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    return (noise_std * noise).clamp(-noise_clip, noise_clip)


# %% wrong="q6" at_most=2 why="the larger critic" hint="You take the larger of both critics"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    near = smoothed_action(actor(next_obs), noise, 0.2, 0.5, -1.0, 1.0)
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, near).amax(0))


# %% wrong="q6" at_most=2 why="one critic" hint="Only the first critic is asked"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    near = smoothed_action(actor(next_obs), noise, 0.2, 0.5, -1.0, 1.0)
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, near)[0])


# %% wrong="q6" at_most=2 why="the mean of the critics" hint="You average the critics"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    near = smoothed_action(actor(next_obs), noise, 0.2, 0.5, -1.0, 1.0)
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, near).mean(0))


# %% wrong="q6" at_most=2 why="one minimum for all" hint="That is one minimum for the whole batch"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    near = smoothed_action(actor(next_obs), noise, 0.2, 0.5, -1.0, 1.0)
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, near).min())


# %% wrong="q6" at_most=2 why="noise on the stored action" hint="The noise is added to the stored action"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    near = smoothed_action(action, noise, 0.2, 0.5, -1.0, 1.0)
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, near).amin(0))


# %% wrong="q6" at_most=2 why="the stored action" hint="You evaluate the stored action"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, action).amin(0))


# %% wrong="q6" at_most=2 why="no smoothing" hint="The target actor's action is not smoothed"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    return reward + discount * torch.where(terminated, 0.0, critics(next_obs, actor(next_obs)).amin(0))


# %% wrong="q6" at_most=3 why="no mask" hint="You look behind the end of the problem"
def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    near = smoothed_action(actor(next_obs), noise, 0.2, 0.5, -1.0, 1.0)
    return reward + discount * critics(next_obs, near).amin(0)


# %% right="q6" why="minimum and maximum in place of clamp, both critics by name"
def smoothed_action(action, noise, noise_std, noise_clip, low, high):
    push = noise * noise_std
    push = torch.where(push > noise_clip, noise_clip, torch.where(push < -noise_clip, -noise_clip, push))
    return torch.clip(action + push, min=low, max=high)


def td3_target(reward, action, next_obs, terminated, actor, critics, noise, discount):
    first, second = critics(next_obs, smoothed_action(actor(next_obs), noise, 0.2, 0.5, -1, 1))
    return reward + (1 - terminated.double()) * discount * torch.where(first < second, first, second)


# %% [markdown]
# **See it.** A critic with a broad hill, which is real, and a narrow peak, which is an error: no data there. Where
# would an actor go that climbs it, and what does the target count for each action, on average over your noise?


# %%
def a_narrow_peak():
    """A critic, and what it says on average near each action, by your smoothing."""
    action = torch.linspace(-1, 1, 161, dtype=torch.float64)
    noise = torch.randn(2000, generator=generator(0, "peak of exercise 05b"), dtype=torch.float64)

    def critic(at):
        return torch.exp(-6 * (at + 0.4) ** 2) + 1.2 * torch.exp(-2000 * (at - 0.5) ** 2)

    near = torch.as_tensor(smoothed_action(action.repeat_interleave(2000)[:, None], noise.repeat(161)[:, None], 0.2,
                                           0.5, -1.0, 1.0), dtype=torch.float64).reshape(161, 2000)
    said, counted = critic(action), critic(near).mean(1)
    print(f"the highest point: a = {float(action[said.argmax()]):.2f}, after smoothing near "
          f"a = {float(action[counted.argmax()]):.1f}")
    return curves({"the critic": (action, said), "what the target counts": (action, counted)},
                  title="A peak that is an error", xlabel="action a", ylabel="Q'(s', a)")


ex.demo("q6", a_narrow_peak)

# %% [markdown]
# The peak is still in the critic, but no target repeats it, so that the data have a chance to wear it down. The price:
# where the true Q has a narrow ridge, that is rounded off too.


# %% [markdown]
# ## q7 · Bug hunt: on stilts
#
# *6 points · difficulty 4 of 5 · importance 5 of 5 · about 25 minutes · topic Q9*
#
# A friend has written a DQN that is to walk on stilts. The state is the lean, one of nine; at every step the walker
# leans one to the left, not at all, or one to the right, and a gust adds two to either side with probability 0.2 each.
# Beyond the ninth lean lies the ground, and the episode is over (*terminated*). Every step on stilts pays 1; after 50
# of them the time limit strikes. With γ = 0.95 no life is worth more than $1/(1 - \gamma) = 20$, and there her network
# begins, so that everything is tried. To see what it does she uses the simplest network there is, a table with a
# row for each state, also for the ground.
#
# She has written the two functions that matter: `choose` acts, ε-greedily, with ε = 0.1. `learn` is a round of
# learning, $T$ minibatches from the replay. The target network is copied at the beginning of the round and stands still
# until its end. Three bugs are in them, number 1 in `choose`, 2 and 3 in `learn`; none of them raises an
# error.


# %%
def friends_choose(q_values, epsilon, uniform, random_action):
    """Actions with a bug. Do not mend it here: the pictures at the end compare it with yours."""
    explores = uniform < epsilon
    return torch.where(explores, q_values.argmax(-1), random_action)


def friends_learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    """A round of learning with two bugs. Do not mend them here either."""
    target = q_table  # the target network: a copy, which stands still for the whole round
    for t in range(len(obs)):
        y = reward[t] + discount * target[next_obs[t]].amax(-1)
        error = y - q_table[obs[t], action[t]]
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)  # adds up, in place
    return q_table


# %% [markdown]
# The line with `index_put_` is sound: it moves all entries of the minibatch by α times their errors, and where a pair
# occurs twice both count, as the gradient of a sum would have it. The rest is sound as well: the stilts are a
# [`TabularMDP`](../rlcourse/envs/tabular.py), advanced by a [`DynamicsSource`](../rlcourse/data/sources.py), with
# chance from a [`generator`](../rlcourse/core/seeding.py) by [`uniforms`](../rlcourse/core/seeding.py). Four runs learn
# side by side. What she looks at: the falls in 100 steps of training, and, computed exactly, how many of 100 steps the
# greedy policy of the table would stay up, from the upright state and with no time limit. The second line is that of
# sound functions, from the same seed ([`curves`](../rlcourse/plots/curves.py); a band is the range of the four runs):

# %%
from rlcourse.core.seeding import generator, uniforms
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.tabular import TabularMDP
from rlcourse.plots.curves import curves


def stilts(leans=9, gust=0.2):
    """States 0 … 8 are leans, 9 is the ground; actions 0, 1, 2 lean to the left, not, to the right."""
    moves = torch.zeros(leans + 1, 3, leans + 1, dtype=torch.float64)
    moves[leans, :, leans] = 1
    for lean in range(leans):
        for action in range(3):
            for push, chance in ((-2, gust), (0, 1 - 2 * gust), (2, gust)):
                after = lean + action - 1 + push
                moves[lean, action, after if 0 <= after < leans else leans] += chance
    ground = torch.arange(leans + 1) == leans
    pays = torch.ones(leans + 1, 3, dtype=torch.float64) * ~ground[:, None]
    upright = (torch.arange(leans + 1) == leans // 2).double()
    return TabularMDP(moves, pays, upright, terminal=ground, time_limit=50)


def steps_of_100(mdp, q_table):
    """How many of 100 steps the greedy policy stays up, in expectation."""
    share, total = mdp.initial, 0.0
    for _ in range(100):
        total += float(share[:-1].sum())
        share = share @ mdp.transition_probs[torch.arange(mdp.num_states), q_table.argmax(-1)]
    return total


def walking(choose, learn, rounds=100, runs=4, walkers=4, epsilon=0.1, discount=0.95):
    """Rounds, falls in 100 training steps [., runs] and steps of 100 that the greedy policy stays up [., runs]."""
    mdp = stilts()
    source = DynamicsSource(mdp, runs, walkers, random=generator(0, "stilts"), dtype=torch.float64)
    tables = torch.full((runs, mdp.num_states, 3), 20.0, dtype=torch.float64)
    random, memory, run = generator(0, "walkers"), [], torch.arange(runs)[:, None]
    when, falls, up, fallen = [], [], [], []
    for k in range(1, rounds + 1):
        for _ in range(8):
            obs, chance = source.obs, uniforms((runs, walkers), random).double()
            any_action = torch.randint(3, (runs, walkers), generator=random)
            action = choose(tables[run, obs].flatten(0, 1), epsilon, chance.flatten(), any_action.flatten())
            action = torch.as_tensor(action).reshape(runs, walkers)
            step = source.step(action)
            memory.append((obs, action, step.reward, step.next_obs, step.terminated))
            fallen.append(step.terminated.double().mean(1))
        stored = [torch.cat(column, 1) for column in zip(*memory)]
        rows = (uniforms((8, 16), random) * stored[0].shape[1]).long()
        for r in range(runs):
            batches = [column[r, rows] for column in stored]
            tables[r] = torch.as_tensor(learn(tables[r].clone(), *batches, 0.1, discount))
        if k == 1 or k % 10 == 0:
            when.append(k)
            falls.append(100 * torch.stack(fallen).mean(0))
            up.append(torch.tensor([steps_of_100(mdp, table) for table in tables]))
            fallen = []
    return when, torch.stack(falls), torch.stack(up)


def mean_and_range(when, number):
    """Rounds, mean, lowest and highest of the runs: what `curves` draws."""
    return when, number.mean(1), number.min(1).values, number.max(1).values


when, friends_falls, friends_up = walking(friends_choose, friends_learn)
of_sound_functions = {1: (13.3, 12.5), 10: (3.7, 62.5), 20: (5.6, 33.9), 30: (2.8, 76.5), 40: (1.7, 83.1),
                      50: (1.2, 73.0), 60: (1.2, 74.2), 70: (0.9, 76.7), 80: (1.0, 80.4),
                      90: (0.4, 69.4), 100: (0.5, 88.6)}
curves({"your friend's": mean_and_range(when, friends_falls),
        "sound": (list(of_sound_functions), [falls for falls, _ in of_sound_functions.values()])},
       title="Four runs: while they train", xlabel="round", ylabel="falls in 100 steps")

# %%
from rlcourse.plots.curves import curves

curves({"your friend's": mean_and_range(when, friends_up),
        "sound": (list(of_sound_functions), [up for _, up in of_sound_functions.values()])},
       title="Four runs: what the greedy policy would do", xlabel="round", ylabel="steps of 100 on stilts")

# %% [markdown]
# She falls eight times in a hundred steps, and the greedy policy topples at once. In numbers, the means of the last
# three points (rounds 80, 90, 100) for what she has, and for what repairs make of it:
#
#                                     falls in 100 steps     of 100 steps the greedy
#                                     of training            policy stays up
#     nothing mended                   7.9                     5.5
#     1 mended (`choose`)             16.8                     5.5
#     2 mended                         6.6                    78
#     1 and 2 mended                   0.9                    85
#     all three mended                 0.7                    79
#
# (Four runs and one seed: small differences in it mean nothing.) Read it line by line. With 1 mended the training gets
# *worse*: she now does what the table says, and the table is nonsense. (After 100 rounds not one number in it has
# changed: put 20 for all values into her line for `y`.) With only 2 mended the table is good, since Q-learning does not
# care who acts, and yet she goes on falling. Each of the two hides that the other one has been mended. Number 3 shows
# in no curve of this problem: tables forgive it. Networks do not; it takes away what the target network is there for.
# So it must be looked for where it can be seen:


# %%
def how_far_it_travels(learn):
    """Three states in a row, 0 → 1 → 2 → over; the last step pays 1. The values after one round of 3 minibatches."""
    obs = torch.tensor([[0, 1, 2]] * 3)
    pays = torch.tensor([[0.0, 0.0, 1.0]] * 3, dtype=torch.float64)
    table = torch.zeros(4, 1, dtype=torch.float64)
    return learn(table, obs, torch.zeros_like(obs), pays, obs + 1, obs == 2, 1.0, 0.5)[:3, 0]


# %% [markdown]
# Every minibatch holds all three steps, α = 1, γ = ½. A target that stands still until the end of the round says 0 of
# every state, so that after the round only state 2 can know of the reward: 0, 0, 1. The friend's round gives
# ¼, ½, 1.
#
# **Your task.** Write both functions as they should be. `learn` may change the table that it is given, or make a new
# one; what it returns counts.
#
# <details><summary>Hint</summary>
#
# Read `choose` aloud: "where the uniform number is below ε …". How often is that?
#
# </details>
#
# <details><summary>A second hint</summary>
#
# The row of the ground is never updated: nobody acts there. What does it hold, and what does that make a fall worth?
#
# </details>
#
# <details><summary>A third hint</summary>
#
# After `b = a` two names stand for one tensor. What does `a.index_put_(…)` do to `b`? `a.clone()` is a copy.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *tensors used as indices must be long*: `obs[t]` and `action[t]` are whole numbers, the target is not: which of them
# stands in the brackets?
#
# *expected shape [2, 2], got [2]*: the whole table is asked for, [S, A].
#
# </details>


# %% q="q7"
def choose(q_values, epsilon, uniform, random_action):
    """ε-greedy actions: q_values [B, A]; uniform [B], numbers from 0 to 1; random_action [B] (int64). Returns [B].

    Where `uniform` is below ε the random action is taken, the greedy one elsewhere.
    """
    ### SOLUTION
    return torch.where(uniform < epsilon, random_action, q_values.argmax(-1))
    ### END


def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    """The table [S, A] after a round of T minibatches.

    q_table [S, A]. obs, action, reward, next_obs, terminated [T, B]: T minibatches of B transitions, one after the
    other. The target network is a copy of the table as it was before the round. learning_rate: α. discount: γ.
    """
    ### SOLUTION
    target = q_table.clone()
    for t in range(len(obs)):
        y = reward[t] + discount * torch.where(terminated[t], 0.0, target[next_obs[t]].amax(-1))
        error = y - q_table[obs[t], action[t]]
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)
    return q_table
    ### END


# %% tags=["check"]
ex.check("q7")


# %% wrong="q7" at_most=5 why="the friend's choice" hint="The first bug is still there"
def choose(q_values, epsilon, uniform, random_action):
    return friends_choose(q_values, epsilon, uniform, random_action)


# %% wrong="q7" at_most=5 why="never explores" hint="You never explore"
def choose(q_values, epsilon, uniform, random_action):
    return q_values.argmax(-1)


# %% wrong="q7" at_most=5 why="explores elsewhere" hint="You explore as often as is asked for, but elsewhere"
def choose(q_values, epsilon, uniform, random_action):
    return torch.where(uniform > 1 - epsilon, random_action, q_values.argmax(-1))


# %% wrong="q7" at_most=5 why="one argmax for all" hint="That argmax runs over the whole batch"
def choose(q_values, epsilon, uniform, random_action):
    return torch.where(uniform < epsilon, random_action, q_values.argmax())


# %% wrong="q7" at_most=5 why="the value, not the action" hint="amax is what the best action is worth"
def choose(q_values, epsilon, uniform, random_action):
    return torch.where(uniform < epsilon, random_action.double(), q_values.amax(-1))


# %% wrong="q7" at_most=2 why="the friend's learning" hint="Both bugs of `learn` are still there"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    return friends_learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount)


# %% wrong="q7" at_most=3 why="masked, but the target moves" hint="bugs is left in `learn`. Your target moves"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    target = q_table
    for t in range(len(obs)):
        y = reward[t] + discount * ~terminated[t] * target[next_obs[t]].amax(-1)
        error = y - q_table[obs[t], action[t]]
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)
    return q_table


# %% wrong="q7" at_most=3 why="copied for every minibatch" hint="bugs is left in `learn`. Your target moves"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    for t in range(len(obs)):
        target = q_table.clone()
        y = reward[t] + discount * ~terminated[t] * target[next_obs[t]].amax(-1)
        error = y - q_table[obs[t], action[t]]
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)
    return q_table


# %% wrong="q7" at_most=3 why="copied, but no mask" hint="bugs is left in `learn`. Behind a terminated step"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    return friends_learn_with_a_copy(q_table, obs, action, reward, next_obs, learning_rate, discount)


def friends_learn_with_a_copy(q_table, obs, action, reward, next_obs, learning_rate, discount):
    target = q_table.clone()
    for t in range(len(obs)):
        y = reward[t] + discount * target[next_obs[t]].amax(-1)
        error = y - q_table[obs[t], action[t]]
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)
    return q_table


# %% wrong="q7" at_most=3 why="the reward masked too" hint="You mask the reward too"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    target = q_table.clone()
    for t in range(len(obs)):
        y = ~terminated[t] * (reward[t] + discount * target[next_obs[t]].amax(-1))
        error = y - q_table[obs[t], action[t]]
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)
    return q_table


# %% wrong="q7" at_most=3 why="the error masked" hint="You leave out the last steps"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    target = q_table.clone()
    for t in range(len(obs)):
        y = reward[t] + discount * target[next_obs[t]].amax(-1)
        error = ~terminated[t] * (y - q_table[obs[t], action[t]])
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)
    return q_table


# %% wrong="q7" at_most=4 why="pairs counted once" hint="only one of them counts in yours"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    target = q_table.clone()
    for t in range(len(obs)):
        y = reward[t] + discount * ~terminated[t] * target[next_obs[t]].amax(-1)
        q_table[obs[t], action[t]] += learning_rate * (y - q_table[obs[t], action[t]])
    return q_table


# %% wrong="q7" at_most=1 why="the table before" hint="That is the table as it was before the round"
def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    target = q_table.clone()
    for t in range(len(obs)):
        y = reward[t] + discount * ~terminated[t] * target[next_obs[t]].amax(-1)
        error = y - q_table[obs[t], action[t]]
        q_table.index_put_((obs[t], action[t]), learning_rate * error, accumulate=True)
    return target


# %% right="q7" why="all targets first, and the ground's row set to 0"
def choose(q_values, epsilon, uniform, random_action):
    action = q_values.argmax(-1)
    explores = uniform < epsilon
    action[explores] = random_action[explores]
    return action


def learn(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    y = reward + discount * (1 - terminated.double()) * q_table.max(-1).values[next_obs]
    for t in range(len(obs)):
        before = q_table.clone()
        for b in range(obs.shape[1]):
            s, a = int(obs[t, b]), int(action[t, b])
            q_table[s, a] += learning_rate * (y[t, b] - before[s, a])
    return q_table


# %% [markdown]
# **See it.** Your functions in the place of the friend's, from the same seed.


# %%
def stays_up():
    """Your friend's functions and yours on the same stilts."""
    when, falls, up = walking(choose, learn)
    print(f"after {when[-1]} rounds: {float(falls[-1].mean()):.1f} falls in 100 steps of training, and the greedy "
          f"policy stays up for {float(up[-1].mean()):.0f} of 100 steps")
    return curves({"your friend's": mean_and_range(when, friends_up), "yours": mean_and_range(when, up)},
                  title="What the greedy policy would do", xlabel="round", ylabel="steps of 100 on stilts")


ex.demo("q7", stays_up)

# %% [markdown]
# What helps in a hunt: a problem so small that every number can be looked at; two curves, what is done and what is
# learned; and for each part a case whose result is known beforehand, such as the three states in a row.


# %% [markdown]
# ## Your score

# %%
ex.score()
