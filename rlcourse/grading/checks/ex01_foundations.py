"""The questions of exercise 01, foundations."""

from . import (foundations_average, foundations_belief, foundations_lemma, foundations_machine,
               foundations_marginal, foundations_values)

QUESTIONS = (foundations_marginal.QUESTION, foundations_belief.QUESTION, foundations_machine.QUESTION,
             foundations_average.QUESTION, foundations_values.QUESTION, foundations_lemma.QUESTION)
