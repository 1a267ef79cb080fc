"""The questions of exercise 05b, Q-learning in practice."""

from . import (q_practice_double_target, q_practice_hunt, q_practice_max_bias, q_practice_n_step, q_practice_naf,
               q_practice_td3, q_practice_traces)

QUESTIONS = (q_practice_double_target.QUESTION, q_practice_max_bias.QUESTION, q_practice_n_step.QUESTION,
             q_practice_traces.QUESTION, q_practice_naf.QUESTION, q_practice_td3.QUESTION, q_practice_hunt.QUESTION)
