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
# # Lecture 01 · Foundations: a distribution that you make yourself
#
# A learner that recognises cats does not change the cats. A learner that steers a car decides, with every
# answer it gives, which question it will be asked next. What follows from that?
#
# The answer needs an object that describes *where a policy goes* (the state marginal), a number for *what
# that is worth* (the objective), a function for *what a decision is worth* (the values), and two lemmas about
# what happens when the policy changes, or the model is wrong.
#
# All problems here are small enough to be solved exactly, and an exact answer is what a learning algorithm
# can be checked against.
#
# **You need** Python with PyTorch tensors, expectations, conditional probabilities, and matrices.
#
# **You will be able to** carry a state distribution forward and notice a mixed-up index; keep a belief; write
# the objective in several forms; compute values in four ways; say what each part of an algorithm costs; and
# use the two lemmas on which lectures 02, 03 and 07 rest.

# %%
from rlcourse.notebook import start

start()

# %% [markdown]
# ## F1 Supervised learning and reinforcement learning
#
# Supervised learning is given pairs $(x_i, y_i)$ that are *independent*, come from *one distribution*
# whatever the learner does, and carry *the right answer* $y_i$. In reinforcement learning all three fail.
#
# * **The data depend on the policy.** Which states are seen is decided by the actions taken.
# * **The data are correlated.** The next state begins where the last one ended.
# * **There is no right answer,** only a reward: a judgement of what was done, possibly long afterwards, and
#   silent about everything that was not done.
#
# How much does each matter? Take four rooms joined by doors, with a start in one corner and a goal in the
# opposite one that pays 1 and leads back to the start. One step in ten slips sideways. One policy is aimless,
# one very good (by policy iteration, F5). What share of its time does each spend in each cell?
#
# *Read the code:* [`four_rooms`](../rlcourse/envs/maps.py),
# [`stationary_distribution`](../rlcourse/exact/stationary.py) (the share of time, F4),
# [`policy_iteration`](../rlcourse/exact/evaluation.py),
# [`total_variation`](../rlcourse/exact/propagation.py), [`maps_figure`](../rlcourse/plots/foundations.py).

# %%
import torch

from rlcourse.envs.maps import four_rooms
from rlcourse.exact.evaluation import policy_iteration
from rlcourse.exact.propagation import total_variation
from rlcourse.exact.stationary import stationary_distribution
from rlcourse.plots.foundations import maps_figure

rooms = four_rooms(slip=0.1, restart=True)
good, _ = policy_iteration(rooms.mdp, 0.95)
aimless = torch.full_like(good, 1 / 4)
share_of_time = {"aimless": stationary_distribution(rooms.mdp, aimless),
                 "good": stationary_distribution(rooms.mdp, good)}
overlap = 1 - total_variation(share_of_time["aimless"], share_of_time["good"])
in_upper_right = torch.tensor([row < 7 and column > 6 for row, column in rooms.cells])
print(f"the two distributions overlap by {float(overlap):.0%}")
for name, share in share_of_time.items():
    print(f"{name:8} time in the upper right room {float(share[in_upper_right].sum()):.0%}")
maps_figure({name: rooms.picture(share).sqrt().numpy() for name, share in share_of_time.items()},
            label="√ share of time", start=(1, 1), goal=(11, 11))

# %% [markdown]
# *What to notice.* Same world, two data sets (square: start; star: goal; the root makes small shares
# visible). The two share a third of their probability. The good policy lives in a corridor. What is fitted to
# its data knows next to nothing of the upper right room, where the aimless policy spends more than a quarter
# of its time. In supervised learning such a shift of distribution is an accident. Here it is what *improving*
# means.
#
# Now the second bullet. We estimate one number, the aimless policy's share of time in the first room, from a
# thousand consecutive steps of each of four hundred walkers. They start from the stationary distribution:
# each *single* step has the right distribution, and only the dependence between steps is left.
#
# *Read the code:* [`drive`](../rlcourse/algorithms/tabular_imitation.py) simulates,
# [`generator`](../rlcourse/core/seeding.py) gives random numbers that have a name.

# %%
from dataclasses import replace
from math import sqrt

from rlcourse.algorithms.tabular_imitation import drive
from rlcourse.core.seeding import generator

in_first_room = torch.tensor([row < 6 and column < 6 for row, column in rooms.cells])
share = float(share_of_time["aimless"][in_first_room].sum())
settled = replace(rooms.mdp, initial=share_of_time["aimless"])
states = drive(settled, aimless[None], episodes=400, horizon=1000,
               random=generator(0, "walkers"))[:, 0]
inside = in_first_room[states]
error = float((inside.double().mean(0) - share).square().mean().sqrt())
visit = int(inside[:-1].sum()) / int((inside[:-1] & ~inside[1:]).sum())
print(f"true share {share:.3f}; a visit to the room lasts {visit:.0f} steps")
print(f"typical error of 1000 independent states  {sqrt(share * (1 - share) / 1000):.3f}")
print(f"typical error of 1000 consecutive states  {error:.3f}")
print(f"a thousand steps are worth {share * (1 - share) / error**2:.0f} independent ones")

# %% [markdown]
# A thousand steps, and the knowledge of seven: whoever is in a room stays there for a while. This is why
# replay buffers are shuffled and many environments run side by side, and why an error bar computed as if
# steps were independent is far too small.
#
# The third bullet has a good side. Let the data come from a policy that is good on half of its moves and
# aimless on the rest. *Imitation*, with as much data as you like, gives that policy back. *Optimisation* asks
# in every state which action the judgements favour, and can leave the data behind.
#
# *Read the code:* [`policy_evaluation`](../rlcourse/exact/evaluation.py),
# [`q_from_value`](../rlcourse/exact/evaluation.py), [`greedy_policy`](../rlcourse/exact/evaluation.py) (all
# in F5).

# %%
from rlcourse.exact.evaluation import greedy_policy, policy_evaluation, q_from_value

discount = 0.95
behaviour = 0.5 * good + 0.5 * aimless


def worth(policy):
    return float(rooms.mdp.initial @ policy_evaluation(rooms.mdp, policy, discount))


judgement = q_from_value(rooms.mdp, policy_evaluation(rooms.mdp, behaviour, discount), discount)
print(f"imitate the data perfectly      {worth(behaviour):.4f}")
print(f"prefer what the data favour     {worth(greedy_policy(judgement)):.4f}")
print(f"the best that is possible       {worth(good):.4f}")

# %% [markdown]
# One step beyond imitation is worth almost four times as much, and nearly all that there is to gain. But it
# used the true judgement of *every* action in *every* state. With finite data it breaks where an action was
# never tried. Lecture 02 sees how far imitation carries; lecture 10 asks how much of this gain survives when
# there is nothing but a file of data.

# %% [markdown]
# ## F2 Notation and the transition operator
#
# A **Markov decision process** is a tuple $(\mathcal S, \mathcal A, T, r)$: states $s$, actions $a$,
# transition probabilities, and a reward $r(s, a)$ (Bellman 1957; the standard reference is Puterman 1994). It
# comes with a distribution $p(s_0)$ of the first state. A **policy** $\pi(a \mid s)$ gives the probability of
# each action *in each state*. Time $t$ counts from 0, in the order $s_0, a_0, r_0, s_1, a_1, \dots$, so that
# $r_t = r(s_t, a_t)$ belongs to the action just taken.
#
# *Markov* means that the state holds all of the past that matters to the future:
#
# $$p(s_{t+1} \mid s_t, a_t, s_{t-1}, a_{t-1}, \dots, s_0) = p(s_{t+1} \mid s_t, a_t).$$
#
# It is a property of how you describe the world. The position of a thrown stone is not Markov, for it does
# not say which way the stone flies. Position and velocity together are (in still air).
#
# With finitely many states the transitions are an array with three indices ($T$ without indices will be a
# number of steps):
#
# $$T_{i,j,k} = p(s_{t+1} = i \mid s_t = j,\, a_t = k).$$
#
# Let $\mu_{t,j} = p_\pi(s_t = j)$ be the **state marginal**, the distribution of the state at time $t$. Then
#
# $$\begin{aligned}
# \mu_{t+1,i}
#   &\overset{(a)}{=} \sum_{j,k} p_\pi(s_{t+1} = i,\, s_t = j,\, a_t = k) \\
#   &\overset{(b)}{=} \sum_{j,k} p(s_{t+1} = i \mid s_t = j, a_t = k)\; p_\pi(a_t = k \mid s_t = j)\; p_\pi(s_t = j) \\
#   &\overset{(c)}{=} \sum_{j,k} T_{i,j,k}\; \pi(k \mid j)\; \mu_{t,j} .
# \end{aligned}$$
#
# (a) sums over what we do not ask for. (b) is the chain rule of probability. (c) puts in the names: the
# policy enters with its dependence on the state $j$. The whole future of a policy is this line, again and
# again.
#
# Is it right? In a random problem with three states and two actions there are $3 \cdot 6^4 = 3888$ ways to
# live for four steps. We write down all of them and count how much probability ends in each state. If the
# line were false, the two would differ.
#
# *Read the code:* [`next_marginal`](../rlcourse/equations/foundations.py) is the line,
# [`transition_operator`](../rlcourse/equations/foundations.py) makes $T$ from the table $p(s' \mid s, a)$;
# [`random_mdp`](../rlcourse/envs/random_problems.py), [`random_policy`](../rlcourse/envs/random_problems.py),
# [`enumerate_trajectories`](../rlcourse/exact/enumeration.py).

# %%
from rlcourse.envs.random_problems import random_mdp, random_policy
from rlcourse.equations.foundations import next_marginal, transition_operator
from rlcourse.exact.enumeration import enumerate_trajectories

problem, policy = random_mdp(3, 2, seed=0), random_policy(3, 2, seed=0)
operator = transition_operator(problem.transition_probs)
paths = enumerate_trajectories(problem, policy, horizon=4)
print(f"{len(paths.prob)} trajectories, total probability {float(paths.prob.sum()):.12f}")

marginal = problem.initial
for t in range(5):
    if t > 0:
        marginal = next_marginal(operator, marginal, policy)
    counted = torch.bincount(paths.state[:, t], weights=paths.prob, minlength=3)
    print(f"t = {t}  propagated {marginal.numpy()}   enumerated {counted.numpy()}   "
          f"agree to 1e-12: {float((marginal - counted).abs().max()) < 1e-12}")

# %% [markdown]
# The enumeration grows like $(|\mathcal S| |\mathcal A|)^T$, the propagation like
# $T |\mathcal S|^2 |\mathcal A|$. Forty steps would be $4 \cdot 10^{31}$ trajectories, or forty small sums.
# That is what the Markov property buys.
#
# ### Two slips, and how they give themselves away
#
# *Swapped indices.* The first index of $T$ is defined as the next state and later summed over as if it were
# the present one: $\mu_{t+1,j} = \sum_{i,k} T_{i,j,k}\, \pi(k \mid i)\, \mu_{t,i}$. Only
# $\sum_i T_{i,j,k} = 1$ is guaranteed, so **probability is lost or made**. *The check: does $\mu_t$ sum to
# one?*
#
# *An action that ignores the state.* The policy is first averaged over the states,
# $\pi(k) = \sum_j \pi(k \mid j)\mu_{t,j}$, and then used in $\sum_{j,k} T_{i,j,k}\, \mu_{t,j}\, \pi(k)$. The
# sum over $i$ *is* one, so the first check sleeps. *The check: the enumeration, or a case worked out by hand
# in which the policy does different things in different states.*

# %%
swapped = blind = derived = problem.initial
for _ in range(4):
    swapped = torch.einsum("ijk,i,ik->j", operator, swapped, policy)
    blind = torch.einsum("ijk,j,k->i", operator, blind, blind @ policy)
    derived = torch.einsum("ijk,j,jk->i", operator, derived, policy)
for name, found in (("swapped indices", swapped), ("action without state", blind),
                    ("as derived", derived)):
    print(f"{name:21} mass {float(found.sum()):.3f}   "
          f"largest error {float((found - counted).abs().max()):.3f}")

# %% [markdown]
# A second check is weaker and always available: live it. A frequency among $n$ walks has a standard error of
# $\sqrt{p(1-p)/n}$, so a hundred times as many walks should make the errors about ten times smaller.
# [`state_marginals`](../rlcourse/exact/propagation.py) does the loop above for all times at once.

# %%
from rlcourse.exact.propagation import state_marginals

exact = state_marginals(problem, policy, 4)
for walks in (100, 10_000, 1_000_000):
    states = drive(problem, policy[None], walks, 5, generator(1, f"{walks} walks"))[:, 0]
    frequency = torch.nn.functional.one_hot(states, 3).double().mean(1)
    print(f"{walks:9,} walks: largest error {float((frequency - exact).abs().max()):.4f}")

# %% [markdown]
# Roughly so: each line is the largest of fifteen random errors.
#
# ## F3 What you cannot see
#
# Often the state is hidden, and all that comes back is an **observation** $o_t \sim E(o \mid s_t)$. The tuple
# grows to $(\mathcal S, \mathcal A, \mathcal O, T, E, r)$, a *partially observed* MDP (Kaelbling, Littman and
# Cassandra 1998). The states are Markov as before. The observations need not be.
#
# Our world is a corridor of six cells, two of which have a door: `wdwwdw`. One look in ten is wrong, one move
# in ten fails. The agent starts anywhere. Where is it? All that it can know is the **belief**
# $b_t(s) = p(s_t = s \mid o_0, a_0, o_1, \dots, a_{t-1}, o_t)$. How does a belief change? Let $h$ be the
# whole history before the newest action $a$ and observation $o'$:
#
# $$\begin{aligned}
# b'(s') = p(s' \mid h, a, o')
#   &\overset{(a)}{=} \frac{p(o' \mid s', h, a)\; p(s' \mid h, a)}{p(o' \mid h, a)}
#   \overset{(b)}{=} \frac{E(o' \mid s')\; p(s' \mid h, a)}{p(o' \mid h, a)} \\
#   &\overset{(c)}{=} \frac{E(o' \mid s') \sum_s p(s' \mid s, a)\, b(s)}{\sum_{s''} E(o' \mid s'') \sum_s p(s'' \mid s, a)\, b(s)} .
# \end{aligned}$$
#
# (a) is Bayes' rule. (b): the observation depends on the state it is made in and on nothing else. (c) sums
# over the state $s$ before the move. The Markov property gives $p(s' \mid s, h, a) = p(s' \mid s, a)$. And
# $p(s \mid h, a) = b(s)$, because an action chosen from the history alone tells nothing more about the hidden
# state. The denominator makes the sum one.
#
# **Predict, then correct**: this is Bayes' filter. Its first half is the line of F2, its second half alone
# digests the first look. We let an agent walk to the right and draw what it believes.
#
# *Read the code:* [`corridor`](../rlcourse/envs/pomdp.py),
# [`belief_update`](../rlcourse/equations/foundations.py),
# [`belief_correct`](../rlcourse/equations/foundations.py), [`uniforms`](../rlcourse/core/seeding.py),
# [`belief_figure`](../rlcourse/plots/foundations.py).

# %%
from rlcourse.core.seeding import uniforms
from rlcourse.envs.pomdp import corridor
from rlcourse.equations.foundations import belief_correct, belief_update
from rlcourse.plots.foundations import belief_figure

world = corridor("wdwwdw", slip=0.1, blur=0.1)
random = generator(65, "a walk in the corridor")
right = torch.tensor(1)

state = world.initial_state(uniforms((1,), random))
seen = [world.observe(state, uniforms((1,), random))]
visited, beliefs = [state], [belief_correct(world.initial, seen[0], world.observation_probs)]
for t in range(5):
    step = world.step(visited[-1], right, uniforms((world.step_noise,), random))
    visited.append(step.next_state)
    seen.append(step.next_obs)
    beliefs.append(belief_update(beliefs[-1], right, step.next_obs, world.transition_probs,
                                 world.observation_probs))
belief_figure(torch.stack(beliefs).numpy(), torch.stack(visited).numpy(),
              [world.observation_names[o] for o in seen], world.state_names)

# %% [markdown]
# *What to notice.* Each column is a belief. The first look, a wall, makes four cells likely: the column
# repeats the pattern of the map. The *order* of the looks decides between cells that look alike. At time 4
# two misfortunes meet (we chose such a walk): the move failed, and the look shows a door where there is none.
# The belief jumps to cell 4. That is wrong, and it is what the evidence said: a belief is not the truth but
# the right summary of what was seen.
#
# The filter took one small matrix product a step. The definition sums over *all* sequences of states,
# $6^6 = 46\,656$ of them, as [`final_state_posterior`](../rlcourse/exact/enumeration.py) does. If a step of
# the derivation were false, the two would differ.

# %%
from rlcourse.exact.enumeration import final_state_posterior

by_hand = final_state_posterior(world, [1] * 5, [int(o) for o in seen])
print("filter      ", beliefs[-1].numpy())
print("brute force ", by_hand.numpy())
print("agree to 1e-12:", float((beliefs[-1] - by_hand).abs().max()) < 1e-12)

# %% [markdown]
# ### What breaks without the Markov property
#
# If observations were Markov, the chance of the next one would depend on the present one and the action
# alone. Take two agents that both see a *door now* and go right. One saw a wall before and came by a move to
# the right; the other saw a door at the start and has just tried to go left.

# %%
def next_look(first, action, then):
    belief = belief_correct(world.initial, torch.tensor(first), world.observation_probs)
    belief = belief_update(belief, torch.tensor(action), torch.tensor(then), world.transition_probs,
                           world.observation_probs)
    return belief @ world.transition_probs[:, 1] @ world.observation_probs


wall, door = 0, 1
for story, look in (("wall, right, door", next_look(wall, 1, door)),
                    ("door, left, door", next_look(door, 0, door))):
    print(f"{story:18} then right: P(wall next) = {float(look[wall]):.3f}")

# %% [markdown]
# Same present, different futures: the observation is not a state. The belief is. By the derivation above
# $b_{t+1}$ depends on the past only through $b_t$, $a_t$ and $o_{t+1}$; the chance of $o_{t+1}$ (the
# denominator) and the expected reward $\sum_s b_t(s)\, r(s, a_t)$ only through $b_t$ and $a_t$. A POMDP is
# therefore an MDP *whose states are beliefs*, and these are continuous even where everything else is finite.
#
# Does it matter for acting? In the corridor `lcGcr` the goal `G` in the middle pays 1, and the two cells `c`
# beside it look alike: left of the goal one must go right, right of it left. No slips, no blur,
# $\gamma = 0.9$.
#
# *Read the code:* [`policy_over_states`](../rlcourse/exact/belief.py) turns a policy on observations into one
# on states, [`best_belief_value`](../rlcourse/exact/belief.py) tries every action after every history, and
# [`value_iteration`](../rlcourse/exact/evaluation.py) (F5) serves those who see the state.

# %%
from itertools import product

from rlcourse.exact.belief import best_belief_value, policy_over_states
from rlcourse.exact.evaluation import value_iteration

halls = corridor("lcGcr", slip=0.0, blur=0.0)


def without_memory(*right_at_l_c_r):
    """The value of a memoryless policy, given its chance of going right at l, c and r."""
    at_l, at_c, at_r = right_at_l_c_r
    by_look = torch.tensor([[1 - p, p] for p in (at_l, at_c, 0, at_r)], dtype=torch.float64)  # l, c, G, r
    return float(halls.initial @ policy_evaluation(halls, policy_over_states(halls, by_look), 0.9))


best_without_chance = max(without_memory(*chances) for chances in product((0, 1), repeat=3))
print(f"no memory, the best of all 8 without chance  {best_without_chance:.4f}")
print(f"no memory, inwards, a biased coin at c       {without_memory(1, 0.8, 0):.4f}")
print(f"no memory, inwards, a fair coin at c         {without_memory(1, 0.5, 0):.4f}")
print(f"with memory, in eight steps                  {best_belief_value(halls, 8, 0.9):.4f}")
seen_value, _ = value_iteration(halls, 0.9)
print(f"seeing the state                             {float(halls.initial @ seen_value):.4f}")

# %% [markdown]
# Three things that hold for states fail for observations (Singh, Jaakkola and Jordan 1994).
#
# * *A deterministic policy is good enough.* The coin beats all of them: one that always goes right at `c` walks
#   back and forth for ever from the two starts on the right.
# * *Memory is useless.* With it, a wrong guess at `c` costs two steps and is never repeated.
# * *The best value is that of the underlying MDP.* Even perfect memory stays below sight.
#
# So where what you see is not a state, give the policy more: stacked frames, a recurrent network, or, if you
# know the model, the belief.

# %% [markdown]
# ## F4 Trajectories and the objective
#
# A **trajectory** $\tau = (s_0, a_0, s_1, a_1, \dots)$ is everything that happens. By the chain rule and the
# Markov property its probability is a product:
#
# $$p_\pi(\tau) = p(s_0) \prod_{t=0}^{T-1} \pi(a_t \mid s_t)\, p(s_{t+1} \mid s_t, a_t).$$
#
# The learner controls the factors $\pi$ and does not know the others. (In the *logarithm's gradient* only the
# former remain: lecture 03.) The objective is the expected sum of rewards,
#
# $$J(\pi) = \mathbb E_{\tau \sim p_\pi}\Big[\sum_{t=0}^{T-1} r(s_t, a_t)\Big].$$
#
# There are exponentially many trajectories. But the expectation of a sum is the sum of the expectations, and
# the $t$-th term looks at one state and one action only, so that everything else can be summed out:
#
# $$J(\pi) = \sum_{t=0}^{T-1} \mathbb E_{\tau \sim p_\pi}\big[r(s_t, a_t)\big]
#   = \sum_{t=0}^{T-1} \sum_{s,a} p_\pi(s_t = s)\, \pi(a \mid s)\, r(s, a). \tag{1}$$
#
# **The objective is a sum of dot products of state–action marginals with the reward table.** It is *linear*
# in where the policy goes, and anything but linear in the policy: $p_\pi(s_t)$ contains $\pi$ as a factor $t$
# times over.
#
# ### Without an end
#
# For $T \to \infty$ the sum usually diverges. There are two ways out, and they are different questions.
#
# **The average reward.** Let $P_\pi(s, s') = \sum_a \pi(a \mid s)\, p(s' \mid s, a)$ be the policy's chain
# and $\bar\mu_T = \frac1T \sum_{t<T} \mu_t$ the average of the first $T$ marginals. One step of the chain
# turns $\mu_t$ into $\mu_{t+1}$, so that all terms but two cancel in
#
# $$P_\pi^\top \bar\mu_T - \bar\mu_T = \tfrac1T (\mu_T - \mu_0) \to 0 .$$
#
# Distributions form a closed and bounded set, so some subsequence of the $\bar\mu_T$ converges, and its limit
# satisfies
#
# $$P_\pi^\top \mu = \mu, \qquad \text{that is} \qquad (P_\pi^\top - I)\,\mu = 0, \qquad \sum_s \mu(s) = 1 :$$
#
# it is **stationary**, an eigenvector of $P_\pi^\top$ with eigenvalue 1. So one exists always. If there is
# only one, every convergent subsequence has this same limit, hence $\bar\mu_T \to \mu$ and
# $\frac1T J_T(\pi) \to \sum_s \mu(s) \sum_a \pi(a \mid s) r(s, a)$, from whatever start. There is only one
# exactly if there is only one set of states in which the chain can settle for good, one *recurrent class*
# (Puterman 1994, appendix A).
#
# **The discounted reward.** Or the future counts less:
# $J_\gamma(\pi) = \mathbb E \sum_{t=0}^\infty \gamma^t r_t$ with $0 \le \gamma < 1$. One reading: the world
# ends with probability $1 - \gamma$ after every step, so that step $t$ is reached with probability $\gamma^t$
# and is the last one with probability $(1-\gamma)\gamma^t$. The state in the last step then has the
# distribution
#
# $$d_\pi(s) = (1-\gamma) \sum_{t=0}^\infty \gamma^t\, p_\pi(s_t = s), \qquad
#   J_\gamma(\pi) = \frac{1}{1-\gamma} \sum_{s,a} d_\pi(s)\, \pi(a \mid s)\, r(s,a). \tag{2}$$
#
# $d_\pi$ is the **discounted occupancy**. Its factor $1-\gamma$ makes it a distribution, and has to be paid
# back when it is used. The test: each objective, computed along ways that differ.
#
# *Read the code:* [`expected_reward`](../rlcourse/equations/foundations.py) of every step,
# [`finite_horizon_objective`](../rlcourse/equations/foundations.py),
# [`discounted_objective`](../rlcourse/equations/foundations.py),
# [`finite_horizon_values`](../rlcourse/exact/evaluation.py) (backwards, F5),
# [`discounted_occupancy`](../rlcourse/exact/stationary.py).

# %%
from rlcourse.equations.foundations import discounted_objective, expected_reward, finite_horizon_objective
from rlcourse.exact.evaluation import finite_horizon_values
from rlcourse.exact.stationary import discounted_occupancy

tables = (policy, problem.reward_table)
step_reward = expected_reward(state_marginals(problem, policy, 4)[:-1], *tables)
backwards = problem.initial @ finite_horizon_values(problem, policy, 4)[0][0]
print("four steps")
print(f"  all {len(paths.prob)} trajectories       {float(paths.prob @ paths.reward.sum(-1)):.10f}")
print(f"  state marginals, forwards    {float(finite_horizon_objective(step_reward)):.10f}")
print(f"  values, backwards            {float(backwards):.10f}")

long = expected_reward(state_marginals(problem, policy, 4000)[:-1], *tables)
by_occupancy = expected_reward(discounted_occupancy(problem, policy, 0.9), *tables) / (1 - 0.9)
by_values = problem.initial @ policy_evaluation(problem, policy, 0.9)
print("for ever, γ = 0.9")
print(f"  4000 terms of the sum        {float(discounted_objective(long, discount=0.9)):.10f}")
print(f"  occupancy / (1 − γ)          {float(by_occupancy):.10f}")
print(f"  linear solve for the values  {float(by_values):.10f}")

average = expected_reward(stationary_distribution(problem, policy), *tables)
print("for ever, average reward a step")
for steps in (40, 400, 4000):
    print(f"  mean of the first {steps:4} steps  {float(long[:steps].mean()):.6f}")
print(f"  stationary distribution      {float(average):.6f}")

# %% [markdown]
# The first two groups agree in every digit. The mean reward comes ten times closer to its limit with ten
# times as many steps: the $\frac1T$ of the derivation.
#
# Now watch it move. The widget shows the marginal and, on the right, the reward of every step and the three
# objectives made of it. The policy (arrows) is the best one on a share of its moves and aimless on the rest.
# The goal (star) pays 1, a step off the cliff (crosses) costs 1, and both lead back to the start. "Best" is
# planned with $\gamma = 0.99$ for the floor as it is, wherever the slider of the discount stands. Answer the
# question first.
#
# *Read the code:* [`objective`](../rlcourse/widgets/app/objective.py), and what it
# [computes](../rlcourse/widgets/models/objective.py).

# %%
from rlcourse.widgets.app.objective import objective

objective()

# %% [markdown]
# **What to notice.**
#
# 1. The upper curve is all that a policy is worth. The three objectives *weight* it: equally up to $T$,
#    equally for ever, or by $\gamma^t$. The discount moves one curve and no probability.
# 2. At 100 % and without slip one bright cell goes round for ever: the marginal has no limit. Its *average*
#    has one, which is why the average reward is defined by averages. With a little chance the bright cell
#    spreads out from round to round.
# 3. On the dry cliff a tenth of random moves costs more than half of the sum of 60 steps (4.00 becomes 1.78):
#    the objective is not linear in the policy. And at 90 % a *slippery* floor (slip 0.05) earns more, 2.49,
#    since the plan for it stays off the edge. The dry plan was not made for a walker who stumbles. (Lecture
#    05 meets this again: SARSA and Q-learning.)
#
# ## F5 Values and the Bellman equations
#
# To improve a policy one must know what it is worth *from here*, and after *this* action:
#
# $$V^\pi(s) = \mathbb E_\pi\Big[\sum_{t \ge 0} \gamma^t r_t \,\Big|\, s_0 = s\Big], \qquad
#   Q^\pi(s,a) = \mathbb E_\pi\Big[\sum_{t \ge 0} \gamma^t r_t \,\Big|\, s_0 = s, a_0 = a\Big], \qquad
#   A^\pi = Q^\pi - V^\pi .$$
#
# The advantage $A^\pi(s,a)$ says how much better $a$ is than what the policy does on average; hence
# $\sum_a \pi(a \mid s) A^\pi(s,a) = 0$. Split off the first reward. By the Markov property, what follows is
# the same sum, started one step later in $s_1$, and discounted once:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma \sum_{s'} p(s' \mid s,a)\, V^\pi(s'), \qquad V^\pi(s) = \sum_a \pi(a \mid s)\, Q^\pi(s,a). \tag{3}$$
#
# These are the **Bellman equations** (Bellman 1957). Put together, with
# $r_\pi(s) = \sum_a \pi(a \mid s)\, r(s,a)$, they read $V = r_\pi + \gamma P_\pi V$: one *linear* equation
# for each state. Is $V^\pi$ its only solution? Call the right-hand side $\mathcal B V$. For two arbitrary
# functions $V, W$
#
# $$|(\mathcal B V - \mathcal B W)(s)| = \gamma \Big|\sum_{s'} P_\pi(s,s')\,(V - W)(s')\Big| \le \gamma \sum_{s'} P_\pi(s,s')\, \|V - W\|_\infty = \gamma\, \|V - W\|_\infty ,$$
#
# because the rows of $P_\pi$ are non-negative and sum to one. So $\mathcal B$ brings any two functions closer
# by the factor $\gamma$: a **contraction**. It has exactly one fixed point, and $k$ rounds from any $V_0$
# come within $\gamma^k \|V_0 - V^\pi\|_\infty$ of it (Banach).
#
# For the best policy replace the average over actions by the maximum,
# $(\mathcal B^* V)(s) = \max_a [r(s,a) + \gamma \sum_{s'} p(s' \mid s,a) V(s')]$. It contracts as well, since
# $|\max_a x_a - \max_a y_a| \le \max_a |x_a - y_a|$. (If $x$ has the larger maximum, at $a$, then
# $\max x - \max y \le x_a - y_a$.) Call its fixed point $V^*$.
#
# *No policy is worth more, from any state.* For $\mathcal B^* V \ge \mathcal B V$ whatever the policy, and
# both keep an order ($V \ge W$ implies $\mathcal B V \ge \mathcal B W$). Repeated from the same start they
# stay in that order, and in the limit $V^* \ge V^\pi$. (A different $\mathcal B$ in each round covers
# policies that change with time.) *And one policy attains it:* the greedy one for $V^*$ has
# $\mathcal B V^* = \mathcal B^* V^* = V^*$, so $V^*$ is its value. That gives four ways to compute:
#
# | | how | cost | exact? |
# |---|---|---|---|
# | linear solve, `policy_evaluation` | $(I - \gamma P_\pi) V = r_\pi$ | $\lvert\mathcal S\rvert^3$ | up to rounding |
# | repeated [`bellman_backup`](../rlcourse/equations/foundations.py) | $V \leftarrow \mathcal B V$ | $\lvert\mathcal S\rvert^2 \lvert\mathcal A\rvert$ a round | error $\propto \gamma^k$ |
# | `value_iteration`, repeated [`bellman_optimality_backup`](../rlcourse/equations/foundations.py) | $V \leftarrow \mathcal B^* V$ | the same | error $\propto \gamma^k$ |
# | `policy_iteration` | solve for $Q^\pi$, then $\pi \leftarrow$ greedy, until nothing improves | a solve a round | up to rounding |
#
# Why does the last one end? If $\pi'$ is greedy for $Q^\pi$, then $\sum_a \pi'(a \mid s) A^\pi(s,a) \ge 0$ in
# every state, and by F7 $V^{\pi'} \ge V^\pi$ everywhere, with more wherever the sum is positive. So no policy
# returns, and there are finitely many deterministic ones. It stops without a positive advantage, hence with
# $V^\pi = \max_a Q^\pi = \mathcal B^* V^\pi$, that is, $V^\pi = V^*$ (Howard 1960).
#
# The theorem promises errors below a straight line on a logarithmic axis. That can be refuted
# ([`curves`](../rlcourse/plots/curves.py) draws it):

# %%
import numpy as np

from rlcourse.equations.foundations import bellman_backup, bellman_optimality_backup
from rlcourse.plots.curves import curves

tables = (rooms.mdp.transition_probs, rooms.mdp.reward_table)
exact_values = {"aimless": policy_evaluation(rooms.mdp, aimless, 0.9),
                "best": value_iteration(rooms.mdp, 0.9)[0]}
value, best_value = torch.zeros(2, rooms.mdp.num_states, dtype=torch.float64)
errors = {"aimless": [], "best": []}
for _ in range(101):
    errors["aimless"].append(float((value - exact_values["aimless"]).abs().max()))
    errors["best"].append(float((best_value - exact_values["best"]).abs().max()))
    value = bellman_backup(value, aimless, *tables, discount=0.9)
    best_value = bellman_optimality_backup(best_value, *tables, discount=0.9)
errors = {name: np.array(found) for name, found in errors.items()}
rounds = np.arange(101)
for name, found in errors.items():
    within = bool((found[1:] <= 0.9 * found[:-1] + 1e-12).all())
    print(f"{name:8} error after 100 rounds {found[100]:.1e}, every round within the factor 0.9: {within}")
curves({"value iteration": (rounds, errors["best"]),
        "its bound, 0.9ᵏ of the first error": (rounds, errors["best"][0] * 0.9**rounds),
        "backups of the aimless policy": (rounds, errors["aimless"]),
        "their bound": (rounds, errors["aimless"][0] * 0.9**rounds)},
       title="Largest error after k rounds, four rooms, γ = 0.9",
       xlabel="rounds k", ylabel="largest error", log="y")

# %% [markdown]
# Both stay below their lines. The aimless policy's backups gain more: each averages the error over
# neighbouring cells, and an average is smaller than the maximum. The bound is for the worst problem with this
# $\gamma$. And what do the values look like?

# %%
best_policy, policies = policy_iteration(rooms.mdp, 0.9)
_, iterates = value_iteration(rooms.mdp, 0.9, tolerance=1e-6)
print(f"policy iteration: {len(policies)} policies; value iteration to 1e-6: {len(iterates) - 1} rounds")
directions = torch.tensor([[0.0, 1.0], [0.0, -1.0], [-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
arrows = torch.stack([rooms.picture(part) for part in (best_policy @ directions).T], dim=-1).numpy()
maps_figure({f"{name} policy": rooms.picture(value).numpy() for name, value in exact_values.items()},
            label="value, γ = 0.9", start=(1, 1), goal=(11, 11), arrows=(None, arrows))

# %% [markdown]
# On the right the values rise towards the goal through the doors, and the arrows climb them. Nobody told the
# algorithm what a door is. On the left only the last room is worth anything: an aimless walker is long on its
# way, and a reward fifty steps ahead counts $0.9^{50} \approx 0.005$. (The goal itself is dark: its reward
# was paid on entering it.)
#
# One more way needs no tables, only a world to live in: **Monte Carlo**. Live from $s$ on, sum the discounted
# rewards, average. There is no bias (but for the cut after 150 steps, $\gamma^{150} \approx 10^{-7}$), and
# the error falls like $1/\sqrt n$: two digits more cost ten thousand times the work.

# %%
value_from_start = float(problem.initial @ policy_evaluation(problem, policy, 0.9))
reward_by_state = (policy * problem.reward_table).sum(-1)  # the mean over the action: same expectation
print(f"linear solve {value_from_start:.6f}")
for episodes in (100, 10_000, 100_000):
    states = drive(problem, policy[None], episodes, 150, generator(2, f"{episodes} episodes"))[:, 0]
    returns = discounted_objective(reward_by_state[states], discount=0.9)
    standard_error = float(returns.std()) / sqrt(episodes)
    print(f"{episodes:7,} episodes: {float(returns.mean()):7.4f} ± {standard_error:.4f}, "
          f"off by {abs(float(returns.mean()) - value_from_start) / standard_error:.1f} standard errors")

# %% [markdown]
# ## F6 Anatomy of every algorithm
#
# Where tables are unknown, every algorithm of this course goes round three boxes: **generate samples** with
# the present policy, **estimate** something from them, and **improve** the policy with it.
#
# | family | estimate | improve | the expensive box | rests on |
# |---|---|---|---|---|
# | policy gradient (03) | returns of whole trajectories | gradient step on $J(\theta)$ | samples: used once | a differentiable policy |
# | actor-critic (04) | $V$ or $Q$ of the present policy | gradient step with its advantage | samples and fitting | a critic that keeps up |
# | value based (05) | $Q(s,a)$, by backups on stored samples | $\arg\max_a Q(s,a)$ | fitting $Q$ again and again | fitted backups, which need not contract |
# | model based (06, 07) | $p(s' \mid s,a)$ | plan in the model | fitting and planning | a model right where the plan goes |
#
# Some words. A **trajectory** is one whole episode, a **rollout** what one policy produced in a stretch of
# time (perhaps less than an episode), a **batch** what one update looks at. An algorithm is **on-policy** if
# its estimate is right only for samples of the present policy, so that all are stale after every improvement;
# **off-policy** if old samples, or another's, still serve.
#
# Off-policy methods can therefore be *sample-efficient*. That is not the same as fast: where a simulator
# makes a million steps a second, the method with the least arithmetic a sample may win by the clock. Where
# every step is a robot's, it will not.
#
# And the last column. Gradient ascent with small enough steps climbs the very objective that we want, perhaps
# to a local maximum. Fitting $Q$ makes a Bellman error small, which is not what we want, and the contraction
# of F5 is lost once a backup is followed by a fit (lecture 05). A model is fitted to predict, not to be
# planned in (lecture 07).
#
# Here are the boxes with a model in the second one: count transitions, divide, plan. The map is so small that
# we can evaluate each policy exactly in the true world. A state–action pair that was tried fewer than three
# times is taken to pay 1 for ever: hope makes the planner send the agent there (R-max, Brafman and
# Tennenholtz 2002; more in lecture 09).
#
# *Read the code:* [`grid_map`](../rlcourse/envs/maps.py), [`TabularMDP`](../rlcourse/envs/tabular.py),
# [`sample_index`](../rlcourse/envs/tabular.py) (draws actions).

# %%
from rlcourse.envs.maps import grid_map
from rlcourse.envs.tabular import TabularMDP, sample_index

yard = grid_map(("S...", ".#C.", "...G"), slip=0.1, restart=True).mdp
S, A = yard.num_states, yard.num_actions
visits, reward_sum = torch.zeros(S, A, S, dtype=torch.float64), torch.zeros(S, A, dtype=torch.float64)
nowhere = torch.eye(S, dtype=torch.float64)[:, None].expand(S, A, S)
policy_now, random = torch.full((S, A), 1 / A, dtype=torch.float64), generator(3, "three boxes")
state = yard.initial_state(uniforms((1,), random))

optimum = float(yard.initial @ value_iteration(yard, 0.95)[0])
print(f"steps   pairs known   worth in the model   worth in truth   (best: {optimum:.3f})")
for round_number in range(1, 41):
    for _ in range(20):  # 1. generate samples
        action = sample_index(policy_now[state], uniforms((), random))
        step = yard.step(state, action, uniforms((1,), random))
        visits[state, action, step.next_state] += 1
        reward_sum[state, action] += step.reward
        state = step.next_state
    tried = visits.sum(-1)  # 2. estimate
    known = tried >= 3
    model_probs = torch.where(known[..., None], visits / tried.clamp(min=1)[..., None], nowhere)
    model_reward = torch.where(known, reward_sum / tried.clamp(min=1), 1.0)
    model = TabularMDP(model_probs, model_reward, yard.initial)
    policy_now, _ = policy_iteration(model, 0.95)  # 3. improve
    if round_number % 5 == 0:
        in_model, in_truth = (float(yard.initial @ policy_evaluation(world, policy_now, 0.95))
                              for world in (model, yard))
        print(f"{20 * round_number:5} {int(known.sum()):10} of {S * A} {in_model:20.3f} {in_truth:16.3f}")
print(f"each pair was tried between {int(tried.min())} and {int(tried.max())} times")

# %% [markdown]
# *What to notice.* At first the model expects paradise, up to $1/(1-\gamma) = 20$, because it hopes. In truth
# the agent walks up to whatever is still unknown, and over the cliff where that is the unknown thing. Once
# every pair is known the policy is the best there is. Still the columns differ by a little, since the model
# is made of finitely many steps. How large can such a difference be? That is the second lemma.

# %% [markdown]
# ## F7 Two lemmas
#
# ### What a change of policy does
#
# Compare a new policy $\pi'$ with an old one $\pi$. With $J(\pi) = \mathbb E_{s_0} V^\pi(s_0)$,
#
# $$J(\pi') - J(\pi) = \mathbb E_{\tau \sim \pi'}\Big[\sum_{t=0}^\infty \gamma^t A^\pi(s_t, a_t)\Big]
#   = \frac{1}{1-\gamma} \sum_{s,a} d_{\pi'}(s)\, \pi'(a \mid s)\, A^\pi(s,a). \tag{4}$$
#
# This is the **performance-difference lemma** (Kakade and Langford 2002). *Proof.* Along any trajectory
# $\sum_t \gamma^t \big(V^\pi(s_t) - \gamma V^\pi(s_{t+1})\big)$ telescopes to $V^\pi(s_0)$: all other terms
# cancel, and the one at the far end, $\gamma^n V^\pi(s_n)$, vanishes as $n \to \infty$ because $V^\pi$ is
# bounded. So
#
# $$\begin{aligned}
# J(\pi') - J(\pi)
#   &\overset{(a)}{=} \mathbb E_{\pi'}\Big[\sum_t \gamma^t r_t\Big] - \mathbb E_{s_0}\big[V^\pi(s_0)\big] \\
#   &\overset{(b)}{=} \mathbb E_{\pi'}\Big[\sum_t \gamma^t \big(r_t + \gamma V^\pi(s_{t+1}) - V^\pi(s_t)\big)\Big] \\
#   &\overset{(c)}{=} \mathbb E_{\pi'}\Big[\sum_t \gamma^t A^\pi(s_t,a_t)\Big].
# \end{aligned}$$
#
# (a) is the definition of both. (b) uses that $s_0$ has the same distribution under both policies, and puts
# the telescoping sum along the trajectories *of the new policy* in place of $V^\pi(s_0)$. (c) takes the
# expectation over $s_{t+1}$ given $(s_t, a_t)$, which does not depend on the policy:
# $r_t + \gamma\, \mathbb E\, V^\pi(s_{t+1}) = Q^\pi(s_t,a_t)$ by (3). The last form of (4) is (2) with the
# advantage in place of the reward. ∎
#
# The *old* policy judges the actions ($A^\pi$), the *new* one decides where they are judged ($d_{\pi'}$). If
# no judgement is negative, as for a greedy $\pi'$, then $J$ cannot fall, from whatever start, and what is
# judged at $t = 0$ is gained in full: the missing step of policy iteration.
#
# Lecture 02 needs the form for $T$ steps without a discount. Values then depend on the time, with
# $V^\pi_T = 0$, and the same three steps give
#
# $$J_T(\pi') - J_T(\pi) = \sum_{t=0}^{T-1} \mathbb E_{\pi'}\big[A^\pi_t(s_t, a_t)\big], \qquad
#   A^\pi_t = Q^\pi_t - V^\pi_t . \tag{4'}$$
#
# There $\pi$ will be an expert, $\pi'$ its imitator, and the reward a cost. We compute both sides by
# different code on fifty random problems.
#
# *Read the code:* [`performance_gap`](../rlcourse/exact/lemmas.py) subtracts two linear solves,
# [`expected_advantage`](../rlcourse/exact/lemmas.py) sums the old advantages over the new occupancy,
# [`finite_expected_advantage`](../rlcourse/exact/lemmas.py) does so for $T$ steps.

# %%
from rlcourse.exact.lemmas import expected_advantage, finite_expected_advantage, performance_gap

off, off_finite, gaps = [], [], []
for seed in range(50):
    mdp = random_mdp(5, 3, seed=seed)
    new, old = random_policy(5, 3, seed=seed), random_policy(5, 3, seed=1000 + seed)
    gaps.append(performance_gap(mdp, new, old, 0.9))
    off.append(abs(gaps[-1] - expected_advantage(mdp, new, old, 0.9)))
    sums = [mdp.initial @ finite_horizon_values(mdp, pi, 12)[0][0] for pi in (new, old)]
    off_finite.append(abs(float(sums[0] - sums[1]) - finite_expected_advantage(mdp, new, old, 12)))
print(f"gaps between {min(gaps):.2f} and {max(gaps):.2f}")
print("discounted:   both sides agree to 1e-10 on all 50:", max(off) < 1e-10)
print("twelve steps: both sides agree to 1e-10 on all 50:", max(off_finite) < 1e-10)

# %% [markdown]
# What if one used the states of the *old* policy, for which we have data? In the four rooms we move from the
# aimless policy towards the good one by a share $h$, to $\pi_h = \pi + h\,(\pi' - \pi)$. The error is then a
# sum over $s$ of $(d_\pi - d_{\pi_h})(s)$ times $\sum_a \pi_h(a \mid s) A^\pi(s,a)$. The second factor is
# $h \sum_a \pi'(a \mid s) A^\pi(s,a)$, because $\pi$'s own advantages average to zero, and the first shrinks
# at least like $h$ as well, because $d_\pi$ is differentiable in $\pi$. So the error should shrink like
# $h^2$.

# %%
old_value = policy_evaluation(rooms.mdp, aimless, 0.95)
advantage = q_from_value(rooms.mdp, old_value, 0.95) - old_value[:, None]
old_states = discounted_occupancy(rooms.mdp, aimless, 0.95)
print("share h    true gain   with old states   error / gain   error / h²")
for share in (1.0, 0.3, 0.1, 0.01, 0.001):
    mixed = aimless + share * (good - aimless)
    gain = performance_gap(rooms.mdp, mixed, aimless, 0.95)
    guess = float(old_states @ (mixed * advantage).sum(-1)) / (1 - 0.95)
    error = guess - gain
    print(f"{share:7} {gain:12.3e} {guess:17.3e} {error / gain:14.1%} {error / share**2:12.4f}")

# %% [markdown]
# It does: the last column settles. **For small changes of the policy the old states will do.** That is the
# licence for policy gradients, trust regions and PPO (lecture 03). The first line shows what it is worth
# without the word *small*: one sees a hundredth of the gain, because the aimless walker hardly ever comes
# near the goal.
#
# ### What a wrong model does
#
# Now the policy stays, and the world is replaced by a model with tables $\hat p, \hat r$. Write $V$ for the
# value of $\pi$ in the world, $\hat V$ in the model. Subtract $V = r_\pi + \gamma P_\pi V$ from
# $\hat V = \hat r_\pi + \gamma \hat P_\pi \hat V$, and add and subtract $\gamma \hat P_\pi V$:
#
# $$\hat V - V = (\hat r_\pi - r_\pi) + \gamma (\hat P_\pi - P_\pi) V + \gamma \hat P_\pi (\hat V - V).$$
#
# That is a linear equation for the gap (a Bellman equation in the model, so F5 says that it has one
# solution):
#
# $$\hat V - V = (I - \gamma \hat P_\pi)^{-1} \big[\, \hat r_\pi - r_\pi + \gamma (\hat P_\pi - P_\pi) V \,\big]. \tag{5}$$
#
# This is the **simulation lemma** as an identity: the errors of *one* step, summed along the *model's* own
# trajectories, since $(I - \gamma \hat P_\pi)^{-1} = \sum_t \gamma^t \hat P_\pi^t$.
#
# For a bound, let $|\hat r - r| \le \varepsilon_r$, and let the total variation between
# $\hat p(\cdot \mid s,a)$ and $p(\cdot \mid s,a)$ be at most $\varepsilon_p$; averaging over actions makes
# neither larger. Two expectations of $V$ differ by at most the total variation times the range of $V$, which
# is at most $(r_{\max} - r_{\min})/(1-\gamma)$. The rows of $(I - \gamma \hat P_\pi)^{-1}$ are non-negative
# and sum to $\sum_t \gamma^t = 1/(1-\gamma)$. Hence, for *every* policy (after Kearns and Singh 2002),
#
# $$\|\hat V - V\|_\infty \le \frac{1}{1-\gamma} \Big( \varepsilon_r + \gamma\, \varepsilon_p\, \frac{r_{\max} - r_{\min}}{1-\gamma} \Big). \tag{6}$$
#
# An error in the reward is paid once for each of $1/(1-\gamma)$ effective steps, an error in the transitions
# with the **square**: it happens on every step and is felt on all steps after it. Lecture 02 will meet the
# same shape, $\varepsilon T^2$, for the same reason. The test: fifty problems with a model each, mixed out of
# the true transitions and wrong ones.
#
# *Read the code:* [`mixed_model`](../rlcourse/exact/lemmas.py);
# [`simulation_gap`](../rlcourse/exact/lemmas.py) evaluates twice,
# [`simulation_identity`](../rlcourse/exact/lemmas.py) is (5),
# [`simulation_bound`](../rlcourse/exact/lemmas.py) is (6).

# %%
from rlcourse.exact.lemmas import mixed_model, simulation_bound, simulation_gap, simulation_identity

off = []
print("share of wrong transitions   median gap   median bound   gap / bound, largest of 50")
for share in (0.001, 0.01, 0.1, 1.0):
    gaps, bounds = [], []
    for seed in range(50):
        mdp, pi = random_mdp(5, 3, seed=seed), random_policy(5, 3, seed=seed)
        model = mixed_model(mdp, random_mdp(5, 3, seed=2000 + seed).transition_probs, share)
        gap = simulation_gap(mdp, model, pi, 0.9)
        off.append(float((gap - simulation_identity(mdp, model, pi, 0.9)).abs().max()))
        gaps.append(float(gap.abs().max()))
        bounds.append(simulation_bound(mdp, model, 0.9))
    ratio = max(gap / bound for gap, bound in zip(gaps, bounds))
    print(f"{share:26} {np.median(gaps):12.4f} {np.median(bounds):14.3f} {ratio:28.3f}")
print("the identity holds to 1e-10 in all 200 cases:", max(off) < 1e-10)

# %% [markdown]
# The identity is exact. The bound is loose here, by a factor of forty and more. Is it ever reached? Let one
# state pay 1 for ever and another nothing for ever, and let the model leak from the first to the second with
# probability $\varepsilon$ a step. Then $V = \frac{1}{1-\gamma}$ and
# $\hat V = \frac{1}{1-\gamma(1-\varepsilon)}$ in the first state, and dividing their difference by the bound
# $\gamma\varepsilon/(1-\gamma)^2$ leaves
#
# $$\frac{|\hat V - V|}{\text{bound}} = \frac{1}{1 + \gamma\varepsilon/(1-\gamma)} .$$

# %%
stay = torch.eye(2, dtype=torch.float64)[:, None]
truth = TabularMDP(stay, reward_table=torch.tensor([[0.0], [1.0]], dtype=torch.float64),
                   initial=torch.tensor([0.0, 1.0], dtype=torch.float64))
leaks = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]], dtype=torch.float64)
only = torch.ones(2, 1, dtype=torch.float64)
print("     γ      ε     gap      bound   gap / bound   by the formula")
for discount, leak in ((0.9, 0.01), (0.99, 0.01), (0.99, 0.0001), (0.999, 0.0001)):
    model = mixed_model(truth, leaks, leak)
    gap = float(simulation_gap(truth, model, only, discount).abs().max())
    bound = simulation_bound(truth, model, discount)
    formula = 1 / (1 + discount * leak / (1 - discount))
    print(f"{discount:6} {leak:6} {gap:8.3f} {bound:9.3f} {gap / bound:12.3f} {formula:16.3f}")

# %% [markdown]
# Where $\varepsilon/(1-\gamma) \ll 1$ the bound is nearly reached: the square of the horizon is no artefact
# of the proof. Where it is large, the bound says less than the trivial one,
# $(r_{\max} - r_{\min})/(1-\gamma)$ (when only the transitions are wrong). Remember both when lecture 07
# plans in a model.
#
# The performance-difference lemma returns in 02 (section I7, the price of an imitator's mistakes) and 03
# (several gradient steps on one batch, trust regions), the simulation lemma in 07 (how long a model may be
# trusted) and 11 (why a pessimistic model is safe offline).

# %% [markdown]
# ## What to take along
#
# * A policy makes its own data. The object to think about is the state marginal $p_\pi(s_t)$, and one line
#   carries it forward. It sums to one, or you have made a slip.
# * If what you see is not a state, the belief is. Predict, correct.
# * The objective is a sum of dot products of marginals with rewards. Finite, discounted and average are three
#   weightings of the same curve.
# * Values turn a sum over the future into an equation. Contraction makes the equation solvable, and the maximum
#   does not spoil it.
# * The gain of a new policy is the old policy's advantage where the *new* one goes. The error of a model is its
#   one-step error where the *model* goes, and the horizon enters twice.
#
# [Exercise 01](../exercises/01_foundations.ipynb) lets you write the update, the filter, the backup and one
# side of a lemma yourself, and find what is wrong with a value iteration that converges beautifully to the
# wrong answer. After it, [lecture 02](02_imitation.ipynb) takes the simplest way to get a policy, copying
# one, and the line of F2 will tell you what goes wrong.
#
# ## References
#
# * R. Bellman (1957), *Dynamic Programming*, Princeton University Press.
# * R. Brafman, M. Tennenholtz (2002), R-max: a general polynomial time algorithm for near-optimal reinforcement
#   learning, *JMLR* 3.
# * R. Howard (1960), *Dynamic Programming and Markov Processes*, MIT Press.
# * L. Kaelbling, M. Littman, A. Cassandra (1998), Planning and acting in partially observable stochastic
#   domains, *Artificial Intelligence* 101.
# * S. Kakade, J. Langford (2002), Approximately optimal approximate reinforcement learning, *ICML*.
# * M. Kearns, S. Singh (2002), Near-optimal reinforcement learning in polynomial time, *Machine Learning* 49.
# * M. Puterman (1994), *Markov Decision Processes*, Wiley.
# * S. Singh, T. Jaakkola, M. Jordan (1994), Learning without state-estimation in partially observable Markovian
#   decision processes, *ICML*.
# * R. Sutton, A. Barto (2018), *Reinforcement Learning: An Introduction*, 2nd ed., MIT Press (to read on).
# * R. Sutton, D. Precup, S. Singh (1999), Between MDPs and semi-MDPs, *Artificial Intelligence* 112 (the four
#   rooms).
