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
# # Exercise 01 · Foundations
#
# Six small functions on which the rest of the course stands. You carry a state distribution forward, keep a
# belief, solve a machine on paper, find where a chain spends its life, mend a value iteration that
# converges without a hitch to the wrong answer, and check a lemma that later lectures lean on.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. A wrong attempt costs nothing.
#
# You need PyTorch and sections F2 to F5 and F7 of [the lecture](../lectures/01_foundations.ipynb). All
# tensors are float64. Read the shapes in the docstrings first: they are half of each answer.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("01_foundations")

# %% [markdown]
# ## q1 · One step of the state marginal
#
# *4 points · difficulty 1 of 5 · importance 5 of 5 · about 10 minutes · topic F2*
#
# The transition operator holds $T_{i,j,k} = p(s_{t+1} = i \mid s_t = j, a_t = k)$: next state first, then
# the state, then the action. Carry the state marginal one step on:
#
# $$\mu_{t+1,i} = \sum_{j,k} T_{i,j,k}\; \mu_{t,j}\; \pi(k \mid j).$$
#
# <details><summary>Hint</summary>
#
# `torch.einsum` takes the letters as they stand in the formula. Which letters does the formula sum over, and
# which one is left? Afterwards ask of your result what every distribution must do.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *einsum(): subscript … has size …*: two axes of different lengths share a letter. Write the shape of
# every tensor above the line: `operator` is `[i, j, k]`, `marginal` `[j]`, `policy` `[j, k]`.
#
# *The axes are exchanged*: the result is `[S]`, one number for each next state.
#
# </details>


# %% q="q1"
def next_marginal(operator, marginal, policy):
    """The state distribution one step later.

    operator [S, S, A]: p(next state i | state j, action k) at [i, j, k]. marginal [S]: p(s_t = j).
    policy [S, A]: π(k|j) at [j, k]. Returns p(s_{t+1} = i) [S].
    """
    ### SOLUTION
    return torch.einsum("ijk,j,jk->i", operator, marginal, policy)
    ### END


# %% tags=["check"]
ex.check("q1")


# %% wrong="q1" at_most=0 why="i and j exchanged" hint="The roles of i and j are exchanged"
def next_marginal(operator, marginal, policy):
    return torch.einsum("ijk,i,ik->j", operator, marginal, policy)


# %% wrong="q1" at_most=1 why="the action ignores the state" hint="Your action does not know its state"
def next_marginal(operator, marginal, policy):
    action_probs = marginal @ policy
    return torch.einsum("ijk,j,k->i", operator, marginal, action_probs)


# %% wrong="q1" at_most=0 why="adds up all actions" hint="You add up all actions"
def next_marginal(operator, marginal, policy):
    return operator.sum(-1) @ marginal


# %% wrong="q1" at_most=0 why="sums over the next state" hint="This is the marginal that you began with"
def next_marginal(operator, marginal, policy):
    return torch.einsum("ijk,j,jk->j", operator, marginal, policy)


# %% wrong="q1" at_most=0 why="forgets the marginal" hint="Every state counts the same in your sum"
def next_marginal(operator, marginal, policy):
    return (operator * policy).sum((1, 2))


# %% right="q1" why="by the chain of the policy"
def next_marginal(operator, marginal, policy):
    chain = (operator * policy[None]).sum(-1)
    return chain @ marginal


# %% right="q1" why="three loops"
def next_marginal(operator, marginal, policy):
    following = torch.zeros_like(marginal)
    for i in range(len(marginal)):
        for j in range(len(marginal)):
            for k in range(policy.shape[1]):
                following[i] += operator[i, j, k] * marginal[j] * policy[j, k]
    return following


# %% [markdown]
# **See it.** An aimless walker leaves the corner of the [`four_rooms`](../rlcourse/envs/maps.py). Your function moves the
# distribution ([`transition_operator`](../rlcourse/equations/foundations.py) makes the operator), and
# [`maps_figure`](../rlcourse/plots/foundations.py) draws it. Before you run the cell: after 100 steps, how much of it
# has left the first room?

# %%
from rlcourse.envs.maps import four_rooms
from rlcourse.equations.foundations import transition_operator
from rlcourse.plots.foundations import maps_figure


def walk():
    """The marginal of an aimless walk after 5, 25 and 100 steps, by your function."""
    rooms = four_rooms()
    operator = transition_operator(rooms.mdp.transition_probs)
    aimless = torch.full((rooms.mdp.num_states, 4), 0.25, dtype=torch.float64)
    in_first_room = torch.tensor([row < 6 and column < 6 for row, column in rooms.cells])
    marginal, pictures = rooms.mdp.initial, {}
    for t in range(1, 101):
        marginal = next_marginal(operator, marginal, aimless)
        if t in (5, 25, 100):
            pictures[f"t = {t}"] = rooms.picture(marginal).sqrt().numpy()
            print(f"t = {t:3}: {float(marginal[in_first_room].sum()):.3f} still in the first room")
    return maps_figure(pictures, label="√ probability", start=(1, 1), goal=(11, 11), size=(9, 3))


ex.demo("q1", walk)

# %% [markdown]
# ## q2 · Keep a belief
#
# *5 points · difficulty 2 of 5 · importance 4 of 5 · about 15 minutes · topic F3*
#
# You do not see the state. You know what you believed, which action you took, and what you saw *after* it:
#
# $$b'(s') \;\propto\; p(o' \mid s') \sum_s p(s' \mid s, a)\, b(s).$$
#
# Write Bayes' filter for one action and one observation.
#
# <details><summary>Hint</summary>
#
# Two lines. *Predict*: where would the belief be after the action, if you kept your eyes shut? *Correct*:
# weigh each state by how likely it makes what you saw, and divide by the sum.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *mat1 and mat2 shapes cannot be multiplied*: `transition_probs[:, action]` is `[S, S]`, the row says from where
# and the column says to where.
#
# *index … is out of bounds*: the observation is the *second* index of `observation_probs`.
#
# </details>


# %% q="q2"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    """The belief after one action and one observation.

    belief [S]: p(s | all that came before). action, observation: whole numbers. transition_probs
    [S, A, S]: p(s'|s, a) at [s, a, s']. observation_probs [S, O]: p(o|s). Returns the new belief [S].
    """
    ### SOLUTION
    prediction = belief @ transition_probs[:, action]
    weighed = prediction * observation_probs[:, observation]
    return weighed / weighed.sum()
    ### END


# %% tags=["check"]
ex.check("q2")


# %% wrong="q2" at_most=0 why="does not normalise" hint="The result does not sum to 1"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    return (belief @ transition_probs[:, action]) * observation_probs[:, observation]


# %% wrong="q2" at_most=0 why="corrects before it predicts" hint="You correct before you predict"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    weighed = belief * observation_probs[:, observation]
    return (weighed / weighed.sum()) @ transition_probs[:, action]


# %% wrong="q2" at_most=0 why="forgets the move" hint="You weigh with the observation but forget the move"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    weighed = belief * observation_probs[:, observation]
    return weighed / weighed.sum()


# %% wrong="q2" at_most=0 why="forgets the observation" hint="This is the prediction alone"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    return belief @ transition_probs[:, action]


# %% wrong="q2" at_most=0 why="moves backwards" hint="The move runs backwards"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    weighed = (transition_probs[:, action] @ belief) * observation_probs[:, observation]
    return weighed / weighed.sum()


# %% right="q2" why="the joint distribution of both states"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    joint = belief[:, None] * transition_probs[:, action] * observation_probs[None, :, observation]
    return joint.sum(0) / joint.sum()


# %% right="q2" why="loops and a plain list"
def belief_update(belief, action, observation, transition_probs, observation_probs):
    after = []
    for n in range(len(belief)):
        predicted = sum(belief[s] * transition_probs[s, action, n] for s in range(len(belief)))
        after.append(float(predicted * observation_probs[n, observation]))
    return [weight / sum(after) for weight in after]


# %% [markdown]
# **See it.** A robot rolls to the right along a [`corridor`](../rlcourse/envs/pomdp.py) with four doors, the cells of which
# read `wdwwdwdd`. It reports `wdwwwwdd`, and your filter says where it is ([`belief_figure`](../rlcourse/plots/foundations.py)).
# One report is wrong. Will the filter believe it, and for how long?

# %%
from rlcourse.envs.pomdp import corridor
from rlcourse.plots.foundations import belief_figure


def follow():
    """Your filter along one walk of which the true cells are known."""
    world, right = corridor("wdwwdwdd", slip=0.1, blur=0.1), 1
    cells, reports = [0, 1, 2, 3, 4, 5, 6, 7], "wdwwwwdd"
    belief = world.initial * world.observation_probs[:, 0]
    beliefs = [belief / belief.sum()]
    for letter in reports[1:]:
        seen = world.observation_names.index(letter)
        beliefs.append(torch.as_tensor(belief_update(beliefs[-1], right, seen, world.transition_probs,
                                                     world.observation_probs)))
    for t, belief in enumerate(beliefs):
        print(f"t = {t}: saw {reports[t]}, believes in cell {int(belief.argmax())} "
              f"with {float(belief.max()):.2f}; the truth is {cells[t]}")
    return belief_figure(torch.stack(beliefs).numpy(), torch.tensor(cells).numpy(), reports, world.state_names)


ex.demo("q2", follow)

# %% [markdown]
# ## q3 · A machine in closed form
#
# *5 points · difficulty 2 of 5 · importance 3 of 5 · about 15 minutes · topic F4*
#
# A machine starts working. Each step on which it works pays 1. After such a step it breaks with probability
# $p$. A broken machine pays nothing and is repaired after each step with probability $q$. What is
# $\mathbb E \sum_{t \ge 0} \gamma^t r_t$? Write the exact answer as a function of $p$, $q$ and $\gamma < 1$.
#
# <details><summary>Hint</summary>
#
# There are two unknowns, $V_{\text{working}}$ and $V_{\text{broken}}$, and two Bellman equations. Eliminate one.
# Then try your formula on a machine that never breaks.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *ZeroDivisionError*: a denominator such as $p + q$ is zero for a machine that neither breaks nor is repaired. The
# denominators of the Bellman equations, like $1 - \gamma(1-q)$, never are.
#
# </details>


# %% q="q3"
def machine_value(break_prob, repair_prob, discount):
    """The expected discounted sum of rewards of a machine that starts working (a number)."""
    ### SOLUTION
    stays_broken = discount * (1 - repair_prob)
    both = discount * (1 - break_prob - repair_prob)
    return (1 - stays_broken) / ((1 - discount) * (1 - both))
    ### END


# %% tags=["check"]
ex.check("q3")


# %% wrong="q3" at_most=0 why="the long-run share" hint="This is the long-run share of working time"
def machine_value(break_prob, repair_prob, discount):
    return repair_prob / (break_prob + repair_prob) / (1 - discount)


# %% wrong="q3" at_most=0 why="starts broken" hint="This is the value of a *broken* machine"
def machine_value(break_prob, repair_prob, discount):
    return discount * repair_prob / ((1 - discount) * (1 - discount * (1 - break_prob - repair_prob)))


# %% wrong="q3" at_most=0 why="normalised like the occupancy" hint="A factor 1/(1 − γ) is missing"
def machine_value(break_prob, repair_prob, discount):
    return (1 - discount * (1 - repair_prob)) / (1 - discount * (1 - break_prob - repair_prob))


# %% wrong="q3" at_most=1 why="forgets the repair" hint="After a repair it earns again"
def machine_value(break_prob, repair_prob, discount):
    return 1 / (1 - discount * (1 - break_prob))


# %% right="q3" why="as a linear system"
def machine_value(break_prob, repair_prob, discount):
    chain = torch.tensor([[1 - break_prob, break_prob], [repair_prob, 1 - repair_prob]], dtype=torch.float64)
    return torch.linalg.inv(torch.eye(2, dtype=torch.float64) - discount * chain)[0, 0]


# %% right="q3" why="term by term"
def machine_value(break_prob, repair_prob, discount):
    working, total = 1.0, 0.0
    for t in range(5000):
        total += discount**t * working
        working = working * (1 - break_prob) + (1 - working) * repair_prob
    return total


# %% [markdown]
# **See it.** As $\gamma \to 1$, $(1 - \gamma)$ times the discounted value becomes the average reward, whatever the start. Watch
# the approach, and compare it with $q/(p+q)$.


# %%
def towards_the_average(break_prob=0.02, repair_prob=0.08):
    """(1 − γ) times your value for γ closer and closer to 1."""
    for discount in (0.5, 0.9, 0.99, 0.999, 0.9999):
        value = float(machine_value(break_prob, repair_prob, discount))
        print(f"γ = {discount:<6}  (1 − γ) V = {(1 - discount) * value:.4f}")
    print(f"q / (p + q)          = {repair_prob / (break_prob + repair_prob):.4f}")


ex.demo("q3", towards_the_average)

# %% [markdown]
# ## q4 · The average reward
#
# *5 points · difficulty 3 of 5 · importance 3 of 5 · about 20 minutes · topic F4*
#
# Now without a discount, and for any chain: what does a policy earn a step in the long run? The chain of the policy
# is $P(s, s') = \sum_a \pi(a \mid s)\, p(s' \mid s, a)$, its stationary distribution solves $\mu = P^\top \mu$ with
# $\sum_s \mu(s) = 1$, and the answer is $\sum_s \mu(s) \sum_a \pi(a \mid s)\, r(s, a)$. You may rely on $\mu$ being unique.
# You may not rely on the chain settling down: one that goes round in a circle never does.
#
# <details><summary>Hint</summary>
#
# $(P^\top - I)\mu = 0$ are $S$ equations of which one is superfluous (they add up to $0 = 0$). Replace the last one by
# $\sum_s \mu(s) = 1$ and let `torch.linalg.solve` do the rest.
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *The solver failed because the input matrix is singular*: the superfluous equation is still there, or you took $P$ for $P^\top$.
#
# *My answer is a complex number*: `torch.linalg.eig` gives complex results. Take the eigenvector of the eigenvalue closest
# to 1, its `.real` part, and divide by its sum.
#
# </details>


# %% q="q4"
def average_reward(transition_probs, reward_table, policy):
    """The expected reward a step in the long run (a number).

    transition_probs [S, A, S]: p(s'|s, a) at [s, a, s']. reward_table [S, A]. policy [S, A].
    """
    ### SOLUTION
    states = len(policy)
    chain = torch.einsum("sa,san->sn", policy, transition_probs)
    system = chain.T - torch.eye(states, dtype=torch.float64)
    system[-1] = 1.0
    right = torch.zeros(states, dtype=torch.float64)
    right[-1] = 1.0
    stationary = torch.linalg.solve(system, right)
    return stationary @ (policy * reward_table).sum(-1)
    ### END


# %% tags=["check"]
ex.check("q4")


# %% wrong="q4" at_most=1 why="the eigenvector of P, not of its transpose" hint="Every state counts the same"
def average_reward(transition_probs, reward_table, policy):
    chain = torch.einsum("sa,san->sn", policy, transition_probs)
    values, vectors = torch.linalg.eig(chain)
    vector = vectors[:, (values - 1).abs().argmin()].real
    return vector / vector.sum() @ (policy * reward_table).sum(-1)


# %% wrong="q4" at_most=3 why="follows the chain for a thousand steps" hint="A periodic chain never settles"
def average_reward(transition_probs, reward_table, policy):
    chain = torch.einsum("sa,san->sn", policy, transition_probs)
    marginal = torch.zeros(len(policy), dtype=torch.float64)
    marginal[0] = 1.0
    for _ in range(1000):
        marginal = marginal @ chain
    return marginal @ (policy * reward_table).sum(-1)


# %% wrong="q4" at_most=2 why="adds the rewards of all actions" hint="You add the rewards of all actions"
def average_reward(transition_probs, reward_table, policy):
    states = len(policy)
    chain = torch.einsum("sa,san->sn", policy, transition_probs)
    system = chain.T - torch.eye(states, dtype=torch.float64)
    system[-1] = 1.0
    return torch.linalg.solve(system, torch.eye(states, dtype=torch.float64)[-1]) @ reward_table.sum(-1)


# %% right="q4" why="the left eigenvector"
def average_reward(transition_probs, reward_table, policy):
    chain = torch.einsum("sa,san->sn", policy, transition_probs)
    values, vectors = torch.linalg.eig(chain.T)
    vector = vectors[:, (values - 1).abs().argmin()].real
    return float(vector / vector.sum() @ (policy * reward_table).sum(-1))


# %% right="q4" why="a lazy chain, which settles and has the same stationary distribution"
def average_reward(transition_probs, reward_table, policy):
    chain = torch.einsum("sa,san->sn", policy, transition_probs)
    lazy = (chain + torch.eye(len(policy), dtype=torch.float64)) / 2
    marginal = torch.linalg.matrix_power(lazy, 2**14)[0]
    return marginal @ (policy * reward_table).sum(-1)


# %% [markdown]
# **See it.** On the [`CLIFF`](../rlcourse/envs/maps.py), made endless ([`grid_map`](../rlcourse/envs/maps.py)), we plan the best policy
# for three floors ([`policy_iteration`](../rlcourse/exact/evaluation.py)) and let each plan be carried out with one random move in ten
# on each floor. Each row is a plan, each column the floor it is used on. Is the plan made for a floor the best one on that floor?

# %%
from rlcourse.envs.maps import CLIFF, grid_map
from rlcourse.exact.evaluation import policy_iteration


def plans_and_floors(slips=(0.0, 0.05, 0.2)):
    """Average rewards by your function: rows are plans, columns are floors."""
    floors = [grid_map(CLIFF, slip=slip, restart=True).mdp for slip in slips]
    print("planned for slip" + "".join(f"  used at {slip:4}" for slip in slips))
    for slip, floor in zip(slips, floors):
        plan = 0.9 * policy_iteration(floor, 0.99)[0] + 0.1 / 4
        earned = [float(average_reward(other.transition_probs, other.reward_table, plan)) for other in floors]
        print(f"{slip:16}" + "".join(f"{reward:14.4f}" for reward in earned))


ex.demo("q4", plans_and_floors)

# %% [markdown]
# ## q5 · Bug hunt: a value iteration that converges to the wrong answer
#
# *5 points · difficulty 2 of 5 · importance 5 of 5 · about 15 minutes · topic F5*
#
# A friend runs value iteration on the four rooms ($\gamma = 0.9$; the only reward is 1, for entering the goal; no slip):
#
# ```
# round   largest change   value of the cell beside the goal
#     1           0.9000                              0.9000
#     2           0.8100                              0.9000
#     5           0.5905                              0.9000
#    10           0.3487                              0.9000
#    20           0.1216                              0.9000
#    30           0.0000                              0.9000
# ```
#
# The change shrinks by the factor 0.9 in every round, exactly as the theorem says, and ends at zero. The policy that
# is greedy for the result walks straight to the goal. Nothing looks wrong, and nobody has noticed for weeks. And yet one
# number in the table cannot be right: beside the goal, a single certain step pays 1. This is the code:


# %%
def suspicious_value_iteration(transition_probs, reward_table, discount, rounds):
    """A value iteration with a bug. Do not mend it here: the table at the end compares it with yours."""
    value = torch.zeros(len(reward_table), dtype=torch.float64)
    for _ in range(rounds):
        q_values = discount * (reward_table + transition_probs @ value)
        value = q_values.max(-1).values
    return value


# %% [markdown]
# Find the bug and write value iteration as it should be: start from $V = 0$, and in each round replace all values at once by
#
# $$V(s) \leftarrow \max_a \Big[ r(s,a) + \gamma \sum_{s'} p(s' \mid s, a)\, V(s') \Big].$$
#
# <details><summary>Hint</summary>
#
# Work out the first round beside the goal on paper, and then in the code. Which number is multiplied by what?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *A result of shape `[S, A]` where `[S]` is wanted*: these are the action values. Take the maximum over the actions.
#
# *torch.return_types.max*: `x.max(-1)` gives values and places; you want `.values`.
#
# </details>


# %% q="q5"
def value_iteration(transition_probs, reward_table, discount, rounds):
    """V after so many rounds of value iteration, from V = 0.

    transition_probs [S, A, S]: p(s'|s, a) at [s, a, s']. reward_table [S, A]. Returns V [S].
    """
    ### SOLUTION
    value = torch.zeros(len(reward_table), dtype=torch.float64)
    for _ in range(rounds):
        q_values = reward_table + discount * (transition_probs @ value)
        value = q_values.max(-1).values
    return value
    ### END


# %% tags=["check"]
ex.check("q5")


# %% wrong="q5" at_most=0 why="the bug, still there" hint="The reward is discounted as well"
def value_iteration(transition_probs, reward_table, discount, rounds):
    return suspicious_value_iteration(transition_probs, reward_table, discount, rounds)


# %% wrong="q5" at_most=1 why="no discount at all" hint="There is no discount"
def value_iteration(transition_probs, reward_table, discount, rounds):
    value = torch.zeros(len(reward_table), dtype=torch.float64)
    for _ in range(rounds):
        value = (reward_table + transition_probs @ value).max(-1).values
    return value


# %% wrong="q5" at_most=0 why="averages over the actions" hint="You average over the actions"
def value_iteration(transition_probs, reward_table, discount, rounds):
    value = torch.zeros(len(reward_table), dtype=torch.float64)
    for _ in range(rounds):
        value = (reward_table + discount * (transition_probs @ value)).mean(-1)
    return value


# %% wrong="q5" at_most=1 why="overwrites values that the round still needs" hint="You overwrite values"
def value_iteration(transition_probs, reward_table, discount, rounds):
    value = torch.zeros(len(reward_table), dtype=torch.float64)
    for _ in range(rounds):
        for s in range(len(value)):
            value[s] = max(reward_table[s, a] + discount * transition_probs[s, a] @ value
                           for a in range(reward_table.shape[1]))
    return value


# %% wrong="q5" at_most=0 why="returns the action values" hint="The shape is not right"
def value_iteration(transition_probs, reward_table, discount, rounds):
    value = torch.zeros(len(reward_table), dtype=torch.float64)
    for _ in range(rounds):
        q_values = reward_table + discount * (transition_probs @ value)
        value = q_values.max(-1).values
    return q_values


# %% wrong="q5" at_most=1 why="one round too few" hint="One round is missing"
def value_iteration(transition_probs, reward_table, discount, rounds):
    value = torch.zeros(len(reward_table), dtype=torch.float64)
    for _ in range(1, rounds):
        value = (reward_table + discount * (transition_probs @ value)).max(-1).values
    return value


# %% right="q5" why="loops over states and actions"
def value_iteration(transition_probs, reward_table, discount, rounds):
    value = [0.0] * len(reward_table)
    for _ in range(rounds):
        old = torch.tensor(value, dtype=torch.float64)
        value = [max(float(reward_table[s, a] + discount * transition_probs[s, a] @ old)
                     for a in range(reward_table.shape[1])) for s in range(len(value))]
    return value


# %% right="q5" why="by recursion"
def value_iteration(transition_probs, reward_table, discount, rounds):
    if rounds == 0:
        return torch.zeros_like(reward_table[:, 0])
    before = value_iteration(transition_probs, reward_table, discount, rounds - 1)
    return torch.einsum("san,n->sa", transition_probs, discount * before).add(reward_table).amax(1)


# %% [markdown]
# **See it.** Both side by side. Look at the last line, and say why the bug could live so long.

# %%
from rlcourse.exact.evaluation import greedy_policy, q_from_value


def side_by_side():
    """The suspicious values and yours on the four rooms."""
    rooms = four_rooms()
    mdp, beside = rooms.mdp, rooms.cells.index((11, 10))
    values = {"suspicious": suspicious_value_iteration(mdp.transition_probs, mdp.reward_table, 0.9, 60),
              "yours": torch.as_tensor(value_iteration(mdp.transition_probs, mdp.reward_table, 0.9, 60))}
    for name, value in values.items():
        print(f"{name:>10}: beside the goal {float(value[beside]):.4f}, at the start {float(mdp.initial @ value):.4f}")
    policies = [greedy_policy(q_from_value(mdp, value, 0.9).round(decimals=9)) for value in values.values()]
    open_to_choice = ~mdp.terminal
    same = float((policies[0] == policies[1]).all(-1)[open_to_choice].double().mean())
    print(f"their greedy policies agree in {same:.0%} of the cells")


ex.demo("q5", side_by_side)

# %% [markdown]
# The buggy fixed point is $\gamma V^*$: with a positive factor in front, all comparisons between actions come out as before. The policy is right, and the
# *value* is wrong. It becomes wrong behaviour on the day when somebody compares that value with a number from elsewhere, such as the price of an exit or the critic
# of another algorithm. [`greedy_policy`](../rlcourse/exact/evaluation.py) of [`q_from_value`](../rlcourse/exact/evaluation.py) made the comparison.

# %% [markdown]
# ## q6 · What a change of policy is worth
#
# *5 points · difficulty 3 of 5 · importance 4 of 5 · about 25 minutes · topic F7*
#
# The performance-difference lemma says
#
# $$J(\pi') - J(\pi) = \frac{1}{1-\gamma} \sum_s d_{\pi'}(s) \sum_a \pi'(a \mid s)\, A^\pi(s,a),
# \qquad d_{\pi'} = (1-\gamma)\sum_{t \ge 0} \gamma^t\, p_{\pi'}(s_t = \cdot).$$
#
# Compute the *right-hand* side. The check compares it with the left-hand side, found by two linear solves, so that if you pass you have
# confirmed the lemma and not only your code. You need two solves of your own:
# $(I - \gamma P_\pi)\, V = r_\pi$ for the old policy's values, and $(I - \gamma P_{\pi'}^\top)\, d = (1-\gamma)\, p(s_0)$ for the new policy's occupancy.
#
# <details><summary>Hint</summary>
#
# Write a line for each of: the chain of a policy; V; Q; A; d; the double sum. Ask of every line: old or new?
#
# </details>
#
# <details><summary>Help, I get this error</summary>
#
# *expected scalar type Double but found Float*: `torch.eye(n)` is float32. Say `torch.eye(n, dtype=torch.float64)`.
#
# *The size of tensor a must match the size of tensor b*: `Q - V` subtracts `[S]` from `[S, A]`. `V[:, None]` is `[S, 1]`.
#
# </details>


# %% q="q6"
def expected_advantage(transition_probs, reward_table, initial, new_policy, old_policy, discount):
    """The right-hand side of the performance-difference lemma (a number).

    transition_probs [S, A, S]: p(s'|s, a) at [s, a, s']. reward_table [S, A]. initial [S]: p(s_0).
    new_policy π', old_policy π [S, A]. discount: γ < 1.
    """
    ### SOLUTION
    identity = torch.eye(len(initial), dtype=torch.float64)
    old_chain = torch.einsum("sa,san->sn", old_policy, transition_probs)
    new_chain = torch.einsum("sa,san->sn", new_policy, transition_probs)
    value = torch.linalg.solve(identity - discount * old_chain, (old_policy * reward_table).sum(-1))
    q_values = reward_table + discount * transition_probs @ value
    advantage = q_values - value[:, None]
    occupancy = torch.linalg.solve(identity - discount * new_chain.T, (1 - discount) * initial)
    return (occupancy[:, None] * new_policy * advantage).sum() / (1 - discount)
    ### END


# %% tags=["check"]
ex.check("q6")


# %% wrong="q6" at_most=1 why="the old policy's states" hint="You look where the *old* policy goes"
def expected_advantage(transition_probs, reward_table, initial, new_policy, old_policy, discount):
    identity = torch.eye(len(initial), dtype=torch.float64)
    chain = torch.einsum("sa,san->sn", old_policy, transition_probs)
    value = torch.linalg.solve(identity - discount * chain, (old_policy * reward_table).sum(-1))
    advantage = reward_table + discount * transition_probs @ value - value[:, None]
    visits = torch.linalg.solve(identity - discount * chain.T, initial)
    return (visits[:, None] * new_policy * advantage).sum()


# %% wrong="q6" at_most=0 why="does not pay 1 − γ back" hint="A factor 1/(1 − γ) is missing"
def expected_advantage(transition_probs, reward_table, initial, new_policy, old_policy, discount):
    identity = torch.eye(len(initial), dtype=torch.float64)
    chain = torch.einsum("sa,san->sn", old_policy, transition_probs)
    value = torch.linalg.solve(identity - discount * chain, (old_policy * reward_table).sum(-1))
    advantage = reward_table + discount * transition_probs @ value - value[:, None]
    chain = torch.einsum("sa,san->sn", new_policy, transition_probs)
    occupancy = torch.linalg.solve(identity - discount * chain.T, (1 - discount) * initial)
    return (occupancy[:, None] * new_policy * advantage).sum()


# %% wrong="q6" at_most=0 why="Q for the advantage" hint="You sum Q where the lemma has the advantage"
def expected_advantage(transition_probs, reward_table, initial, new_policy, old_policy, discount):
    identity = torch.eye(len(initial), dtype=torch.float64)
    chain = torch.einsum("sa,san->sn", old_policy, transition_probs)
    value = torch.linalg.solve(identity - discount * chain, (old_policy * reward_table).sum(-1))
    q_values = reward_table + discount * transition_probs @ value
    chain = torch.einsum("sa,san->sn", new_policy, transition_probs)
    visits = torch.linalg.solve(identity - discount * chain.T, initial)
    return (visits[:, None] * new_policy * q_values).sum()


# %% wrong="q6" at_most=0 why="old actions for old advantages" hint="This is zero whatever the policies are"
def expected_advantage(transition_probs, reward_table, initial, new_policy, old_policy, discount):
    identity = torch.eye(len(initial), dtype=torch.float64)
    chain = torch.einsum("sa,san->sn", old_policy, transition_probs)
    value = torch.linalg.solve(identity - discount * chain, (old_policy * reward_table).sum(-1))
    advantage = reward_table + discount * transition_probs @ value - value[:, None]
    chain = torch.einsum("sa,san->sn", new_policy, transition_probs)
    visits = torch.linalg.solve(identity - discount * chain.T, initial)
    return (visits[:, None] * old_policy * advantage).sum()


# %% right="q6" why="the sum over time, step by step"
def expected_advantage(transition_probs, reward_table, initial, new_policy, old_policy, discount):
    value = torch.zeros_like(initial)
    for _ in range(2000):
        value = (old_policy * (reward_table + discount * transition_probs @ value)).sum(-1)
    advantage = reward_table + discount * transition_probs @ value - value[:, None]
    marginal, total = initial, 0.0
    for t in range(2000):
        total += discount**t * float((marginal[:, None] * new_policy * advantage).sum())
        marginal = torch.einsum("s,sa,san->n", marginal, new_policy, transition_probs)
    return total


# %% right="q6" why="the left-hand side, which is the lemma"
def expected_advantage(transition_probs, reward_table, initial, new_policy, old_policy, discount):
    worth = []
    for policy in (new_policy, old_policy):
        chain = (policy[:, :, None] * transition_probs).sum(1)
        system = torch.eye(len(initial), dtype=torch.float64) - discount * chain
        worth.append(initial @ torch.linalg.inv(system) @ (policy * reward_table).sum(-1))
    return worth[0] - worth[1]


# %% [markdown]
# **See it.** Policy iteration ([`policy_iteration`](../rlcourse/exact/evaluation.py)) starts with a policy that knows the immediate reward
# only, and improves it round by round until nothing changes. Your function says what each round adds, averaged over all cells to start
# from, and the lemma says that no round can lose anything. Before you run the cell: will the first rounds add most, or the last?


# %%
def gains():
    """What each round of policy iteration adds, by your function, and their sum."""
    mdp = four_rooms(slip=0.1).mdp
    anywhere = (~mdp.terminal).double() / (~mdp.terminal).sum()
    _, policies = policy_iteration(mdp, 0.9)
    tables, total = (mdp.transition_probs, mdp.reward_table, anywhere), 0.0
    for number, (old, new) in enumerate(zip(policies, policies[1:]), start=1):
        gain = float(expected_advantage(*tables, new, old, 0.9))
        total += gain
        print(f"round {number:2}: {gain:7.4f}")
    at_once = float(expected_advantage(*tables, policies[-1], policies[0], 0.9))
    print(f"together {total:7.4f}; from the first policy to the last at once {at_once:.4f}")


ex.demo("q6", gains)

# %% [markdown]
# ## Your score

# %%
ex.score()
