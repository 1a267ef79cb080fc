"""The fork and its doors: every number by hand, and what the replay of somebody with bad habits says about them."""

import pytest
import torch

from rlcourse.envs.doors import DOORS, END, FORK, doors, doors_behaviour
from rlcourse.exact.evaluation import policy_evaluation, q_from_value, value_iteration


def test_where_each_action_leads_and_what_it_pays():
    mdp = doors()
    assert mdp.transition_probs.argmax(-1).tolist() == [[END, DOORS], [END, END], [END, END]]
    assert mdp.reward_table.tolist() == [[2, 0], [1, 4], [0, 0]]
    assert mdp.initial.tolist() == [1, 0, 0] and mdp.terminal.tolist() == [False, False, True]


@pytest.mark.parametrize("discount", [0.8, 0.9])
def test_going_on_is_right_and_to_the_behaviour_it_is_not(discount):
    mdp, behaviour = doors(), doors_behaviour()
    best, choice = value_iteration(mdp, discount)
    assert best.tolist() == pytest.approx([4 * discount, 4, 0])
    q_values = q_from_value(mdp, policy_evaluation(mdp, behaviour, discount), discount)
    assert q_values[:END].flatten().tolist() == pytest.approx([2, 1.75 * discount, 1, 4])
    assert 4 * discount > 2 > 1.75 * discount
    assert torch.equal(q_values[FORK].argmax(), torch.tensor(0)) and q_values[DOORS].argmax() == 1
