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
# # Exercise 03 · Policy gradients
#
# In the lecture you saw that a policy can be improved from nothing but its own episodes: nobody says what the
# right action is, nobody knows the dynamics, and still there is a gradient. Here you write that gradient
# yourself, piece by piece. Each piece is a few lines long, and each can be wrong in a way that still *trains*:
# too slowly, in the wrong direction, or well on one problem and not at all on the next. So the checks compare
# you with the exact gradient of small problems, and what you write then trains policies before your eyes.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and [the lecture](../lectures/03_policy_gradients.ipynb); each question names its section. All
# tensors are float64. Sequences have the shape `[T, N]`: $T$ steps of $N$ episodes side by side, so that axis 0 is
# time. Read the shapes in the docstrings first: they are half of each answer.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("03_policy_gradients")

# %% [markdown]
# ## q1 · What an action can still change
#
# *4 points · difficulty 1 of 5 · importance 5 of 5 · about 10 minutes · topic P3*
#
# A policy gradient asks of every action: what came of it? The return of the whole episode is an honest answer and
# a noisy one, for half of it may have been earned before the action was taken, and no action can change the
# past. Leaving that half out costs nothing and is section P3 in one line:
#
# $$R_t = \sum_{t' = t}^{\text{end}} \gamma^{\,t' - t} \, r_{t'}$$
#
# the rewards from $t$ on, discounted as seen *from $t$*. "End" is the end of the episode. What one collects is
# seldom one tidy episode, though: environments run side by side, and where an episode ends the next one begins
# in the following row. `ended[t]` says that step $t$ was the last of its episode. Nothing may flow from one
# episode into another.
#
# <details><summary>Hint</summary>
#
# Walk backwards in time. If you know $R_{t+1}$, what is $R_t$? And what is it where the episode ends with step
# $t$? One loop, one line in it, and `torch.where` for the question whether the episode goes on.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *Boolean value of Tensor with more than one value is ambiguous*: `if ended[t]` met a whole row, in which some
# episodes end and others do not. Decide entry by entry: `torch.where(ended[t], this, that)`.
#
# *Subtraction, the `-` operator, with a bool tensor is not supported*: `1 - ended` does not work for booleans,
# `~ended` does.
#
# *index 4 is out of bounds for dimension 0 with size 4*: there is no row after the last one. Start the sum
# with zeros and you need not look there.
#
# </details>


# %% q="q1"
def reward_to_go(reward, ended, discount):
    """The discounted rewards from each step to the end of its episode.

    reward [T, N]: T steps (axis 0) of N environments. ended [T, N] (bool): the episode ends with this step,
    and the next row belongs to a new one; an episode that still runs in the last row counts as far as it
    goes. discount: γ, a number. Returns R [T, N].
    """
    ### SOLUTION
    later = torch.zeros_like(reward[0])
    rows = []
    for t in reversed(range(len(reward))):
        later = reward[t] + discount * torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])
    ### END


# %% tags=["check"]
ex.check("q1")


# %% wrong="q1" at_most=0 why="the return of the whole episode" hint="Every step gets the return"
def reward_to_go(reward, ended, discount):
    answer = torch.zeros_like(reward)
    for n in range(reward.shape[1]):
        start = 0
        for t in range(len(reward)):
            if ended[t, n] or t == len(reward) - 1:
                steps = torch.arange(t + 1 - start)
                answer[start:t + 1, n] = (discount ** steps * reward[start:t + 1, n]).sum()
                start = t + 1
    return answer


# %% wrong="q1" at_most=0 why="the return of everything, in one line" hint="Every step gets the return"
def reward_to_go(reward, ended, discount):
    powers = discount ** torch.arange(len(reward), dtype=reward.dtype)
    return (powers[:, None] * reward).sum(0).expand_as(reward)


# %% wrong="q1" at_most=0 why="adds up the past" hint="You add up the past"
def reward_to_go(reward, ended, discount):
    total, rows = torch.zeros_like(reward[0]), []
    for t in range(len(reward)):
        total = reward[t] + discount * total
        rows.append(total)
        total = torch.where(ended[t], 0.0, total)
    return torch.stack(rows)


# %% wrong="q1" at_most=0 why="cumsum forwards" hint="You add up the past"
def reward_to_go(reward, ended, discount):
    powers = discount ** torch.arange(len(reward), dtype=reward.dtype)
    return (powers[:, None] * reward).cumsum(0)


# %% wrong="q1" at_most=0 why="exponents from the start" hint="The exponent counts from the start of the episode"
def reward_to_go(reward, ended, discount):
    powers = discount ** torch.arange(len(reward), dtype=reward.dtype)
    return (powers[:, None] * reward).flip(0).cumsum(0).flip(0)


# %% wrong="q1" at_most=1 why="leaks across the ends" hint="The ends of episodes are ignored"
def reward_to_go(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = reward[t] + discount * later
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q1" at_most=0 why="without its own reward" hint="The action's own reward rₜ is missing"
def reward_to_go(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = torch.where(ended[t], 0.0, later)
        rows.append(later)
        later = reward[t] + discount * later
    return torch.stack(rows[::-1])


# %% wrong="q1" at_most=0 why="one discount too many" hint="There is one γ too many"
def reward_to_go(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = discount * (reward[t] + torch.where(ended[t], 0.0, later))
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q1" at_most=0 why="ignores the discount" hint="The discount is ignored"
def reward_to_go(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = reward[t] + torch.where(ended[t], 0.0, later)
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q1" at_most=0 why="cut one step early" hint="The sum stops one step too soon"
def reward_to_go(reward, ended, discount):
    answer = reward.clone()
    for t in reversed(range(len(reward) - 1)):
        answer[t] += discount * torch.where(ended[t + 1], 0.0, answer[t + 1])
    return answer


# %% wrong="q1" at_most=0 why="loses the last reward" hint="The last reward of each episode is lost"
def reward_to_go(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = (reward[t] + discount * later) * ~ended[t]
        rows.append(later)
    return torch.stack(rows[::-1])


# %% wrong="q1" at_most=1 why="reads where it has written" hint="You write sums into the tensor from which"
def reward_to_go(reward, ended, discount):
    for t in reversed(range(len(reward))):
        factor = torch.ones_like(reward[t])
        for k in range(t + 1, len(reward)):
            factor = factor * discount * ~ended[k - 1]
            reward[t] += factor * reward[k]
    return reward


# %% wrong="q1" at_most=0 why="the list is not turned round" hint="The right numbers in reversed order"
def reward_to_go(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for r, end in zip(reward.flip(0), ended.flip(0)):
        later = r + discount * torch.where(end, 0.0, later)
        rows.append(later)
    return torch.stack(rows)


# %% wrong="q1" at_most=0 why="along the episodes" hint="You add up along axis 1"
def reward_to_go(reward, ended, discount):
    answer = reward.clone()
    for t in reversed(range(reward.shape[1] - 1)):
        answer[:, t] += discount * torch.where(ended[:, t], 0.0, answer[:, t + 1])
    return answer


# %% wrong="q1" at_most=2 why="an if on a whole row" hint="Decide entry by entry"
def reward_to_go(reward, ended, discount):
    answer = reward.clone()
    for t in reversed(range(len(reward) - 1)):
        if not ended[t]:
            answer[t] += discount * answer[t + 1]
    return answer


# %% right="q1" why="the sum as it stands"
def reward_to_go(reward, ended, discount):
    rows = []
    for t in range(len(reward)):
        total, factor = torch.zeros_like(reward[t]), torch.ones_like(reward[t])
        for k in range(t, len(reward)):
            total = total + factor * reward[k]
            factor = factor * discount * ~ended[k]
        rows.append(total)
    return torch.stack(rows)


# %% right="q1" why="backwards in place, on the rewards themselves"
def reward_to_go(reward, ended, discount):
    for t in reversed(range(len(reward) - 1)):
        reward[t] += discount * (1 - ended[t].long()) * reward[t + 1]
    return reward


# %% right="q1" why="plain numbers, column by column"
def reward_to_go(reward, ended, discount):
    columns = []
    for rewards, ends in zip(reward.T.tolist(), ended.T.tolist()):
        later, column = 0.0, []
        for r, end in zip(reversed(rewards), reversed(ends)):
            later = r + (0.0 if end else discount * later)
            column.insert(0, later)
        columns.append(column)
    return list(zip(*columns))


# %% [markdown]
# **See it.** Your function is the heart of REINFORCE, so here it beats:
# [`reinforce`](../rlcourse/algorithms/reinforce.py) calls it to weigh every action of eight policies (small
# networks: [`CategoricalHead`](../rlcourse/nets/heads_categorical.py), [`Policy`](../rlcourse/nets/policies.py))
# that learn to balance a pole ([`CartPole`](../rlcourse/envs/cartpole.py), 16 environments for each policy:
# [`DynamicsSource`](../rlcourse/data/sources.py)). A fallen pole ends an episode, 500 steps are the most. It
# takes about five seconds; [`watch`](../rlcourse/widgets/app/watch.py) shows it live, with a curve for every
# policy ([`learning_curve`](../rlcourse/plots/learning.py)). Twenty gradient steps: how long will the pole
# stand?

# %% tags=["unstable-picture"]
from rlcourse.algorithms import reinforce
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.plots.learning import learning_curve
from rlcourse.widgets.app.watch import watch


def balance():
    """Eight policies learn to balance a pole, their actions weighed by your function."""
    def weight(reward, terminated, truncated, discount):
        return torch.as_tensor(reward_to_go(reward.clone(), terminated | truncated, discount), dtype=reward.dtype)

    pole = CartPole()
    policy = Policy(CategoricalHead(4, 2, runs=8, seed=0, hidden=(32,), dtype=torch.float32), pole.action_space)
    source = DynamicsSource(pole, runs=8, environments=16, random=generator(0, "poles of exercise 03"))
    config = reinforce.Config(updates=20, learning_rate=0.03)
    learning = reinforce.train(source, policy, config, seed=0, weight=weight)
    draw = learning_curve("Your rewards-to-go on CartPole", total=100_000, top=500)
    last = watch(learning, 100_000, draw=draw, name="REINFORCE with your function")
    first = last.curve[0][1]
    print("at first no pole stands for 50 steps on average:", bool((first < 50).all()))
    long = last.episode_return > 300
    print("now at least 6 of the 8 policies keep it up for more than 300:", bool(long.sum() >= 6))


ex.demo("q1", balance)

# %% [markdown]
# ## q2 · The gradient that needs no model
#
# *5 points · difficulty 2 of 5 · importance 5 of 5 · about 15 minutes · topic P1*
#
# How does the expected return change when you turn a knob of the policy? The return depends on the dynamics,
# which nobody told you, and you cannot differentiate a world. The log-derivative identity needs neither: let $N$
# episodes run, and
#
# $$\hat g = \frac{1}{N} \sum_{i=1}^{N} \sum_{t} \nabla \log \pi(a_t^i \mid s_t^i) \; \Psi_t^i$$
#
# is on average the gradient. Whatever turned out well is made more likely, whatever turned out badly less, and
# the dynamics have dropped out (Williams 1992). The weight $\Psi$ may be the total return, your reward-to-go, or
# either minus a baseline: here it is simply given.
#
# The policy is a softmax over a table of logits, $\pi(a \mid s) = \exp \theta_{sa} / \sum_{a'} \exp \theta_{sa'}$.
# Its score is the neatest formula of the whole lecture:
#
# $$\frac{\partial \log \pi(a \mid s)}{\partial \theta_{s'a'}}
# = \mathbb{1}[s' = s] \, \bigl( \mathbb{1}[a' = a] - \pi(a' \mid s) \bigr)$$
#
# <details><summary>Hint</summary>
#
# `torch.softmax(logits, -1)[state]` has a row of probabilities for every step: `[T, N, A]`. So has
# `torch.nn.functional.one_hot(action, A)`. The difference times the weight belongs into the row `state[t, n]` of
# the answer; several steps may share a row. Two nested loops over `t` and `n` are a good answer.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *The size of tensor a (3) must match the size of tensor b (2)*: `[T, N, A]` times `[T, N]`. Give the weight a
# last axis: `weight[..., None]`.
#
# *self and source expected to have the same dtype*: `one_hot` gives whole numbers, and `torch.zeros` float32.
# Begin with `torch.zeros_like(logits)`, and turn the one-hot into `.double()`.
#
# *Too small numbers where a state occurs twice*: `gradient[state] += …` with repeated indices writes each row
# once, without a word. See `index_add_`, or loop.
#
# </details>


# %% q="q2"
def policy_gradient(logits, state, action, weight):
    """The policy-gradient estimate for a softmax table, from N episodes.

    logits [S, A]: θ. state, action [T, N] (int64): step t of episode n. weight [T, N]: Ψ.
    Returns ĝ [S, A]: summed over the steps, averaged over the episodes; J grows in its direction.
    """
    ### SOLUTION
    taken = torch.nn.functional.one_hot(action, logits.shape[1]).to(logits.dtype)
    score = taken - torch.softmax(logits, -1)[state]
    steps = (score * weight[..., None]).flatten(0, 1)
    return torch.zeros_like(logits).index_add_(0, state.flatten(), steps) / state.shape[1]
    ### END


# %% tags=["check"]
ex.check("q2")


# %% wrong="q2" at_most=0 why="only the action that was taken" hint="∇log π also has −π(·|s)"
def policy_gradient(logits, state, action, weight):
    gradient = torch.zeros_like(logits)
    for s, a, w in zip(state.flatten(), action.flatten(), weight.flatten()):
        gradient[s, a] += w
    return gradient / state.shape[1]


# %% wrong="q2" at_most=0 why="the gradient of a loss" hint="The sign is turned"
def policy_gradient(logits, state, action, weight):
    theta = logits.clone().requires_grad_()
    log_prob = torch.log_softmax(theta, -1)[state, action]
    loss = -(log_prob * weight).sum(0).mean()
    return torch.autograd.grad(loss, theta)[0]


# %% wrong="q2" at_most=0 why="the gradient of the probability" hint="That is ∇π(a|s), without the logarithm"
def policy_gradient(logits, state, action, weight):
    theta = logits.clone().requires_grad_()
    prob = torch.softmax(theta, -1)[state, action]
    return torch.autograd.grad((prob * weight).sum(0).mean(), theta)[0]


# %% wrong="q2" at_most=0 why="logits as if they were probabilities" hint="You subtract the logits themselves"
def policy_gradient(logits, state, action, weight):
    gradient = torch.zeros_like(logits)
    for t in range(state.shape[0]):
        for n in range(state.shape[1]):
            score = -logits[state[t, n]]
            score[action[t, n]] += 1
            gradient[state[t, n]] += score * weight[t, n]
    return gradient / state.shape[1]


# %% wrong="q2" at_most=1 why="a softmax over the states" hint="Your softmax runs over the states"
def policy_gradient(logits, state, action, weight):
    gradient, prob = torch.zeros_like(logits), torch.softmax(logits, 0)
    for t in range(state.shape[0]):
        for n in range(state.shape[1]):
            score = -prob[state[t, n]]
            score[action[t, n]] += 1
            gradient[state[t, n]] += score * weight[t, n]
    return gradient / state.shape[1]


# %% wrong="q2" at_most=0 why="forgets the weights" hint="The weights are missing"
def policy_gradient(logits, state, action, weight):
    theta = logits.clone().requires_grad_()
    return torch.autograd.grad(torch.log_softmax(theta, -1)[state, action].sum(0).mean(), theta)[0]


# %% wrong="q2" at_most=1 why="a mean over time too" hint="You average over the time steps as well"
def policy_gradient(logits, state, action, weight):
    theta = logits.clone().requires_grad_()
    log_prob = torch.log_softmax(theta, -1)[state, action]
    return torch.autograd.grad((log_prob * weight).mean(), theta)[0]


# %% wrong="q2" at_most=2 why="adds up the episodes" hint="You add up the episodes"
def policy_gradient(logits, state, action, weight):
    theta = logits.clone().requires_grad_()
    log_prob = torch.log_softmax(theta, -1)[state, action]
    return torch.autograd.grad((log_prob * weight).sum(), theta)[0]


# %% wrong="q2" at_most=1 why="divides by the length of axis 0" hint="You divide by the number of steps"
def policy_gradient(logits, state, action, weight):
    theta = logits.clone().requires_grad_()
    log_prob = torch.log_softmax(theta, -1)[state, action]
    return torch.autograd.grad((log_prob * weight).sum() / len(state), theta)[0]


# %% wrong="q2" at_most=1 why="a mean over the visits of each state" hint="You divide each row by how often"
def policy_gradient(logits, state, action, weight):
    taken = torch.nn.functional.one_hot(action, logits.shape[1]).to(logits.dtype)
    steps = (taken - torch.softmax(logits, -1)[state]) * weight[..., None]
    return torch.stack([steps[state == s].mean(0) if (state == s).any() else torch.zeros_like(logits[s])
                        for s in range(len(logits))])


# %% wrong="q2" at_most=1 why="repeated indices are written once" hint="Where a state is visited several times"
def policy_gradient(logits, state, action, weight):
    taken = torch.nn.functional.one_hot(action, logits.shape[1]).to(logits.dtype)
    gradient = torch.zeros_like(logits)
    gradient[state] += (taken - torch.softmax(logits, -1)[state]) * weight[..., None]
    return gradient / state.shape[1]


# %% wrong="q2" at_most=1 why="subtracts the policy in every row" hint="You subtract π from every row"
def policy_gradient(logits, state, action, weight):
    gradient = torch.zeros_like(logits)
    for t in range(state.shape[0]):
        for n in range(state.shape[1]):
            score = -torch.softmax(logits, -1)
            score[state[t, n], action[t, n]] += 1
            gradient += score * weight[t, n]
    return gradient / state.shape[1]


# %% wrong="q2" at_most=1 why="the product of two sums" hint="You multiply the sum of the ∇log π by the sum"
def policy_gradient(logits, state, action, weight):
    gradient, prob = torch.zeros_like(logits), torch.softmax(logits, -1)
    for n in range(state.shape[1]):
        score = torch.zeros_like(logits)
        for t in range(state.shape[0]):
            score[state[t, n]] -= prob[state[t, n]]
            score[state[t, n], action[t, n]] += 1
        gradient += score * weight[:, n].sum()
    return gradient / state.shape[1]


# %% right="q2" why="by automatic differentiation of the surrogate"
def policy_gradient(logits, state, action, weight):
    theta = logits.clone().requires_grad_()
    log_prob = torch.log_softmax(theta, -1)[state, action]
    return torch.autograd.grad((log_prob * weight).sum(0).mean(), theta)[0]


# %% right="q2" why="step by step"
def policy_gradient(logits, state, action, weight):
    gradient, prob = torch.zeros_like(logits), torch.softmax(logits, -1)
    steps, episodes = state.shape
    for t in range(steps):
        for n in range(episodes):
            s, a = state[t, n], action[t, n]
            gradient[s] -= prob[s] * weight[t, n] / episodes
            gradient[s, a] += weight[t, n] / episodes
    return gradient


# %% right="q2" why="by counting"
def policy_gradient(logits, state, action, weight):
    S, A = logits.shape
    counts = torch.zeros(S * A, dtype=logits.dtype)
    counts.scatter_add_(0, (state * A + action).reshape(-1), weight.reshape(-1))
    counts = counts.reshape(S, A)
    return (counts - counts.sum(1, keepdim=True) * logits.softmax(1)) / state.size(1)


# %% [markdown]
# **See it.** Twelve cells, a goal behind a wall, five moves away; the move after that leads back to the start,
# and so on for 30 steps ([`grid_map`](../rlcourse/envs/maps.py), [`sample_index`](../rlcourse/envs/tabular.py)).
# Three tables of logits start from zero and follow *your* estimate from 20 episodes at a time, weighed by
# nothing better than the total return ([`discounted_return`](../rlcourse/equations/returns.py)). The curves
# ([`curves`](../rlcourse/plots/curves.py)) are exact ([`objective`](../rlcourse/exact/policy_gradient.py)). How
# many goals can be reached in 30 steps, and how many does a walk without any aim reach?

# %%
from rlcourse.core.seeding import uniforms
from rlcourse.envs.maps import grid_map
from rlcourse.envs.tabular import sample_index
from rlcourse.equations.returns import discounted_return
from rlcourse.exact.policy_gradient import objective
from rlcourse.plots.curves import curves


def walks(mdp, logits, random, episodes=20, steps=30):
    """States, actions and rewards [steps, episodes] of walks with a softmax policy."""
    policy, states, actions, rewards = torch.softmax(logits, -1), [], [], []
    state = mdp.initial_state(uniforms((episodes, 1), random))
    for _ in range(steps):
        noise = uniforms((episodes, 2), random)
        action = sample_index(policy[state], noise[:, 0])
        following = mdp.transition(state, action, noise[:, 1:])
        states.append(state)
        actions.append(action)
        rewards.append(mdp.reward(state, action, following))
        state = following
    return torch.stack(states), torch.stack(actions), torch.stack(rewards)


def up_the_hill(updates=100, learning_rate=0.5):
    """Three tables learn the way to a goal by your estimate alone."""
    mdp = grid_map(("S...", "..#.", "..#G"), restart=True).mdp
    series = {}
    for seed in range(3):
        random, reached = generator(seed, "walks of exercise 03"), []
        logits = torch.zeros(mdp.num_states, mdp.num_actions, dtype=torch.float64)
        for _ in range(updates):
            reached.append(float(objective(mdp, logits, 30)))
            state, action, reward = walks(mdp, logits, random)
            running = torch.zeros_like(reward, dtype=torch.bool)
            weight = discounted_return(reward, running, running)
            logits = logits + learning_rate * torch.as_tensor(policy_gradient(logits, state, action, weight))
        series[f"table {seed}"] = (range(updates), reached)
    series["the most there can be"] = (range(updates), [5.0] * updates)
    return curves(series, title="Climbing by your estimate", xlabel="gradient step",
                  ylabel="expected goals in 30 steps")


ex.demo("q2", up_the_hill)

# %% [markdown]
# ## q3 · What the others got
#
# *4 points · difficulty 2 of 5 · importance 4 of 5 · about 10 minutes · topic P4*
#
# Suppose all rewards are positive. Then plain REINFORCE makes *every* action more likely that it tried, the bad
# ones too, only less so; what is learned sits in small differences between large numbers. So subtract a
# baseline: was this better or worse than usual? The mean of the estimate does not move, because
# $\mathbb{E}\,\nabla \log \pi(a \mid s)\, b = 0$ for every $b$ that does not depend on the action.
#
# The batch itself knows what is usual. But its plain average contains the episode that you are judging, and so
# depends on that episode's actions. Listing every batch that can occur in the two rooms of the lecture shows
# what this does to the mean of the estimate:
#
# | episodes in a batch | its average as the baseline | the average of the others |
# | --- | --- | --- |
# | 2 | 0.500 ∇J | 1.000 ∇J |
# | 3 | 0.667 ∇J | 1.000 ∇J |
# | 4 | 0.750 ∇J | 1.000 ∇J |
#
# The factor is $1 - 1/N$. With many episodes nobody will notice. With two you lose half of the gradient, and it
# costs one line not to. Leave the episode out (Kool, van Hoof, Welling 2019): at every step $t$,
#
# $$b_t^i = \frac{1}{N - 1} \sum_{j \ne i} \Psi_t^j$$
#
# <details><summary>Hint</summary>
#
# The sum of the others is the sum of all minus your own. With `keepdim=True` the sum over the episodes has the
# shape `[T, 1]`, from which `[T, N]` can be subtracted.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *The size of tensor a (4) must match the size of tensor b (3)*: you subtracted `[T, N]` from `[T]`. Sum with
# `keepdim=True`.
#
# *expected shape [1, 3], got [1, 1]*: one baseline for all episodes of a step. Each leaves out another one, so
# each has its own.
#
# </details>


# %% q="q3"
def leave_one_out_baseline(weight):
    """For each episode the average of the others, step by step.

    weight [T, N]: Ψ of step t in episode n, N ≥ 2. Returns b [T, N]; what is used later is Ψ − b.
    """
    ### SOLUTION
    others = weight.sum(1, keepdim=True) - weight
    return others / (weight.shape[1] - 1)
    ### END


# %% tags=["check"]
ex.check("q3")


# %% wrong="q3" at_most=0 why="the batch mean" hint="That is the mean of the whole batch"
def leave_one_out_baseline(weight):
    return weight.mean(1, keepdim=True).expand_as(weight)


# %% wrong="q3" at_most=0 why="the batch mean, one number a step" hint="The shape is not right"
def leave_one_out_baseline(weight):
    return weight.mean(1, keepdim=True)


# %% wrong="q3" at_most=0 why="its own weight" hint="This is the episode's own weight"
def leave_one_out_baseline(weight):
    return weight.clone()


# %% wrong="q3" at_most=0 why="already subtracted" hint="You have subtracted already"
def leave_one_out_baseline(weight):
    return weight - (weight.sum(1, keepdim=True) - weight) / (weight.shape[1] - 1)


# %% wrong="q3" at_most=1 why="the sum of the others" hint="That is the *sum* of the others"
def leave_one_out_baseline(weight):
    return weight.sum(1, keepdim=True) - weight


# %% wrong="q3" at_most=0 why="divides by N" hint="The right sum, but the others are N − 1"
def leave_one_out_baseline(weight):
    return (weight.sum(1, keepdim=True) - weight) / weight.shape[1]


# %% wrong="q3" at_most=0 why="divides the sum of all by N − 1" hint="You divide by N − 1 but add up all N"
def leave_one_out_baseline(weight):
    return (weight.sum(1, keepdim=True) / (weight.shape[1] - 1)).expand_as(weight)


# %% wrong="q3" at_most=0 why="averages over time" hint="You average over time. At every step t"
def leave_one_out_baseline(weight):
    return weight.mean(0).expand_as(weight)


# %% wrong="q3" at_most=0 why="the other steps of the same episode" hint="You average over time. At every step t"
def leave_one_out_baseline(weight):
    return (weight.sum(0) - weight) / max(len(weight) - 1, 1)


# %% wrong="q3" at_most=0 why="one number for everything" hint="you average over time *and* episodes"
def leave_one_out_baseline(weight):
    return torch.full_like(weight, weight.mean())


# %% wrong="q3" at_most=1 why="the others, averaged over time" hint="You average the others over time, too"
def leave_one_out_baseline(weight):
    mean = weight.mean(0, keepdim=True)
    return ((mean.sum() - mean) / (weight.shape[1] - 1)).expand_as(weight)


# %% wrong="q3" at_most=1 why="leaves out one entry of the table" hint="You leave out one *entry* of the table"
def leave_one_out_baseline(weight):
    return (weight.sum() - weight) / (weight.numel() - 1)


# %% wrong="q3" at_most=1 why="one other episode" hint="One other episode serves as the baseline"
def leave_one_out_baseline(weight):
    return weight.roll(1, dims=1)


# %% right="q3" why="column by column"
def leave_one_out_baseline(weight):
    columns = range(weight.shape[1])
    return torch.stack([weight[:, [j for j in columns if j != i]].mean(1) for i in columns], dim=1)


# %% right="q3" why="a matrix with zeros on its diagonal"
def leave_one_out_baseline(weight):
    N = weight.shape[1]
    return weight @ (1 - torch.eye(N, dtype=weight.dtype)) / (N - 1)


# %% right="q3" why="mended batch mean"
def leave_one_out_baseline(weight):
    N = weight.shape[1]
    return (N * weight.mean(1)[:, None] - weight) / (N - 1)


# %% [markdown]
# **See it.** In the two rooms ([`two_rooms`](../rlcourse/envs/two_rooms.py)) three steps can go 64 ways, so
# there are 4096 batches of two episodes. [`every_batch`](../rlcourse/exact/policy_gradient.py) lists them all
# with their probabilities, your baseline is subtracted from the reward-to-go in each
# ([`equations`](../rlcourse/equations/policy_gradient.py)), and what comes out is no measurement: it *is* the
# mean and the variance of the estimate. The last column measures the noise by the length of the mean, which is
# what counts. With the batch's average it is the same as with yours: half the estimate has half the noise.

# %%
from rlcourse.envs.two_rooms import HORIZON, policy_logits, two_rooms
from rlcourse.equations.policy_gradient import gradient_estimate
from rlcourse.equations.returns import reward_to_go as rewards_to_go
from rlcourse.exact.policy_gradient import every_batch, gradient_by_autograd, moments


def all_batches_of_two():
    """The exact mean and noise of the estimate with three baselines."""
    mdp, logits = two_rooms(), policy_logits()
    batch, gradient = every_batch(mdp, logits, HORIZON, 2), gradient_by_autograd(mdp, logits, HORIZON).flatten()
    weight = rewards_to_go(batch.reward, batch.terminated, batch.truncated)
    # A baseline looks at one step at a time, so all batches may stand below each other in one table.
    others = torch.as_tensor(leave_one_out_baseline(weight.flatten(0, 1))).reshape(weight.shape)
    baselines = {"no baseline": torch.zeros_like(weight), "average of the batch": weight.mean(-1, keepdim=True),
                 "your leave-one-out": others}
    print(f"{'':22}{'mean / ∇J':>12}{'variance':>12}{'noise / mean':>14}")
    for label, baseline in baselines.items():
        mean, covariance = moments(batch.prob, gradient_estimate(batch.score, weight - baseline))
        length = mean @ gradient / (gradient @ gradient)
        noise = covariance.trace().sqrt() / mean.norm()
        print(f"{label:22}{length:12.3f}{covariance.trace():12.3f}{noise:14.2f}")


ex.demo("q3", all_batches_of_two)

# %% [markdown]
# ## q4 · The best baseline, on paper
#
# *5 points · difficulty 3 of 5 · importance 3 of 5 · about 15 minutes · topic P4*
#
# The average reward is the natural baseline. Is it the best? The smallest problem in which one can ask: one
# state, one step, two actions. Action 1 is taken with probability $p = \sigma(\theta)$, where $\theta$ is the
# only parameter, and pays $r_1$; action 0 pays $r_0$. The estimate from one step is
#
# $$X = (r_a - b) \, g_a, \qquad g_a = \frac{\partial \log \pi(a)}{\partial \theta}, \qquad
# g_1 = 1 - p, \quad g_0 = -p.$$
#
# Its mean is $p (1 - p)(r_1 - r_0)$, whatever $b$ is. Its variance is not the same for every $b$. Take paper and
# find two formulas:
#
# 1. `best_baseline`: the constant $b^*$ for which $\operatorname{Var} X$ is smallest, with $0 < p < 1$;
# 2. `gradient_variance`: $\operatorname{Var} X$ for any $b$.
#
# Do not begin with $p = \tfrac12$: that is the one policy at which every plausible answer is right. If $b^*$
# looks wrong to you because its weights seem to be exchanged, trust your paper.
#
# <details><summary>Hint</summary>
#
# $\operatorname{Var} X = \mathbb{E} X^2 - (\mathbb{E} X)^2$, and only the first term depends on $b$: it is
# $\mathbb{E}[g^2]\, b^2 - 2\, \mathbb{E}[g^2 r]\, b + \dots$, a parabola. For the second formula it helps to
# know that a quantity with the value $x_1$ with probability $p$ and $x_0$ otherwise has the variance $p (1 -
# p)(x_1 - x_0)^2$.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *ZeroDivisionError*: you divided by $\mathbb{E}[g]$, which is 0 for every policy. The parabola has
# $\mathbb{E}[g^2]$ in front of $b^2$.
#
# *pow() received an invalid combination of arguments* or *must be Tensor, not float*: all arguments are plain
# Python numbers. `**` is all you need.
#
# </details>


# %% q="q4"
def best_baseline(prob, reward_0, reward_1):
    """The constant b* that makes the variance of (r − b) ∂log π/∂θ smallest (a number).

    prob: p = π(1), strictly between 0 and 1; reward_0, reward_1: what the actions pay. Plain numbers.
    """
    ### SOLUTION
    return (1 - prob) * reward_1 + prob * reward_0
    ### END


def gradient_variance(prob, reward_0, reward_1, baseline):
    """The variance of (r − b) ∂log π/∂θ for any baseline b (a number)."""
    ### SOLUTION
    return prob * (1 - prob) * ((1 - prob) * (reward_1 - baseline) + prob * (reward_0 - baseline)) ** 2
    ### END


# %% tags=["check"]
ex.check("q4")


# %% wrong="q4" at_most=2 why="the average reward" hint="That is the expected reward"
def best_baseline(prob, reward_0, reward_1):
    return prob * reward_1 + (1 - prob) * reward_0


# %% wrong="q4" at_most=2 why="the mean of both rewards" hint="You weigh both rewards alike"
def best_baseline(prob, reward_0, reward_1):
    return (reward_0 + reward_1) / 2


# %% wrong="q4" at_most=2 why="not divided by E[g²]" hint="That is E[g² r] alone"
def best_baseline(prob, reward_0, reward_1):
    return prob * (1 - prob) ** 2 * reward_1 + (1 - prob) * prob**2 * reward_0


# %% wrong="q4" at_most=2 why="the best reward" hint="The largest reward is no minimum"
def best_baseline(prob, reward_0, reward_1):
    return max(reward_0, reward_1)


# %% wrong="q4" at_most=2 why="weights without the probabilities" hint="forget how likely each action is"
def best_baseline(prob, reward_0, reward_1):
    weight_0, weight_1 = prob**2, (1 - prob) ** 2
    return (weight_0 * reward_0 + weight_1 * reward_1) / (weight_0 + weight_1)


# %% wrong="q4" at_most=3 why="the score with its sign, not squared" hint="A sign is lost: g is"
def best_baseline(prob, reward_0, reward_1):
    return (1 - prob) * reward_1 - prob * reward_0


# %% wrong="q4" at_most=2 why="divides by the mean of the score" hint="A division by zero"
def best_baseline(prob, reward_0, reward_1):
    above = prob * (1 - prob) * reward_1 - (1 - prob) * prob * reward_0
    return above / (prob * (1 - prob) - (1 - prob) * prob)


# %% wrong="q4" at_most=2 why="the second moment" hint="That is the second moment"
def gradient_variance(prob, reward_0, reward_1, baseline):
    return (prob * ((1 - prob) * (reward_1 - baseline)) ** 2
            + (1 - prob) * (prob * (reward_0 - baseline)) ** 2)


# %% wrong="q4" at_most=2 why="subtracts the mean unsquared" hint="You subtract the mean. The variance is"
def gradient_variance(prob, reward_0, reward_1, baseline):
    second = (prob * ((1 - prob) * (reward_1 - baseline)) ** 2
              + (1 - prob) * (prob * (reward_0 - baseline)) ** 2)
    return second - prob * (1 - prob) * (reward_1 - reward_0)


# %% wrong="q4" at_most=2 why="the score is not squared" hint="The score is not squared"
def gradient_variance(prob, reward_0, reward_1, baseline):
    mean = prob * (1 - prob) * (reward_1 - reward_0)
    return prob * (1 - prob) * ((reward_1 - baseline) ** 2 + (reward_0 - baseline) ** 2) - mean**2


# %% wrong="q4" at_most=2 why="the variance of the reward" hint="That is the variance of the reward"
def gradient_variance(prob, reward_0, reward_1, baseline):
    return prob * (1 - prob) * (reward_1 - reward_0) ** 2


# %% wrong="q4" at_most=2 why="scores exchanged" hint="The scores are exchanged"
def gradient_variance(prob, reward_0, reward_1, baseline):
    mean = prob * prob * (reward_1 - baseline) - (1 - prob) ** 2 * (reward_0 - baseline)
    second = prob * (prob * (reward_1 - baseline)) ** 2 + (1 - prob) * ((1 - prob) * (reward_0 - baseline)) ** 2
    return second - mean**2


# %% wrong="q4" at_most=3 why="the score of action 0 with the wrong sign" hint="makes action 0 *less* likely"
def gradient_variance(prob, reward_0, reward_1, baseline):
    up, down = (1 - prob) * (reward_1 - baseline), prob * (reward_0 - baseline)
    mean = prob * up + (1 - prob) * down
    return prob * up**2 + (1 - prob) * down**2 - mean**2


# %% wrong="q4" at_most=2 why="the standard deviation" hint="That is the standard deviation"
def gradient_variance(prob, reward_0, reward_1, baseline):
    best = (1 - prob) * reward_1 + prob * reward_0
    return (prob * (1 - prob)) ** 0.5 * abs(baseline - best)


# %% wrong="q4" at_most=2 why="counts two logits" hint="a softmax with two logits has two components"
def gradient_variance(prob, reward_0, reward_1, baseline):
    best = (1 - prob) * reward_1 + prob * reward_0
    return 2 * prob * (1 - prob) * (baseline - best) ** 2


# %% wrong="q4" at_most=2 why="without p(1 − p)" hint="A factor is missing"
def gradient_variance(prob, reward_0, reward_1, baseline):
    return (baseline - (1 - prob) * reward_1 - prob * reward_0) ** 2


# %% wrong="q4" at_most=3 why="adds the baseline" hint="The sign of the baseline is turned"
def gradient_variance(prob, reward_0, reward_1, baseline):
    return prob * (1 - prob) * ((1 - prob) * (reward_1 + baseline) + prob * (reward_0 + baseline)) ** 2


# %% wrong="q4" at_most=3 why="leaves the baseline out" hint="The baseline does not appear in your result"
def gradient_variance(prob, reward_0, reward_1, baseline):
    return prob * (1 - prob) * ((1 - prob) * reward_1 + prob * reward_0) ** 2


# %% right="q4" why="both as expectations over the two actions"
def best_baseline(prob, reward_0, reward_1):
    outcomes = ((1 - prob, -prob, reward_0), (prob, 1 - prob, reward_1))
    return sum(p * g**2 * r for p, g, r in outcomes) / sum(p * g**2 for p, g, r in outcomes)


def gradient_variance(prob, reward_0, reward_1, baseline):
    outcomes = ((1 - prob, -prob * (reward_0 - baseline)), (prob, (1 - prob) * (reward_1 - baseline)))
    mean = sum(p * x for p, x in outcomes)
    return sum(p * (x - mean) ** 2 for p, x in outcomes)


# %% right="q4" why="the parabola around its lowest point"
def best_baseline(prob, reward_0, reward_1):
    return reward_1 + prob * (reward_0 - reward_1)


def gradient_variance(prob, reward_0, reward_1, baseline):
    return prob * (1 - prob) * (baseline - best_baseline(prob, reward_0, reward_1)) ** 2


# %% [markdown]
# **See it.** With the rewards 0 and 1 the policy should learn to take action 1, so $p$ goes from left to right
# while it learns. Your formulas draw the variance for no baseline, for the average reward $\bar r = p$, and for
# your $b^*$ ([`curves`](../rlcourse/plots/curves.py)). Before you run the cell: at $p = \tfrac34$, is the
# average reward better or worse than nothing?

# %%
from rlcourse.plots.curves import curves


def three_baselines():
    """The variance of the estimate against the policy, for three baselines."""
    probs = torch.linspace(0.01, 0.99, 99, dtype=torch.float64).tolist()
    choices = {"no baseline": lambda p: 0.0, "average reward": lambda p: p,
               "your b*": lambda p: best_baseline(p, 0.0, 1.0)}
    series = {label: (probs, [float(gradient_variance(p, 0.0, 1.0, choice(p))) for p in probs])
              for label, choice in choices.items()}
    worse = [p for p, none, average in zip(probs, series["no baseline"][1], series["average reward"][1])
             if average > none]
    print(f"the average reward is worse than no baseline from p = {min(worse):.2f} on")
    return curves(series, title="Rewards 0 and 1: what a baseline does to the variance",
                  xlabel="p, the probability of the better action", ylabel="variance of the estimate")


ex.demo("q4", three_baselines)

# %% [markdown]
# Not every baseline helps, and the average reward hurts just where learning goes well: the rare action has the
# large score, so the baseline should stand near *its* reward. With $b^*$ both actions give the same $X$, and
# nothing is left to vary. Why does nobody use it, then? It needs both rewards, which are what one is trying to
# find out; estimated from the same few episodes it would be biased, as in q3. In larger problems the average of
# the others, or a learned value of the state (lecture 04), is what one can have.

# %% [markdown]
# ## Your score

# %%
ex.score()
