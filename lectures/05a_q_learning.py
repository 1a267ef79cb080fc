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
# # Lecture 05a · Q-learning: no policy, only values
#
# In lecture 04 an actor followed a critic. In A8 the critic had a number for each action. So why
# keep an actor at all? Take the largest number, and be done.
#
# That is the idea of this lecture, and it is one line long. From it follows the strangest freedom of reinforcement
# learning: one can learn what is best from the record of somebody who did something else. And from it follows
# trouble. The line is in general not the gradient of anything, its errors can feed on themselves, and with networks
# nothing guarantees that it converges. We derive the line, prove when it works, make it explode, and then build
# what is used in practice to hold it together: a replay, and a target that stands still.
#
# **You need** values, contractions and the performance-difference lemma from lecture 01 (F5, F7), and from lecture
# 04 the bootstrapped target (A1), the two kinds of ends (A3) and the replay (A8).
#
# **You will be able to**
#
# - say why one learns $Q$ and not $V$ when there are only samples;
# - say what "off-policy" buys, and what each rule of learning converges to;
# - prove that a backup contracts and that a projection does not expand, and show that both together can explode;
# - explain to a friend why Q-learning is not gradient descent, and why the moving target is another matter;
# - build a DQN, and say of each of its parts which trouble it is there for.

# %%
from rlcourse.notebook import start

start()

# %% [markdown]
# ## Q1 From policy iteration to Q-learning
#
# ### The policy is an argmax
#
# Suppose that we know $A^\pi$, the advantages of some policy. Let $\pi'$ take, in every state, an action that
# maximises $A^\pi(s, a)$. Is $\pi'$ better? The performance-difference lemma (F7) says by how much:
#
# $$J(\pi') - J(\pi) = \mathbb E_{\pi'}\Big[\sum_{t} \gamma^t A^\pi(s_t, a_t)\Big] .$$
#
# The average $\sum_a \pi(a \mid s) A^\pi(s, a)$ is zero, so the *largest* advantage in a state is at least zero.
# Every term of the sum is therefore $\ge 0$: **the greedy policy is at least as good, from every start.** If no
# advantage is positive anywhere, then $V^\pi = \max_a Q^\pi$. That is $V^\pi = \mathcal B^* V^\pi$, the optimality
# equation of F5, so $V^\pi = V^*$, and we are done.
#
# Nothing in this argument asks for a network with the name $\pi$. "Evaluate, then take the argmax" is a whole
# algorithm, *policy iteration* (F5), and since $A^\pi(s,a) = Q^\pi(s,a) - V^\pi(s)$, and $V^\pi(s)$ is the same for
# all actions, the argmax of $Q^\pi$ will do.
#
# Why evaluate to the end, if the policy changes anyway? **Value iteration** does one backup and takes the maximum
# at once:
#
# $$V(s) \leftarrow \max_a \Big( r(s,a)
#   + \gamma\, \mathbb E_{s' \sim p(\cdot \mid s, a)}\big[V(s')\big] \Big) . \tag{V}$$
#
# With many states one cannot assign a number to each. Then $V$ is a function with parameters, and in place of the
# arrow we make a regression on the right-hand sides: **fitted value iteration**.
#
# ### Why Q and not V
#
# Look at (V) with the eyes of somebody who has no model. The maximum stands *outside* the expectation. To compute
# it one must try every action in the same state, each often enough to know its expectation. A record of experience,
# $(s, a, r, s')$, holds one action and one outcome.
#
# So learn the content of the bracket, $Q(s, a) = r(s, a) + \gamma\, \mathbb E[V(s')]$. Then
# $V(s') = \max_{a'} Q(s', a')$, and with this put into the bracket the maximum stands *inside*:
#
# $$Q(s, a) \leftarrow r(s,a)
#   + \gamma\, \mathbb E_{s' \sim p(\cdot \mid s, a)}\big[\max_{a'} Q(s', a')\big] . \tag{Q}$$
#
# Now there is an expectation on the outside, and an expectation is what a sample estimates. (The sampled $s'$
# replaces the expectation over $s'$; the maximum replaces the policy's average over $a'$.) As in A3, nothing
# follows a step that has *terminated*, and a time limit does not count as that: (Q) is meant with $Q = 0$ at an
# end. For one transition the number
#
# $$y = r + \gamma\,(1 - \text{terminated})\, \max_{a'} Q(s', a') \tag{target}$$
#
# has the right-hand side of (Q) as its mean, **whoever chose $a$ and why**, for any $Q$ that is fixed before $r$
# and $s'$ are drawn: these depend on $(s, a)$ alone, and $a$ is an argument of $Q$. It is called the *off-policy*
# target, since the policy that acted does not occur in it.
#
# Where does the average stand, before the maximum or after it? In the two rooms of lecture 03 (two actions, each
# with two possible outcomes) we iterate three maps to their fixed points: (V) with its expectations; (V) as
# computed by a learner that tries each action once and takes the larger result; and (Q), of which each sample is an
# outcome of one action. For the latter two we take the exact mean over all outcomes of *the sampled result*. So
# what differs from $V^*$ is bias and not noise; that (Q) agrees is no experiment but the statement above in
# numbers.
#
# *Read the code:* [`two_rooms`](../rlcourse/envs/two_rooms.py),
# [`value_iteration`](../rlcourse/exact/evaluation.py), [`q_from_value`](../rlcourse/exact/evaluation.py),
# [`q_target`](../rlcourse/equations/td.py) (the target above).

# %%
import numpy as np
import torch

from rlcourse.envs.two_rooms import two_rooms
from rlcourse.equations.td import q_target
from rlcourse.exact.evaluation import q_from_value, value_iteration

rooms, chance, pay = two_rooms(), two_rooms().transition_probs, two_rooms().reward_table
best_value, _ = value_iteration(rooms, 0.9)
goes_on = torch.tensor(False)
sampled_v, q_values = torch.zeros(2).double(), torch.zeros(2, 2).double()
for _ in range(300):
    # (V) from samples: mean of the larger result, over outcomes j of action 0 and k of action 1;
    # axes of `result` and `targets`: state, action, outcome s' (and `q_values` at s' one more: a')
    result = pay[:, :, None] + 0.9 * sampled_v
    larger = torch.maximum(result[:, 0, :, None], result[:, 1, None, :])
    sampled_v = torch.einsum("sj,sk,sjk->s", chance[:, 0], chance[:, 1], larger)
    # (Q) from samples: the mean, over one outcome j, of the target
    targets = q_target(pay[:, :, None].expand(2, 2, 2), q_values.expand(2, 2, 2, 2),
                       goes_on.expand(2, 2, 2), discount=0.9)
    q_values = (chance * targets).sum(-1)
for name, value in (("V*", best_value), ("(V), each action tried once", sampled_v),
                    ("max of (Q)", q_values.amax(-1))):
    print(f"{name:28} room 0 {value[0]:7.3f}   room 1 {value[1]:7.3f}")

# %% [markdown]
# The maximum of noisy results is larger than the maximum of their means, and (V) from samples believes it. (Q) is
# right: its samples are averaged *before* the maximum of the next round. (They are averaged because there is a
# table and we took exact means. Where $Q$ itself is noisy the same bias comes back through the back door; lecture
# 05b begins there.)
#
# ### Fitted Q-iteration
#
# With (target) control becomes a sequence of regressions (Ernst, Geurts and Wehenkel 2005; with networks Riedmiller
# 2005):
#
# 1. take a batch of transitions $(s_i, a_i, r_i, s'_i)$, from anywhere;
# 2. make a target for each: $y_i = r_i + \gamma\,(1 - \text{terminated}_i)\, \max_{a'} Q(s'_i, a')$;
# 3. regress: $Q \leftarrow \arg\min_Q \sum_i \big(Q(s_i, a_i) - y_i\big)^2$;
# 4. go back to 2 (or to 1, for more data).
#
# The reward and the discount are in the target, the flag decides whether anything follows; none of the three may be
# lost on the way. And mind the nesting: if $Q$ is a network, step 3 is itself a loop, the *inner* one, of gradient
# steps towards targets that stand still. Each turn of the *outer* loop makes new targets, and lets a reward count
# one step further back.
#
# Nobody acts in steps 2 to 4. So let somebody act who knows nothing at all. On the
# [`cliff`](../rlcourse/envs/maps.py) (Sutton and Barto 2018, example 6.6) a step costs 1, a fall off the edge costs
# 100 and puts you back at the start, and the goal ends the episode. Aimless walkers take random steps; each of
# eight learners gets a record of its own, made by eight of them. From its record, fitted Q-iteration with a table
# finds a policy that the walkers would not recognise. There are 148 pairs: 37 cells to stand in, with 4 actions
# each. What the policy is worth from the start is computed exactly; $\gamma = 0.95$.
#
# *Read the code:* [`fitted_q`](../rlcourse/algorithms/fitted_q.py) with
# [`LinearQ`](../rlcourse/algorithms/fitted_q.py) and [`pair_features`](../rlcourse/algorithms/fitted_q.py) (a
# table), [`rollout`](../rlcourse/data/rollout.py), [`DynamicsSource`](../rlcourse/data/sources.py),
# [`samples_by_run`](../rlcourse/core/runs.py), [`generator`](../rlcourse/core/seeding.py),
# [`greedy_policy`](../rlcourse/exact/evaluation.py), [`policy_evaluation`](../rlcourse/exact/evaluation.py).

# %%
from rlcourse.algorithms import fitted_q
from rlcourse.algorithms.fitted_q import LinearQ, pair_features
from rlcourse.core.runs import samples_by_run
from rlcourse.core.seeding import generator
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.maps import cliff
from rlcourse.exact.evaluation import greedy_policy, policy_evaluation

discount, runs = 0.95, 8
edge = cliff()
world, states = edge.mdp, edge.mdp.num_states


def worth(policy):
    return float(world.initial @ policy_evaluation(world, policy, discount))


def cliff_walkers(each, time_limit):
    return DynamicsSource(world, runs, each, random=generator(0, "cliff"), time_limit=time_limit,
                          dtype=torch.float64)


def aimless_record(steps):
    """For each of 8 learners a record of its own, made by 8 walkers: [8 learners, 8 · steps, …]."""
    luck = generator(0, "aimless steps")
    source = cliff_walkers(8, time_limit=100)
    record = rollout(source, lambda s: torch.randint(4, s.shape, generator=luck), steps)
    return record.map(samples_by_run)


# %%
cliff_value, _ = value_iteration(world, discount)
cliff_q = q_from_value(world, cliff_value, discount)
aimless = torch.full((states, 4), 0.25, dtype=torch.float64)
print(f"the best policy is worth {worth(greedy_policy(cliff_q)):.2f}, "
      f"the aimless one {worth(aimless):.1f}")
print("a policy that walks on for ever without a fall is worth -1 / (1 - 0.95) = -20")
print("               pairs seen   worst, median and best of the 8 greedy policies")
print("transitions    (of 148)     first table 0              first table -20")
for steps in (500, 2000, 16000):
    record, line = aimless_record(steps), ""
    for first in (0.0, -20.0):
        table = LinearQ(pair_features(states, 4), torch.full((runs, states * 4), first).double())
        *_, last = fitted_q.train(record, table, fitted_q.Config(iterations=60, discount=discount))
        found = sorted(worth(policy) for policy in greedy_policy(table.q_values))
        line += f"{found[0]:8.1f} {np.median(found):7.1f} {found[-1]:6.1f}    "
    pairs = np.mean([len(torch.unique(s * 4 + a)) for s, a in zip(record.obs, record.action)])
    print(f"{8 * steps:11,} {pairs:11.1f}  {line}")

# %% [markdown]
# From the longest record of nothing but random steps, all eight learners find the best policy, along the very edge
# that the walkers fell off again and again. It was not imitated; the record was only asked what each step leads to.
#
# **Where this breaks.** Look at the shorter records. A pair that is not in them keeps the value it had at first,
# and a maximum looks for exactly such values: a table that begins at 0, better than anything that is true here,
# prefers what nobody has tried. In the second row this sends a policy over the edge. With the shortest record all
# of them go for a pair that nobody has seen, come back to it for ever, and never arrive. A table that begins low
# makes no false promises, and finds the goal in some runs. This will be the main trouble of lecture 10, where no
# new data can be had.
#
# ### Online Q-learning, and what it means to be off-policy
#
# At the other end of the scale, take *one* transition, make *one* step of the regression towards its target, and
# forget it (Watkins 1989):
#
# $$Q(s, a) \leftarrow Q(s, a) + \alpha\, \big( y - Q(s, a) \big) . $$
#
# Who acts? Somebody who mostly takes the greedy action and sometimes another one (with probability $\varepsilon$;
# Q3).
#
# That somebody has a next action $a'$ as well, and there are three things to write behind
# $r + \gamma\,(1 - \text{terminated})$:
#
# | rule | value of the next state | asks |
# |---|---|---|
# | **SARSA** (Rummery and Niranjan 1994) | $Q(s', a')$, the action taken | what is it worth if I go on as I do? |
# | **expected SARSA** (van Seijen et al. 2009) | $\sum_{a'} \pi(a' \mid s') Q(s', a')$ | the same for a given $\pi$ |
# | **Q-learning** | $\max_{a'} Q(s', a')$ | what is it worth if I stop exploring? |
#
# SARSA is on-policy: its $a'$ comes with the data. The other two compute their average or their maximum *from $s'$
# on*, whoever acts, and are off-policy. The $\pi$ of expected SARSA is here the $\varepsilon$-greedy policy of the
# present $Q$; so it should go to the values of the best policy that keeps exploring.
#
# All three on the cliff, each acting for itself with $\varepsilon = 0.1$. What should come out in the limit can be
# computed: Q-learning goes to $Q^*$. The best that one can do *while exploring* is the best policy of a shakier
# world, in which every chosen action is replaced by another one with probability $\varepsilon$: to choose $a$ there
# has the same effect as an $\varepsilon$-greedy policy whose greedy action is $a$. ($Q(s, a)$ itself asks what
# *this* $a$ is worth if one explores from then on: so its first step is taken in the true world.)
#
# Three lengths of the way help to read the table: 13 steps along the edge are worth −9.73, 15 steps through the
# middle row −10.73, and 17 along the top −11.64.
#
# *Read the code:* [`q_learning`](../rlcourse/algorithms/q_learning.py),
# [`epsilon_greedy_probs`](../rlcourse/equations/q_policies.py),
# [`mean_interval`](../rlcourse/results/intervals.py), [`compare`](../rlcourse/plots/learning.py),
# [`maps_figure`](../rlcourse/plots/foundations.py).

# %%
from dataclasses import replace

from rlcourse.algorithms import q_learning
from rlcourse.equations.q_policies import epsilon_greedy_probs
from rlcourse.plots.foundations import maps_figure
from rlcourse.plots.learning import compare
from rlcourse.results.intervals import mean_interval

epsilon = 0.1
mixed = epsilon_greedy_probs(torch.eye(4).double(), epsilon=epsilon)  # row: chosen, column: taken
shaky = replace(world, reward_table=world.reward_table @ mixed.T,
                transition_probs=torch.einsum("ab,sbn->san", mixed, world.transition_probs))
shaky_value, _ = value_iteration(shaky, discount)
shaky_q = q_from_value(world, shaky_value, discount)  # the first action as chosen, then shaky
tables, training = {}, {}


def both_worths(q):
    """Of one table: what its greedy and its ε-greedy policy are worth."""
    return worth(greedy_policy(q)), worth(epsilon_greedy_probs(q, epsilon=epsilon))


print("worth from the start        acting greedily             while exploring")
for name, q in (("exact: Q*", cliff_q), ("exact: best exploring", shaky_q)):
    greedily, exploring = both_worths(q)
    print(f"{name:24} {greedily:7.2f} {exploring:27.2f}")

# %%
print("worth from the start        acting greedily             while exploring")
for rule, name in (("q", "Q-learning"), ("sarsa", "SARSA"), ("expected_sarsa", "expected SARSA")):
    config = q_learning.Config(rule=rule, total_steps=64_000, report_every=1600,
                               discount=discount, epsilon=epsilon, learning_rate=0.1)
    *_, last = q_learning.train(cliff_walkers(8, time_limit=1000), states, config, seed=0)
    tables[name], training[name] = last.q_values, last.curve
    both = np.array([both_worths(q) for q in last.q_values]).T
    columns = ["{:7.2f} [{:6.2f}, {:6.2f}]".format(*mean_interval(row)) for row in both]
    print(f"{name:24} " + "    ".join(columns))
    print(f"{'':24} greedily, run by run:", " ".join(f"{value:.2f}" for value in both[0]))

# %%
directions = torch.tensor([[0.0, 1.0], [0.0, -1.0], [-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)


def arrows(q):
    moves = greedy_policy(q) * (~world.terminal[:, None])
    return edge.picture((moves @ directions).T).movedim(0, -1).numpy()


shown = {name: tables[name][1] for name in ("Q-learning", "SARSA")}
pictures = {f"{name}, run 1": edge.picture(q.amax(-1)).numpy() for name, q in shown.items()}
figure = maps_figure(pictures, label="largest Q", start=(3, 0), goal=(3, 11), size=(9.5, 2.2),
                     arrows=[arrows(q) for q in shown.values()])
figure.set_label("Two maps of the cliff with the largest Q in every cell and arrows for the greedy "
                 "action: after Q-learning along the edge, after SARSA away from it")
figure

# %% tags=["unstable-picture"]
late = {name: [(step, value) for step, value in curve if step > 8000]
        for name, curve in training.items()}
compare(late, "Undiscounted return while learning on the cliff, exploration included",
        threshold=None, estimator="mean")

# %% [markdown]
# **What to notice.**
#
# 1. Q-learning finds the shortest way, along the edge, and falls off it again and again while it explores. SARSA
#    and expected SARSA know that they explore, and keep away. They earn more *while learning*; greedily, at the
#    end, Q-learning's way is the better one. Neither is wrong. They answer different questions. (The map shows run
#    1; the single values in the table say which way each run goes.)
# 2. SARSA's and expected SARSA's policies are worth, while exploring, about as much as the best. (Expected SARSA
#    walks one row nearer to the edge than the exact solution. While exploring the two ways differ by less than a
#    tenth, and in 64,000 steps its own way is all that it has seen well; let it learn ten times as long, and it
#    finds the other row.) In the same way Q-learning's table is $Q^*$ near its own way only; elsewhere arrows may
#    still point into a wall, and so its policy *while exploring* is not worth exactly what that of $Q^*$ is.
# 3. The curves say how the actors fare, and not how good the learned policies are. Off-policy, these are two
#    things. (They begin after 8000 steps, and are sums without discount; the table discounts.)
#
# What does "off-policy" buy, then? Let all three learn from data of the *same* aimless walker, with step sizes that
# fall ($20/(20 + k)$ after $k$ updates of the pair; for the reason see Q3). For each there is one exact table to
# which it should converge. We print its distance to this one and to the other two.

# %%
aimless_q = q_from_value(world, policy_evaluation(world, aimless, discount), discount)
on_the_way = ~world.terminal
exact_tables = {"Q*": cliff_q, "Q of the best ε-greedy": shaky_q, "Q of the walker": aimless_q}


def distance(first, second):
    """Root mean square difference over all states but the goal, and all actions."""
    return (first - second)[..., on_the_way, :].square().mean((-2, -1)).sqrt()


print("distance to: ", "".join(f"{name:>30}" for name in exact_tables))
for rule, name in (("q", "Q-learning"), ("expected_sarsa", "expected SARSA"), ("sarsa", "SARSA")):
    config = q_learning.Config(rule=rule, total_steps=384_000, report_every=384_000,
                               discount=discount, epsilon=epsilon, rate_offset=20.0)
    *_, last = q_learning.train(cliff_walkers(128, time_limit=100), states, config, seed=0,
                                behaviour=aimless)
    print(f"{name:14}", end="")
    for exact in exact_tables.values():
        mean, low, high = mean_interval(distance(last.q_values, exact).numpy())
        print(f"{mean:10.2f} [{max(low, 0):7.2f}, {high:7.2f}]", end="")
    print()

# %% [markdown]
# The same walker, three questions, three answers. Q-learning reads the best behaviour out of it, expected SARSA the
# best $\varepsilon$-greedy one, and SARSA can only say what it is like to be the walker (and is the last to arrive:
# the walker's values are an order of magnitude larger than the others, and its targets also carry the luck of the
# next action). So off-policy learning can use old data, other people's data, data collected for another goal; and
# it can explore as wildly as it likes without being misled about the goal. SARSA has to become greedy to learn what
# greedy is worth.
#
# **Where this breaks.** All of this was in a table, where every pair has a number of its own. Now for everything
# else.

# %% [markdown]
# ## Q2 What converges and what diverges
#
# ### Two operators, two norms
#
# A round of fitted Q-iteration is two steps. The **backup** makes targets,
# $(\mathcal T Q)(s,a) = r(s,a) + \gamma\, \mathbb E\big[\max_{a'} Q(s', a')\big]$. The **projection** $\Pi$
# replaces them by the nearest function that the approximator can represent. So a round is
# $Q \leftarrow \Pi \mathcal T Q$. ($\mathcal T$ is the $\mathcal B^*$ of F5, for $Q$. An end is a state whose value
# is 0.) Look at each alone.
#
# *The backup is a $\gamma$-contraction in the $\infty$-norm,* $\|x\|_\infty = \max |x|$. Take any $Q, Q'$ and any
# pair:
#
# $$\begin{aligned}
# |\mathcal T Q - \mathcal T Q'|(s,a)
#   &= \gamma\, \Big|\mathbb E\big[\max_{a'} Q(s', a') - \max_{a'} Q'(s', a')\big]\Big| \\
#   &\le \gamma\, \mathbb E\big[\max_{a'} |Q - Q'|(s', a')\big] \;\le\; \gamma\, \|Q - Q'\|_\infty .
# \end{aligned}$$
#
# The reward cancels; two maxima differ by at most the largest difference (F5); an average is at most the maximum. ∎
# So in a table, where $\Pi$ does nothing, and with exact means for every pair, the rounds converge to $Q^*$.
#
# *The projection is a non-expansion in a 2-norm.* Let the approximation be linear, $V = \Phi w$ with a row
# $\phi(s)$ of features for each state (or pair). Let $d(s)$ be the share of state $s$ in the data, and
# $\|x\|_d^2 = \sum_s d(s)\, x(s)^2$. Least squares takes the point $\Pi y$ of the plane $\{\Phi w\}$ that is
# nearest to $y$ in this norm. What is left over, $y - \Pi y$, is orthogonal to the plane, and by Pythagoras
#
# $$\|\Pi y\|_d^2 = \|y\|_d^2 - \|y - \Pi y\|_d^2 \;\le\; \|y\|_d^2 .$$
#
# $\Pi$ is linear, so the same holds for differences: $\|\Pi y - \Pi y'\|_d \le \|y - y'\|_d$. ∎ (A non-expansion,
# not a contraction: points in the plane stay where they are.)
#
# One shrinks distances, the other does not stretch them. But **in different norms**. The backup makes the *largest*
# error smaller. The projection makes a weighted mean square smaller, and may meanwhile make the largest error
# larger, by more than the backup gained. Nothing in the two proofs excludes it. (Some approximators are safe: those
# whose fit is an average of the targets, as when groups of states share one number, do not stretch the
# $\infty$-norm either; Gordon 1995.) Does it happen?
#
# ### The smallest divergence
#
# Take away even the maximum, and ask only for the value of a fixed policy $\pi$. Its backup is
# $\mathcal T^\pi V = r_\pi + \gamma P_\pi V$ (the $\mathcal B$ of F5). If it goes wrong already here, the maximum
# is not to blame.
#
# Two states, one parameter, and $V = (w,\, 2w)$ (Tsitsiklis and Van Roy 1996). One action leads to the first state,
# the other to the second. Nothing is ever paid: the truth is $V = 0$, and $w = 0$ represents it exactly. We ask for
# the value of the policy that always goes to the second state, with data in which both states are equally frequent.
#
# The targets are $\gamma \cdot 2w$ in both states. Least squares minimises
# $(w' - 2\gamma w)^2 + (2w' - 2\gamma w)^2$; setting the derivative to zero, $5 w' = 6 \gamma w$, that is
#
# $$w \;\leftarrow\; \tfrac{6}{5}\, \gamma\, w .$$
#
# For $\gamma > 5/6$ every regression, solved to perfection, with infinitely many data, leads further away. The
# largest error in the targets shrinks by $\gamma$, the least squares error is minimal, and both together explode.
# Here it is in the plane of $(V_1, V_2)$, for $\gamma = 0.95$: the backup leads off the line of what $w$ can
# represent, the projection back onto it.
#
# *Read the code:* [`two_state`](../rlcourse/envs/divergence.py),
# [`policy_backup_matrix`](../rlcourse/exact/operators.py), [`projection`](../rlcourse/exact/operators.py),
# [`operator_norm`](../rlcourse/exact/operators.py), [`fitted_iteration`](../rlcourse/exact/operators.py),
# [`panels`](../rlcourse/plots/curves.py).

# %%
from rlcourse.envs.divergence import two_state
from rlcourse.exact.operators import (fitted_iteration, operator_norm, policy_backup_matrix,
                                      projection)
from rlcourse.plots.curves import panels

pair = two_state(discount=0.95)
backup = policy_backup_matrix(pair.mdp, pair.evaluation, pair.discount)  # V ↦ matrix V + vector
shares = {"both states alike": pair.state_weights,
          "nearly all in the second": torch.tensor([0.01, 0.99]).double()}
plots = []
for name, share in shares.items():
    onto = projection(pair.features, share)
    factor = float(fitted_iteration(backup, pair.features, share).matrix)
    print(f"{name}:\n  ∞-norm: backup {operator_norm(backup.matrix):.3f}, "
          f"projection {operator_norm(onto):.4f}\n"
          f"  2-norm: projection {operator_norm(onto, share):.3f}\n"
          f"  factor of w in a round: {factor:.4f}")
    path = [pair.features[:, 0]]
    for _ in range(3):
        path += [backup.matrix @ path[-1], onto @ backup.matrix @ path[-1]]
    top = float(max(point.max() for point in path))
    plots.append({"title": f"Data: {name}", "xlabel": "V(first state)", "ylabel": "V(second state)",
                  "series": {"what w can represent": ([0, top / 2], [0, top]),
                             "backup, projection, backup, …": tuple(torch.stack(path).T.numpy()),
                             "the first backup": tuple(torch.stack(path[:2]).T.numpy())}})
panels(plots, size=(10, 3.6))

# %% [markdown]
# Both paths start at $w = 1$, the point $(1, 2)$. Each backup leads to the right and a little down, to where both
# values are $\gamma \cdot 2w$. On the left each projection (at a right angle; the axes have different scales)
# returns to a higher point of the line than before. On the right the second state, from which the first borrows its
# value, counts nearly alone: the projection keeps $V_2$, is nearly horizontal, and the path comes down.
#
# The printed norms say the same. On the left $\Pi = \tfrac15 \begin{pmatrix} 1 & 2 \\ 2 & 4 \end{pmatrix}$
# stretches the largest error by up to $\tfrac65$, more than the backup's $0.95$ takes away. In its own norm it
# stretches nothing.
#
# ### On-policy it is a contraction
#
# On the right the data were nearly those of the policy in question, which is always in the second state. That is no
# coincidence. Let $d = \mu_\pi$ be the *stationary* distribution of the policy that is evaluated. Then the backup
# of *that policy*, $\mathcal T^\pi V = r_\pi + \gamma P_\pi V$, contracts in the very norm of the projection. For
# $P_\pi$ does not expand in it:
#
# $$\begin{aligned}
# \|P_\pi x\|_\mu^2 &= \sum_s \mu(s) \Big(\sum_{s'} P_\pi(s, s')\, x(s')\Big)^2 \\
#   &\le \sum_s \mu(s) \sum_{s'} P_\pi(s, s')\, x(s')^2 = \sum_{s'} \mu(s')\, x(s')^2 = \|x\|_\mu^2 .
# \end{aligned}$$
#
# The inequality is Jensen's, and the next step is what "stationary" means: $\sum_s \mu(s) P_\pi(s, s') = \mu(s')$.
# ∎ Now the whole round, for any features whatever (Tsitsiklis and Van Roy 1997):
#
# $$\begin{aligned}
# \|\Pi\, \mathcal T^\pi x - \Pi\, \mathcal T^\pi y\|_\mu &\le \|\mathcal T^\pi x - \mathcal T^\pi y\|_\mu \\
#   &= \gamma\, \|P_\pi (x - y)\|_\mu \le \gamma\, \|x - y\|_\mu .
# \end{aligned}$$
#
# The proof needs data and target to belong to the same policy. A learner with the **max** in its target does not
# fulfil it as long as it explores: it evaluates the greedy policy, while another one collects. How much exploration
# is too much? In the two states, let the data come from an $\varepsilon$-greedy actor (with probability
# $\varepsilon$ the action that is *not* greedy), and compare both targets, exactly, with $\gamma = 0.99$. (Take
# $w > 0$: the second state is the better one, and the maximum over the next state is $2w$. For $w < 0$ the maximum
# is $w$, and the rounds shrink; one sign is enough for trouble.)
#
# *Read the code:* [`stationary_distribution`](../rlcourse/exact/stationary.py),
# [`curves`](../rlcourse/plots/curves.py), [`random_mdp`](../rlcourse/envs/random_problems.py),
# [`random_policy`](../rlcourse/envs/random_problems.py), [`spectral_radius`](../rlcourse/exact/operators.py).

# %%
from rlcourse.exact.stationary import stationary_distribution
from rlcourse.plots.curves import curves

pair = two_state(discount=0.99)
prefers_second = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).double()  # greedy for w > 0; this is also
# `pair.evaluation`, which always goes to the second state: the policy that the max evaluates
exploring = np.linspace(0, 0.5, 51)
factors = {"greedy target (the max)": [], "target of the policy that acts": []}
for share in exploring:
    actor = epsilon_greedy_probs(prefers_second, epsilon=share)
    visits = stationary_distribution(pair.mdp, actor)
    for name, evaluated in zip(factors, (pair.evaluation, actor)):
        backup = policy_backup_matrix(pair.mdp, evaluated, 0.99)
        factors[name].append(float(fitted_iteration(backup, pair.features, visits).matrix))
for name, factor in factors.items():
    print(f"{name:32}", "  ".join(f"ε = {exploring[i]:.2f}: {factor[i]:.4f}"
                                  for i in (0, 5, 10, 50)))
crossing = np.interp(1.0, factors["greedy target (the max)"], exploring)
print(f"with the max the factor passes 1 at ε = {crossing:.3f}")
lines = {name: (exploring, factor) for name, factor in factors.items()}
curves(lines | {"1: neither grows nor shrinks": ([0, 0.5], [1, 1])},
       title="Factor of w in one round of exact regression, γ = 0.99", ylabel="factor",
       xlabel="exploration ε of the data")

# %% [markdown]
# With the actor's own target the factor is never above $\gamma$, as proved. With the max it passes 1 before one
# step in twenty is explored. **Ordinary exploration can be off-policy enough to diverge**, with an approximator
# that contains the truth.
#
# Two states are an extreme case, made for the purpose. How common is it? Random problems with twenty states (each
# action can lead to five of them), ten random features, $\gamma = 0.99$. A round multiplies the error by the matrix
# $\gamma\, \Pi P_\pi$. In the long run its *spectral radius* decides, the largest modulus of an eigenvalue: it is
# the factor by which the error is multiplied per round. Above 1, the rounds diverge from nearly every start. We
# compute it for stationary data, and for data that visit the states with random shares.

# %%
from rlcourse.envs.random_problems import random_mdp, random_policy
from rlcourse.exact.operators import spectral_radius

on_policy, norms, elsewhere = [], [], []
for seed in range(300):
    problem, policy = random_mdp(20, 3, seed=seed, successors=5), random_policy(20, 3, seed=seed)
    features = torch.randn(20, 10, generator=generator(seed, "features"), dtype=torch.float64)
    shares = torch.rand(20, generator=generator(seed, "shares"), dtype=torch.float64) ** 8
    matrix = policy_backup_matrix(problem, policy, 0.99).matrix
    visits = stationary_distribution(problem, policy)
    on_policy.append(spectral_radius(projection(features, visits) @ matrix))
    norms.append(operator_norm(projection(features, visits) @ matrix, visits))
    elsewhere.append(spectral_radius(projection(features, shares / shares.sum()) @ matrix))
print(f"stationary data: spectral radius between {min(on_policy):.2f} and {max(on_policy):.2f}, "
      f"norm up to {max(norms):.2f}; the proof allows 0.99")
print(f"other data: spectral radius between {min(elsewhere):.2f} and {max(elsewhere):.2f}; "
      f"above 1 in {sum(radius > 1 for radius in elsewhere)} of 300 problems")

# %% [markdown]
# With other data things need not explode, and mostly they do not. But nothing forbids it. (The shares are uneven on
# purpose: the eighth power of a uniform number, so that a few states have most of the data.) The three ingredients,
# a learned approximation, targets made of one's own values, and data of another policy, are called the *deadly
# triad* (Sutton and Barto 2018, section 11.3). With any two of them the divergence can be avoided, for linear
# features: in a table (no approximation) the backup contracts; without values of one's own the targets are returns,
# and it is plain regression (though off-policy a noisy one); on-policy there is the proof above. The DQN of Q4 has
# all three.

# %% [markdown]
# ### Q-learning is not gradient descent
#
# The online rule with parameters reads
#
# $$w \leftarrow w + \alpha\, \big(y - Q_w(s,a)\big)\, \nabla_w Q_w(s, a),$$
#
# $$y = r + \gamma\, (1 - \text{terminated}) \max_{a'} Q_w(s', a') .$$
#
# It looks like a gradient step on $\tfrac12 (y - Q_w)^2$. It is not: $y$ contains $w$ as well, and its gradient is
# left out. The right-hand side is a **semi-gradient**. Is it the gradient of some *other* function? If it were, its
# Jacobian would be symmetric (second derivatives commute). Take the evaluation of a policy with linear features,
# $V = \Phi w$, with shares $d(s)$ of the states in the data, $D = \operatorname{diag}(d)$, actions from $\pi$, and
# the TD error $\delta = r + \gamma V(s') - V(s)$. The mean update is
#
# $$\begin{aligned}
# \mathbb E[\delta\, \phi(s)] &= \sum_s d(s)\, \phi(s) \big(r_\pi + \gamma P_\pi \Phi w - \Phi w\big)(s) \\
#   &= \underbrace{\Phi^\top D\, r_\pi}_{b} - \underbrace{\Phi^\top D\, (I - \gamma P_\pi)\, \Phi}_{A}\; w .
# \end{aligned}$$
#
# The Jacobian is $-A$, and $A$ is in general not symmetric. **There is then no function of which this is the
# gradient**, and gradient descent's reason for going down is lost.
#
# That alone does not make it diverge. Around a fixed point $w^*$ the mean error obeys
# $w - w^* \leftarrow (I - \alpha A)(w - w^*)$, and an eigenvalue $\lambda$ of $A$ multiplies its part of the error
# by $1 - \alpha \lambda$. **What decides is the sign of the real part**: if it is positive for all eigenvalues,
# small steps converge; if it is negative for one of them, that part grows, however small the step. On-policy the
# real parts are safe: with $x = \Phi w$ and the proof above (and Cauchy–Schwarz)
#
# $$w^\top A\, w = \|x\|_\mu^2 - \gamma \langle x, P_\pi x \rangle_\mu \ge (1 - \gamma)\, \|x\|_\mu^2 ,$$
#
# so that $\|w - w^*\|^2$ goes down for small mean steps (with linearly independent features), though it is not the
# function whose gradient we follow (Tsitsiklis and Van Roy 1997). Off-policy an eigenvalue may have a negative real
# part, and nothing is left.
#
# Keep two matters apart that are easily mixed up.
#
# * The *semi-gradient*: within one step, $y$ is treated as a number though it depends on $w$.
# * The *moving target*: from step to step, $y$ becomes another number.
#
# Hold $y$ still for a while, and the first matter is gone: the steps in between are honest gradient descent on a
# regression. The second remains: these regressions, one after the other, are $\Pi \mathcal T$, and that is what
# exploded above, with each regression solved exactly. A target network (Q4) slows the movement down. Where $\Pi$
# does no harm, waiting long enough is a cure, as the rounds then contract; where $\Pi \mathcal T$ itself expands,
# as in the two states, it is none.
#
# The classical example for the online rule is Baird's (1995), here in the form of Sutton and Barto (2018, section
# 11.2).
#
# * Seven states, 0 to 5 above and 6 below. No rewards, $\gamma = 0.99$: the true values are 0.
# * Two actions in every state. *Dashed* leads to an upper state, each with $\tfrac16$; *solid* leads to state 6.
# * Eight weights: $V(i) = 2 w_i + w_7$ above, $V(6) = w_6 + 2 w_7$ below. The seven rows of features are linearly
#   independent, so *every* $V$ can be represented.
# * The data come from *dashed* with probability $\tfrac67$ and *solid* with $\tfrac17$: every state is followed by
#   every state alike, and all are equally frequent. We ask for the value of *always solid*.
# * The start is $w = (1, 1, 1, 1, 1, 1, 10, 1)$.
#
# Why should it grow? $w_7$ is in all states. A step in an upper state with the TD error $\delta$ changes $w_7$ by
# $\alpha\rho\delta$, and so $V(6)$, from which all targets are made, by twice as much. In state 6 itself the target
# $\gamma V(6)$ is so near to the value that hardly anything pulls it down again.
#
# We compare exact mean updates, and eight learners on samples. Each sample of theirs is weighted with
# $\rho = \pi(a \mid s)/\beta(a \mid s)$ as in P6 ($\beta$ is the behaviour): 7 for solid, 0 for dashed. This
# corrects the *actions*. The shares of the *states* remain those of the data. For comparison the behaviour's own
# value, by the same rule: that is on-policy.
#
# *Read the code:* [`baird`](../rlcourse/envs/divergence.py), [`semi_gradient`](../rlcourse/exact/operators.py),
# [`residual_gradient`](../rlcourse/exact/operators.py), [`iteration_matrix`](../rlcourse/exact/operators.py),
# [`uniforms`](../rlcourse/core/seeding.py).

# %%
from rlcourse.core.seeding import uniforms
from rlcourse.envs.divergence import baird
from rlcourse.exact.operators import iteration_matrix, residual_gradient, semi_gradient

star = baird()
asked = policy_backup_matrix(star.mdp, star.evaluation, star.discount)  # "solid", always to state 6
own = policy_backup_matrix(star.mdp, star.behaviour, star.discount)  # who collected the data
rate, steps = 0.05, 2000
updates = {"semi-gradient, off-policy": semi_gradient(asked, star.features, star.state_weights),
           "semi-gradient, on-policy": semi_gradient(own, star.features, star.state_weights),
           "residual gradient, off-policy": residual_gradient(asked, star.features,
                                                              star.state_weights)}
error = {}
for name, update in updates.items():
    matrix, w, error[name] = iteration_matrix(update, rate), star.initial_parameters, []
    for _ in range(steps + 1):
        error[name].append(float((star.features @ w).abs().max()))
        w = matrix @ w
    eigenvalues = torch.linalg.eigvals(update.matrix).real
    eigenvalues = eigenvalues[eigenvalues.abs() > 1e-12]  # 8 weights, 7 states: one is always 0
    print(f"{name:33} smallest real part of an eigenvalue {float(eigenvalues.min()):9.2g}   "
          f"error {error[name][0]:.1f} → {error[name][-1]:.3g}")

# %%
w, luck, sampled = star.initial_parameters.repeat(8, 1), generator(0, "baird"), []
for _ in range(steps + 1):
    sampled.append((w @ star.features.T).abs().amax(1))
    here = star.features[torch.randint(7, (8,), generator=luck)]
    ratio = 7.0 * (uniforms((8,), luck, torch.float64) < 1 / 7)  # ρ = 1/(1/7) for solid, else 0
    td_error = star.discount * (w @ star.features[6]) - (w * here).sum(-1)
    w = w + rate * (ratio * td_error)[:, None] * here
sampled = torch.stack(sampled).numpy()
print(f"learners on samples: error at the end above 100 in {int((sampled[-1] > 100).sum())} of 8")
count = np.arange(steps + 1)
lines = {name: (count, values) for name, values in error.items()}
lines["off-policy, on samples: median and range of 8"] = (
    count, np.median(sampled, 1), sampled.min(1), sampled.max(1))
curves(lines, title="Baird's problem: the true values are 0", xlabel="updates",
       ylabel="largest |V|", log="y", size=(8, 3.8))

# %% [markdown]
# The off-policy semi-gradient grows exponentially, on samples as in the mean. One eigenvalue of $A$ is negative.
# Here no projection is to blame: every $V$ can be represented, and an exact regression in each round would
# converge. It is the *step* that couples states through shared parameters. For the policy that collected the data
# the same rule comes down, on the same states: no eigenvalue is negative. The residual gradient comes down too, and
# then hardly moves.
#
# ### Residual gradients: honest, and mostly worse
#
# Why not take the whole gradient, then? Baird (1995) did: descend $\tfrac12 \|\mathcal T V_w - V_w\|_d^2$ with $y$
# differentiated too. The matrix of this update is $A_{\text{res}} = G^\top D\, G$, with
# $G = (I - \gamma P_\pi)\Phi$. It is symmetric and has no negative eigenvalue: small steps always converge. It has
# two weaknesses.
#
# **It is slow.** $G$ occurs twice, and so does what is badly conditioned in it. The smallest eigenvalue of Baird's
# $A_{\text{res}}$ other than 0 was printed above: a step of size $\alpha$ removes that part of the error by
# $\alpha$ times this number.
#
# **It needs two samples.** For a given $s$ the gradient is
# $-\mathbb E[\delta]\cdot \mathbb E[\nabla V_w(s) - \gamma \nabla V_w(s')]$, a product of two expectations over
# $s'$. With the same $s'$ in both one descends
# $\mathbb E[\delta^2] = (\mathbb E\,\delta)^2 + \operatorname{Var} \delta$ instead, and pays for the variance of
# the outcome as if it were an error. A coin shows it. The toss pays nothing. The step after heads pays 1, the step
# after tails 0; then it is over. There is a table for the three states. And how slow? In the corridor of lecture
# 04, with a table.
#
# *Read the code:* [`split`](../rlcourse/envs/divergence.py), [`fixed_point`](../rlcourse/exact/operators.py),
# [`residual_gradient_one_sample`](../rlcourse/exact/operators.py), [`corridor`](../rlcourse/envs/corridor.py),
# [`corridor_policy`](../rlcourse/envs/corridor.py).

# %%
from rlcourse.envs.corridor import corridor, corridor_policy
from rlcourse.envs.divergence import split
from rlcourse.exact.operators import fixed_point, residual_gradient_one_sample

coin = split()
toss = policy_backup_matrix(coin.mdp, coin.evaluation, coin.discount)
given = coin.features, coin.state_weights
print("                            before the toss   heads   tails")
one_sample = residual_gradient_one_sample(coin.mdp, coin.evaluation, *given, coin.discount)
for name, update in (("true, and semi-gradient", semi_gradient(toss, *given)),
                     ("residual, two samples", residual_gradient(toss, *given)),
                     ("residual, one sample", one_sample)):
    values = (coin.features @ fixed_point(update)).round(decimals=9) + 0.0
    print(f"{name:27} {values[0]:13.4f} {values[1]:9.4f} {values[2]:7.4f}")

walk = corridor()
walk_backup = policy_backup_matrix(walk, corridor_policy(), 0.95)
visits = stationary_distribution(walk, corridor_policy())
for name, rule in (("semi-gradient", semi_gradient), ("residual gradient", residual_gradient)):
    update = rule(walk_backup, torch.eye(8, dtype=torch.float64), visits)
    factor, rate = min((spectral_radius(iteration_matrix(update, rate)), rate)
                       for rate in np.geomspace(0.1, 30, 400))
    print(f"corridor, {name:18} best step size {rate:5.2f}: "
          f"{np.log(10) / -np.log(factor):6.0f} updates for one more digit")

# %% [markdown]
# With one sample the residual gradient believes that heads is worth three quarters and tails a quarter, though it
# has seen the coin's two sides pay 1 and 0 without exception: it makes the future look like the present, because
# then nothing surprises it. Two lines confirm it. With $v, h, t$ for the three values it minimises, in the shares
# $\tfrac12, \tfrac14, \tfrac14$ of the visits,
#
# $$\tfrac12 \Big[\tfrac12 (\gamma h - v)^2 + \tfrac12 (\gamma t - v)^2\Big] + \tfrac14 (1 - h)^2 + \tfrac14 t^2 .$$
#
# The best $v$ is $\tfrac{\gamma}{2}(h + t)$; then the bracket is $\tfrac{\gamma^2}{4}(h - t)^2$, and the
# derivatives give $h - t = 1/(1 + \gamma^2)$ and $h + t = 1$: for $\gamma = 0.99$ the numbers above.
#
# With two samples it is right, but who can toss the same coin twice? And even then it is slow. So the semi-gradient
# is what nearly everybody uses. (A third way, gradient TD, follows a true gradient of the *projected* error, with a
# second set of weights: Sutton et al. 2009.)
#
# **Where this breaks.** All proofs here are for linear features. For networks in general there is no proof that
# Q-learning converges, and there are examples in which such rules do not, even on-policy (Tsitsiklis and Van Roy
# 1997); proofs that exist need further conditions. What remains is to remove the causes of trouble one by one (Q4).

# %% [markdown]
# ## Q3 Exploring with ε-greedy and Boltzmann policies
#
# Q-learning can learn from anybody, but somebody has to act, and what is never tried is never learned. The usual
# actor makes do with the present $Q$.
#
# **ε-greedy.** With probability $\varepsilon$ take one of the *other* actions, all alike:
#
# $$\pi(a \mid s) = \begin{cases} 1 - \varepsilon & a = \arg\max_{a'} Q(s, a') \\
#   \varepsilon / (|\mathcal A| - 1) & \text{otherwise.} \end{cases}$$
#
# Where several actions are the best, the *first* of them counts as greedy, as `argmax` has it. The form needs
# $|\mathcal A| > 1$, and $\varepsilon$ from 0 to $(|\mathcal A| - 1)/|\mathcal A|$: there all actions are alike, so
# that with four actions $\varepsilon = \tfrac34$ is the uniform policy. There is another habit: with probability
# $\varepsilon'$ take *any* action, the greedy one included. Then each of the others has
# $\varepsilon' / |\mathcal A|$. The two are the same policy if
# $\varepsilon / (|\mathcal A| - 1) = \varepsilon' / |\mathcal A|$, that is
#
# $$\varepsilon = \varepsilon'\, \frac{|\mathcal A| - 1}{|\mathcal A|} .$$
#
# With two actions the same number explores twice as much in the first form as in the second, so when you compare
# two programs, look which one they mean. This course uses the first.
#
# **Boltzmann.** ε-greedy does not care whether the second best action is nearly as good or a disaster.
# $\pi(a \mid s) \propto \exp\big(Q(s,a) / T\big)$ does. The price is a temperature $T$ (a number, nothing to do
# with transitions or with $\mathcal T$) in units of the value, which has to be chosen anew for every scale of the
# rewards, and which should fall as the values become reliable.
#
# *Read the code:* [`epsilon_greedy_probs`](../rlcourse/equations/q_policies.py),
# [`uniform_epsilon`](../rlcourse/equations/q_policies.py),
# [`boltzmann_probs`](../rlcourse/equations/q_policies.py),
# [`linear_schedule`](../rlcourse/equations/q_policies.py).

# %%
from rlcourse.equations.q_policies import boltzmann_probs, linear_schedule, uniform_epsilon

three = torch.tensor([1.0, 0.9, -5.0], dtype=torch.float64)
print("Q(s, ·) =", three.tolist())
for name, probs in (("ε-greedy, ε = 0.2", epsilon_greedy_probs(three, epsilon=0.2)),
                    ("Boltzmann, T = 0.1", boltzmann_probs(three, temperature=0.1)),
                    ("Boltzmann, T = 1", boltzmann_probs(three, temperature=1.0)),
                    ("Boltzmann, T = 1, Q · 10", boltzmann_probs(10 * three, temperature=1.0))):
    print(f"{name:26}", "  ".join(f"{prob:.3f}" for prob in probs.tolist()))
for actions in (2, 4, 18):
    other = uniform_epsilon(0.1, actions)
    print(f"{actions:2} actions: ε = 0.1 is the uniform form's ε' = {other:.4f}; each other has "
          f"{0.1 / (actions - 1):.4f} = {other / actions:.4f}")
print("a schedule: ε at steps 0, 5000, 10000, 20000 is",
      [round(linear_schedule(step, start=0.5, end=0.02, steps=10_000), 3)
       for step in (0, 5000, 10_000, 20_000)])

# %% [markdown]
# ### What must be guaranteed
#
# Watkins and Dayan (1992) proved that tabular Q-learning converges to $Q^*$ with probability 1, for bounded rewards
# and $\gamma < 1$, on two conditions:
#
# 1. every pair $(s, a)$ is updated infinitely often;
# 2. the step sizes of each pair satisfy $\sum_k \alpha_k = \infty$ and $\sum_k \alpha_k^2 < \infty$ (Robbins and
#    Monro 1951).
#
# The second is a balance. The first sum must be infinite, or a share of the first table would remain for ever. The
# second must be finite, so that the noise dies out: a constant step size keeps following the latest luck. The
# textbook sequence is $\alpha_k = 1/k$ for the $k$-th update *of a pair*, which makes a mean. Is it a good one? In
# the two rooms, with a uniform actor, $\gamma = 0.9$ and values up to 17, against the exact $Q^*$:

# %%
rooms_q = q_from_value(rooms, best_value, 0.9)
uniform = torch.full((2, 2), 0.5, dtype=torch.float64)
settings = {"constant, 0.1": {"learning_rate": 0.1}, "1 / k": {"rate_offset": 1.0},
            "20 / (19 + k)": {"rate_offset": 20.0}}
falling = {}
for name, rates in settings.items():
    source = DynamicsSource(rooms, runs, 10, random=generator(0, "rooms"), time_limit=10**6,
                            dtype=torch.float64)
    config = q_learning.Config(total_steps=40_000, report_every=500, discount=0.9, **rates)
    off = [(last.step, (last.q_values - rooms_q).abs().amax((1, 2)).numpy())
           for last in q_learning.train(source, 2, config, seed=0, behaviour=uniform)]
    intervals = np.array([mean_interval(error) for _, error in off])
    falling[name] = ([step for step, _ in off], *intervals.T)
    mean, low, high = mean_interval(off[-1][1])
    print(f"{name:14} largest error after {off[-1][0]:,} steps: {mean:.2f} [{low:.2f}, {high:.2f}]")
curves(falling, title="Q-learning in two rooms (mean of 8 runs, 95 % Student interval)",
       xlabel="steps", ylabel="largest error of Q", log="xy")

# %% [markdown]
# All three satisfy condition 1, the last two also condition 2. The constant rate comes quickly to a level of noise,
# and stays there. And the sequence that every proof mentions is slow: $1/k$ weighs all targets alike, also the
# first ones, which were made of a table that knew nothing. An error $e$ in the table leaves $\gamma e$ in the
# targets, so with rates $c/k$ the error (without noise) obeys about $de/dk = -\tfrac{c}{k} (1 - \gamma)\, e$: it
# falls like $k^{-c(1 - \gamma)}$ (Szepesvári 1997; Even-Dar and Mansour 2003). For $c = 1$ and $\gamma = 0.9$ that
# is $k^{-0.1}$: half of the error takes $2^{10}$ times the steps. A theorem about the limit does not say how long
# it takes.
#
# The sequence $20/(19 + k)$ also begins at 1, but it weighs the late targets more, at all times, so that the first
# ones are forgotten: this part of the error falls like $k^{-2}$.
#
# And the first condition? A room of six by six cells with a wall in the middle, a goal in the far corner that pays
# 1, nothing else, and slippery ground. Everything but the exploration is the same; what the greedy policies are
# worth is computed exactly ([`grid_map`](../rlcourse/envs/maps.py)).

# %%
from rlcourse.envs.maps import grid_map

room = grid_map(("S.....", "......", "..##..", "..##..", "......", ".....G"), slip=0.1).mdp
room_value, _ = value_iteration(room, 0.95)
print(f"worth from the start; the best policy: {float(room.initial @ room_value):.3f}")
falls = {"epsilon": 0.75, "final_epsilon": 0.05, "epsilon_steps": 20_000}
for name, explore in (("ε = 0, table begins at 0", {"epsilon": 0.0}),
                      ("ε = 0.1", {"epsilon": 0.1}), ("ε = 0.75, uniform", {"epsilon": 0.75}),
                      ("ε from 0.75 to 0.05", falls),
                      ("ε = 0, table begins at 1", {"epsilon": 0.0, "initial_value": 1.0})):
    source = DynamicsSource(room, runs, 16, random=generator(0, "room"), time_limit=200,
                            dtype=torch.float64)
    config = q_learning.Config(total_steps=32_000, report_every=32_000, discount=0.95,
                               rate_offset=20.0, **explore)
    *_, last = q_learning.train(source, room.num_states, config, seed=0)
    found = [float(room.initial @ policy_evaluation(room, policy, 0.95))
             for policy in greedy_policy(last.q_values)]
    largest = last.q_values[:, int(room.initial.argmax())].amax(-1)
    print(f"{name:26} {np.mean(found):.3f}   runs: {min(found):.3f} to {max(found):.3f}   "
          f"largest Q at the start {float(largest.min()):.3f} to {float(largest.max()):.3f}")

# %% [markdown]
# The first two rows never found the goal. At the start all values are equal. Of equal values the first action
# counts as greedy: *up*, against the wall. With one other move in ten nobody came as far as the goal, ten cells
# away. The uniform actor does reach it, but its values are still noisy: the largest at the start is above the truth
# in every run, and their order is wrong in places. A schedule that starts uniform and ends nearly greedy has both.
# And the last row explores without any randomness of its own: a table that begins at 1, better than anything that
# is true, is disappointed by every cell that it tries, and goes where it has not been yet. (In fitted Q-iteration
# from a fixed record the same optimism was the trouble. Here it is put to the test.)
#
# **Where this breaks.** Where wrong steps put one back, or the episode is short, random moves reach a goal at
# distance $n$ with a probability that falls exponentially with $n$. Even in an open room the time grows like the
# square of the distance, and no schedule changes that. What to do about it is the subject of lecture 09.

# %% [markdown]
# ## Q4 Replay, target networks and DQN
#
# Put a network in the place of the table, take online Q-learning as it stands, and two things go wrong. (From here
# on $\phi$ are a network's parameters, which were $w$ above, and $\phi'$ an older copy of them.)
#
# ### Trouble one: successive samples resemble each other
#
# A regression wants independent samples from a fixed distribution. Sixty-four successive steps of one episode are
# nothing of the kind. How many independent samples are they worth? If they were independent, the mean of 64 would
# have 1/64 of the variance of a single one. So the number of independent samples that a batch is worth is the
# variance of one sample, divided by that of the batch's mean. Poles with random actions, batches of 64, three ways
# to fill them ([`CartPole`](../rlcourse/envs/cartpole.py); the result is averaged over the four numbers of its
# observation):

# %%
from rlcourse.envs.cartpole import CartPole

pole, luck = CartPole(), generator(0, "random actions")
source = DynamicsSource(pole, runs, 8, random=generator(0, "poles"), dtype=torch.float64)
record = rollout(source, lambda obs: torch.randint(2, obs.shape[:2], generator=luck), 3200)
seen = record.obs  # [T, R, N, 4]
by_run = samples_by_run(seen)  # [R, T · N, 4]
drawn = by_run[:, torch.randint(by_run.shape[1], (400, 64), generator=luck)]
means = {"64 steps of one environment": seen[:, :, 0].unflatten(0, (50, 64)).mean(1).movedim(1, 0),
         "8 steps of 8 environments": seen.unflatten(0, (400, 8)).mean((1, 3)).movedim(1, 0),
         "64 drawn from a replay": drawn.mean(2)}
for name, batches in means.items():
    worth_of_a_batch = (by_run.var(1) / batches.var(1)).mean(-1).numpy()  # one number for each run
    mean, low, high = mean_interval(worth_of_a_batch)
    print(f"{name:28} as good as {mean:5.1f} [{low:5.1f}, {high:5.1f}] independent steps")

# %% [markdown]
# Sixty-four successive steps of one pole know as much as about six. Eight poles side by side bring about eleven.
# Draws from a replay count as 64 by construction: they are independent draws from what it holds. (How well its
# content represents the world is another question.)
#
# A **replay** (Lin 1992) is the remedy that we met in A8: a ring of the last $L$ transitions; each update draws
# from it at random. It is possible because Q-learning is off-policy: in a stored transition $a$ is an argument of
# $Q$, and the next action is asked anew, from the max. It does three things at once. Batches look independent;
# every transition is used several times; and the data come from many recent policies and not from the latest alone,
# so that what the network learned about other situations is not written over. Larger rings make the batches more
# varied, and older.
#
# [`Replay`](../rlcourse/data/replay.py) overwrites the oldest row, and keeps the true successor and both end flags
# of every step (A3). (One refinement draws surprising transitions more often, and corrects for it by importance
# weights: Schaul et al. 2016, [`PrioritisedReplay`](../rlcourse/data/prioritised.py). It is an option of the
# learner below, not tried here.)
#
# ### Trouble two: the target moves with every step
#
# The target $r + \gamma \max_{a'} Q_\phi(s', a')$ moves when $\phi$ does, and in the direction of the step: a
# network that raises $Q(s, a)$ raises $Q(s', \cdot)$ a little as well, since $s'$ resembles $s$. That raises the
# target, and so on. It is the coupling of Baird's problem. The remedy is to compute targets with an older copy
# $\phi'$, the **target network**:
#
# $$y = r + \gamma\,(1 - \text{terminated})\, \max_{a'} Q_{\phi'}(s', a') .$$
#
# There are two ways to let $\phi'$ follow.
#
# * **Periodic copy** (Mnih et al. 2015): $\phi' \leftarrow \phi$ after every $k$ updates. In between, the
#   regression is a regression. The *lag*, the age of $\phi'$ in updates, goes from 0 to $k - 1$, and is $(k-1)/2$
#   on average.
# * **Polyak averaging** (Lillicrap et al. 2016): $\phi' \leftarrow \phi' + \eta\,(\phi - \phi')$ after every
#   update. Now $\phi'$ is a mean of all earlier parameters, those of $j$ updates ago with the weight
#   $\eta (1 - \eta)^j$. The mean lag is $\sum_j j\, \eta (1 - \eta)^j = (1 - \eta)/\eta$.
#
# *Which network does the rate multiply?* In this course $\eta$ (`polyak_rate`) multiplies the **new** parameters: 1
# copies, 0 stands still. Others give the number that multiplies the *old* ones, $1 - \eta$. Look before you type
# 0.995. With $k = (2 - \eta)/\eta$ the two have the same mean lag. What they do to a parameter that drifts and
# jitters ([`polyak`](../rlcourse/equations/td.py)):

# %%
from rlcourse.equations.td import polyak

slow = 0.02
period = round((2 - slow) / slow)
jitter = torch.randn(600, generator=generator(0, "jitter"), dtype=torch.float64)
phi = 0.01 * torch.arange(600) + 0.4 * jitter
copied, averaged = [phi[0]], [phi[0]]
for update, ahead in enumerate(phi[1:], start=1):
    copied.append(polyak(copied[-1], ahead, polyak_rate=1.0 if update % period == 0 else 0.0))
    averaged.append(polyak(averaged[-1], ahead, polyak_rate=slow))
print(f"copied every {period} updates: mean lag {(period - 1) / 2:.0f}; "
      f"averaged with η = {slow}: mean lag {(1 - slow) / slow:.0f}")
count = np.arange(600)
curves({"φ, which learns": (count, phi), f"φ' copied every {period}": (count, torch.stack(copied)),
        "φ' averaged": (count, torch.stack(averaged))},
       title="Two ways to follow: one parameter of the target network", xlabel="updates",
       ylabel="value")

# %% [markdown]
# The copy takes the jitter of one moment and keeps it for a whole period; the average has smoothed it away.
#
# ### DQN
#
# With both remedies we have the **deep Q-network** of Mnih et al. (2015):
#
# 1. act $\varepsilon$-greedily, and put what happens into the replay;
# 2. draw a batch from it;
# 3. make targets with $\phi'$;
# 4. take one gradient step on the batch's loss ([`td_loss`](../rlcourse/equations/td.py); for small errors it is
#    half the square, for large ones a line, the Huber loss, whose slope is bounded, so that one wild target cannot
#    throw the network far);
# 5. every $k$ updates $\phi' \leftarrow \phi$; go on.
#
# In code, steps 3 and 4 for a batch of random numbers. Note where the gradient goes, and where it does not:

# %%
from rlcourse.equations.td import taken_q, td_loss
from rlcourse.nets.q_values import DiscreteQNet

small = {"runs": 1, "hidden": (16,)}
critic, target = DiscreteQNet(4, 2, seed=0, **small), DiscreteQNet(4, 2, seed=1, **small)
obs, next_obs = torch.randn(2, 1, 5, 4, generator=generator(0, "a batch"), dtype=torch.float64)
action, reward = torch.tensor([[0, 1, 1, 0, 1]]), torch.ones(1, 5, dtype=torch.float64)
terminated = torch.tensor([[False, False, True, False, False]])
y = q_target(reward, target(next_obs), terminated, discount=0.99)  # [1, 5]: max over the last axis
loss = td_loss(taken_q(critic(obs), action), y)  # [1, 5]
loss.mean().backward()
print("where the problem is over, the target is the reward alone:", y[0, 2].item())
with_gradient = [sum(p.grad is not None for p in net.parameters()) for net in (critic, target)]
print(f"parameters that got a gradient: of the critic {with_gradient[0]} of 4, "
      f"of the target {with_gradient[1]} of 4")

# %% [markdown]
# And live, on CartPole, where every step that the pole stands pays 1, up to 500 (475 counts as solved: the dotted
# line). This is the plain version: one-step targets and a plain max (`n_step=1`, `double=False`; lecture 05b is
# about these switches). The settings:
#
# * $\gamma = 0.99$. The first 1000 steps are random; then $\varepsilon$ falls from 0.5 to 0.02 within 10,000 steps.
# * A round is 8 steps in each of 8 environments, and then 8 updates with 64 transitions each. So every transition
#   is used eight times on average.
# * The ring holds 3000 rows of 8 transitions: all 24,000 of the run.
# * The target is copied every 50 updates (`polyak_rate=1`), in the whole run not even 60 times.
# * The learning rate falls linearly to zero over the run. The loss is Huber's with threshold 10, and the norm of a
#   gradient is cut at 10.
#
# *Read the code:* [`dqn`](../rlcourse/algorithms/dqn.py), [`DiscreteQNet`](../rlcourse/nets/q_values.py),
# [`taken_q`](../rlcourse/equations/td.py), [`watch`](../rlcourse/widgets/app/watch.py),
# [`learning_curve`](../rlcourse/plots/learning.py), [`describe`](../rlcourse/plots/learning.py).

# %% tags=["unstable-picture"]
from rlcourse.algorithms import dqn
from rlcourse.plots.learning import describe, learning_curve
from rlcourse.widgets.app.watch import watch

plain = dqn.Config(total_steps=24_000, n_step=1, double=False, capacity=3000, batch_size=64,
                   horizon=8, updates=8, learning_rate=2e-3, follow_every=50, polyak_rate=1.0,
                   epsilon_start=0.5, epsilon_end=0.02)


def learner(config):
    source = DynamicsSource(pole, runs, 8, random=generator(0, "poles"))
    network = DiscreteQNet(4, 2, runs=runs, seed=0, hidden=(32, 32), dtype=torch.float32)
    return dqn.train(source, network, config, seed=0)


picture = learning_curve("DQN on CartPole, one-step targets", total=plain.total_steps, top=500)
whole = watch(learner(plain), plain.total_steps, runs=runs, describe=describe, name="DQN",
              draw=picture, size=(8, 2.8))

# %% [markdown]
# It learns, in fits and starts, until about the middle, and then stays far from 500; single runs come near the top
# and lose it again. (The falling learning rate may contribute to that, and so may the few copies: a reward travels
# one step back for each. Lecture 05b goes on from here.) Which part does what? We take out one at a time.
#
# * *Without a target network*: $\phi'$ is copied after every update.
# * *Without a replay*: the ring holds the last 8 steps of the 8 environments, 64 transitions, and each batch of 64
#   is drawn from those.
#
# No value in CartPole can exceed $1 + \gamma + \gamma^2 + \dots = 1/(1 - \gamma) = 100$. What the networks predict
# for the start of an episode can be held against that.

# %% tags=["unstable-picture"]
variants, predicted = {"DQN": whole}, {}
for name, change in (("no target network", {"follow_every": 1}), ("no replay", {"capacity": 8})):
    predicted[name] = []
    for last in learner(replace(plain, **change)):
        predicted[name].append(last.predicted)
    variants[name] = last


def thirds(name):
    """The return averaged over the first, middle and last third of training, [3, R]."""
    returns = torch.stack([value for _, value in variants[name].curve])  # NaN: no episode ended yet
    return torch.stack([part.nanmean(0) for part in returns.tensor_split(3)])


for name, last in variants.items():
    print(f"{name:18} predicts more than 100 at the start of an episode in "
          f"{int((last.predicted > 100).sum())} of 8 runs")
course = torch.stack(predicted["no target network"]).diff(dim=0)
print("no target network: the prediction rises from every report to the next in",
      int((course > 0).all(0).sum()), "of 8 runs")
fallen = int((variants["no target network"].episode_return < 22).sum())
print("no target network: below 22, what random actions reach, at the end in", fallen, "of 8 runs")
for name in ("DQN", "no replay"):
    _, middle, late = thirds(name)
    lost = int((late < middle / 2).sum())
    print(f"{name}: return of the last third below half of that of the middle third:",
          "in no run" if lost == 0 else "in one run" if lost == 1 else "in several runs")
compare({name: last.curve for name, last in variants.items()}, "DQN and two of its parts")

# %% [markdown]
# **What to notice.**
#
# 1. Without a target network the predictions exceed all that is possible, and keep on rising to the end (more and
#    more slowly, as the learning rate falls to zero). The poles fall sooner than with random actions. It looks like
#    the divergence of Q2, with real data and a real network; the experiment does not tell it apart from the bias of
#    the max over noisy values, which feeds on itself too (05b).
# 2. Without a replay several runs lose late what they had learned, which DQN's do not. (It is a matter of degree
#    here: eight environments side by side already make a batch more varied, as the table above showed.) The variant
#    changes three things: the resemblance within a batch, for how long a transition is used, and the random start,
#    which is 64 steps long, what the ring holds, instead of 1000. The experiment does not tell them apart.
# 3. The band is an interval for the middle of eight runs. The single runs in the first picture spread widely, so
#    that a small difference between two such curves would mean nothing.
#
# **Where this breaks.** None of this is a proof. If the regressions themselves diverge, as in the two states (a
# factor of $\tfrac65 \gamma$ per copy), a target network only makes it slow; and whether they do depends on
# features that the network chooses as it learns. In practice it mostly works, and one looks at the predictions to
# see when it does not.

# %% [markdown]
# ## Q5 Three processes at three rates
#
# Fitted Q-iteration, online Q-learning and DQN look like three algorithms. They are one, with three processes in it
# that share two stores, the replay and the two sets of parameters $\phi$ and $\phi'$:
#
# 1. **collect**: act, and put transitions into the replay. When the ring is full, the oldest leave it: *eviction*
#    is part of this process;
# 2. **move the target**: from time to time, $\phi'$ is brought up to $\phi$;
# 3. **regress**: draw batches, make targets with $\phi'$, step $\phi$.
#
# An algorithm is a choice of three rates and a size:
#
# | | collect | replay holds | move the target | regress |
# |---|---|---|---|---|
# | **online Q-learning** | one transition | that one | after every update | one step for each transition |
# | **DQN** of Mnih et al. (2015) | 4 transitions | $10^6$ | every $10^4$ updates | one step of 32 for 4 transitions |
# | **DQN** above | 64 transitions | all 24,000 | every 50 updates | 8 steps of 64 for 64 transitions |
# | **fitted Q-iteration** | once, before | everything | when the regression has converged | to convergence |
#
# The one loop is:
#
# ```text
# repeat:
#     every c clock ticks:  act, store the transition; if the ring is full, the oldest row goes
#     every k clock ticks:  φ' ← φ
#     every clock tick:     draw a batch, make its targets with φ', one gradient step on φ
# ```
#
# The three need not even run in one computer, or wait for each other.
#
# Which rates are safe? The widget tries them on a problem that is small enough to compute with:
#
# * Two rooms, each with two doors. Door *left* leads to the left room and pays 0, door *right* to the right room
#   and pays 1, both plus noise of standard deviation 1. It never ends, and $\gamma = 0.8$. So going right is always
#   best, $Q^*(\cdot, \text{right}) = 5$ and $Q^*(\cdot, \text{left}) = 4$.
# * Four weights for four pairs, which represent every $Q$. Going left has a weight of its own in each room. Going
#   right shares: $Q(\text{left room}, \text{right}) = w_2$ and $Q(\text{right room}, \text{right}) = 2 w_2 + w_3$.
# * The actor goes right in a given share of its steps, whatever $Q$ says.
#
# The sharing is the trouble of the two states again. The target of (left room, right) is
# $r + \gamma \max_{a'} Q(\text{right room}, a')$. A step that raises $w_2$ by 1 raises the value by 1, and, while
# *right* is greedy, its target by $2\gamma = 1.6$.
#
# The clock counts regression steps, each on everything that the replay holds. On the left, the error of eight
# learners; in the middle, one value and its target; what goes beyond the frame is drawn along its edge. On the
# right, for each copying period, by which factor a *small error around $Q^*$* is multiplied per 100 steps in the
# long run. This is computed exactly, by the eigenvalues of the mean update, for a replay that holds just the
# expected shares, and as long as *right* stays greedy.
#
# Make a guess first. If the target is copied after every step, does the error grow or shrink? Does it help to copy
# less often, and is rarer always better? ([`three_processes`](../rlcourse/widgets/app/three_processes.py); its
# numbers come from [`models/three_processes.py`](../rlcourse/widgets/models/three_processes.py), the problem is
# [`two_doors`](../rlcourse/envs/two_doors.py)).

# %%
from rlcourse.widgets.app.three_processes import three_processes

three_processes()

# %% [markdown]
# The right panel for three actors and a larger step size, in numbers
# ([`growth`](../rlcourse/widgets/models/three_processes.py) for the copying periods
# [`PERIODS`](../rlcourse/widgets/models/three_processes.py), above 1 a small error grows), and then
# the error of the eight learners in the end for three sizes of the replay
# ([`compute`](../rlcourse/widgets/models/three_processes.py)):

# %%
from rlcourse.widgets.models.three_processes import PERIODS, compute, growth

print("target copied every                 " + "".join(f"{period:>10}" for period in PERIODS))
for rate, share in ((1.0, 0.1), (1.0, 0.2), (1.0, 0.5), (1.5, 0.5)):
    factors = "".join(f"{factor:10.3g}" for factor in growth(rate, share))
    print(f"α = {rate}, goes right in {share:4.0%} of steps{factors}")
for share in (0.1, 0.2, 0.5):
    away = int((compute(4.0, 1000, 1.0, 1, share).error[:, -1] > 1e4).sum())
    print(f"copied after every step, goes right in {share:.0%} of steps: error above 10,000 "
          f"after 1024 steps in {away} of 8 runs")
print("copied every 64 steps; error of the eight learners after 1024 steps:")
for collect, capacity in ((4.0, 20), (4.0, 1000), (4.0, 20_000), (1 / 16, 20_000)):
    final = np.sort(compute(collect, capacity, 1.0, 64, 0.2).error[:, -1])
    print(f"  {collect:6.4g} collected per step, replay holds {capacity:6}:   "
          f"median {np.median(final):.2f}, from {final[0]:.2f} to {final[-1]:.2f}")

# %% [markdown]
# **What to notice.**
#
# 1. Nothing is approximated here, every pair is in the data, and the steps are small enough for every fixed target.
#    Still, at the start setting small errors around $Q^*$ grow: one step in five goes right, while the greedy
#    policy always does. The data are off-policy, and the shared weight does the rest. Let half of the steps go
#    right, and it converges. (At the start setting a run that has grown need not stay there. The growing error
#    turns as well, since the eigenvalues are complex, until *left* looks best. Then the maximum switches its
#    action, the coupling is off, and the error shrinks until *right* is greedy again. So runs grow, fall and grow
#    again, some over many digits. With one step in ten the eigenvalues are real, and all runs run away.)
# 2. A target that waits cures it: the regression sorts out the rooms before the target moves. But the longest
#    period is not the best one. At 256 steps there are only four targets in the whole picture, the first made of a
#    table of zeros. When a regression is finished, its target still has $\gamma = 0.8$ of the error that was there
#    before, if the error is a constant, which a backup multiplies by exactly $\gamma$: $0.8^{100/256} = 0.917$ per
#    100 steps, which is about what the table says for 20 % and 50 %. *Too fast is unstable, too slow is slow.*
# 3. The size of the replay is a rate too, that of forgetting (copy every 64 steps to see it). With 20 transitions
#    the rare ones are soon pushed out, and what remains of the error is noise. With 20,000 nothing is forgotten; if
#    collection is slow then (one transition in 16 steps), each learner follows the values of its own small sample.
#    Their errors differ, and change only as fast as new transitions come in.
# 4. A step size of 1.5 diverges though the data are good and the target waits: that is plain gradient descent with
#    too large a step. A hasty target and a large step size have the same symptom on the left; too little data and
#    too slow a target look different. The middle panel helps to tell them apart.
#
# **Where this breaks.** The factor is about small errors near $Q^*$, of a linear learner, in the long run. For a
# network one can only watch the same quantities: the predicted values against what is possible, the loss against a
# *fixed* target, the age of what is in the replay.

# %% [markdown]
# ## Questions you may have
#
# **Is the max not biased if $Q$ is wrong?** Yes: errors of mean zero push it upwards, and the regression believes
# it. It is the first subject of lecture 05b.
#
# **Why not use SARSA everywhere, if it is safer?** It cannot learn from a replay: the stored $a'$ is an old
# policy's. Expected SARSA can. And both learn the value of exploring, which one mostly does not want to do for
# ever.
#
# **Does a larger network help against divergence?** It leaves less to the projection, but it does not remove the
# coupling: Baird's features can represent everything, and so can those of the two doors. There is no rule.
#
# **What about continuous actions?** The maximum over $a'$ is then an optimisation of its own, for every transition
# of every batch. See lecture 05b.
#
# ## What to take along
#
# You are able to
#
# - say why one learns $Q$ and not $V$ from samples, what each part of
#   $r + \gamma (1 - \text{terminated}) \max_{a'} Q_{\phi'}(s', a')$ is for, and why the sample may come from
#   anybody ("off-policy");
# - tell what SARSA, expected SARSA and Q-learning converge to in a table, from data of the same actor;
# - prove the two contraction statements, and produce a divergence from two states and one parameter;
# - explain to a friend why Q-learning is not gradient descent, and keep apart the semi-gradient, the moving target,
#   and the noise;
# - build a DQN, and say of each of its parts which trouble it is there for;
# - translate between the two forms of $\varepsilon$ and the two meanings of a Polyak rate;
# - describe an algorithm by the rates of its three processes, and say which trouble too fast or too slow a rate
#   makes.
#
# Two things are left over. The first: the max of noisy values is too large on average, and nobody has done anything
# about it. The second: a reward travels one step for each move of the target, and that is slow. [Lecture
# 05b](05b_q_in_practice.ipynb) takes up both, and continuous actions, and what one does in practice.
#
# **Exercise.** [Write the target, the actor, the update and the replay](../exercises/05a_q_learning.ipynb), find
# the gradient that should not be there, and compute on paper when two states explode.
#
# ## References
#
# - L. Baird (1995). Residual algorithms: reinforcement learning with function approximation. *ICML*.
# - D. Ernst, P. Geurts, L. Wehenkel (2005). Tree-based batch mode reinforcement learning. *JMLR* 6.
# - E. Even-Dar, Y. Mansour (2003). Learning rates for Q-learning. *JMLR* 5.
# - G. J. Gordon (1995). Stable function approximation in dynamic programming. *ICML*.
# - T. Lillicrap et al. (2016). Continuous control with deep reinforcement learning. *ICLR*.
# - L.-J. Lin (1992). Self-improving reactive agents based on reinforcement learning, planning and teaching.
#   *Machine Learning* 8.
# - V. Mnih et al. (2015). Human-level control through deep reinforcement learning. *Nature* 518.
# - M. Riedmiller (2005). Neural fitted Q iteration. *ECML*.
# - H. Robbins, S. Monro (1951). A stochastic approximation method. *Annals of Mathematical Statistics* 22.
# - G. Rummery, M. Niranjan (1994). On-line Q-learning using connectionist systems. Technical report, Cambridge
#   University.
# - T. Schaul, J. Quan, I. Antonoglou, D. Silver (2016). Prioritized experience replay. *ICLR*.
# - R. S. Sutton, A. G. Barto (2018). *Reinforcement Learning: An Introduction*, 2nd edition. MIT Press.
# - R. S. Sutton et al. (2009). Fast gradient-descent methods for temporal-difference learning with linear function
#   approximation. *ICML*.
# - C. Szepesvári (1997). The asymptotic convergence-rate of Q-learning. *NIPS*.
# - J. Tsitsiklis, B. Van Roy (1996). Feature-based methods for large scale dynamic programming. *Machine
#   Learning* 22.
# - J. Tsitsiklis, B. Van Roy (1997). An analysis of temporal-difference learning with function approximation. *IEEE
#   Transactions on Automatic Control* 42.
# - H. van Seijen, H. van Hasselt, S. Whiteson, M. Wiering (2009). A theoretical and empirical analysis of expected
#   Sarsa. *ADPRL*.
# - C. J. C. H. Watkins (1989). Learning from delayed rewards. PhD thesis, King's College, Cambridge.
# - C. J. C. H. Watkins, P. Dayan (1992). Q-learning. *Machine Learning* 8.
