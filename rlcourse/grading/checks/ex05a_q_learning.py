"""The questions of exercise 05a, Q-learning."""

from . import (q_learning_exploration, q_learning_replay, q_learning_semi_gradient, q_learning_target,
               q_learning_target_network, q_learning_two_state, q_learning_update)

QUESTIONS = (q_learning_target.QUESTION, q_learning_exploration.QUESTION, q_learning_update.QUESTION,
             q_learning_semi_gradient.QUESTION, q_learning_replay.QUESTION, q_learning_target_network.QUESTION,
             q_learning_two_state.QUESTION)
