"""The questions of exercise 02, imitation learning."""

from . import (imitation_cloning, imitation_dagger, imitation_mistakes, imitation_mixture, imitation_relabel,
               imitation_tightrope)

QUESTIONS = (imitation_cloning.QUESTION, imitation_mistakes.QUESTION, imitation_tightrope.QUESTION,
             imitation_dagger.QUESTION, imitation_mixture.QUESTION, imitation_relabel.QUESTION)
