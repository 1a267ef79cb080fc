"""The questions of exercise 02, imitation learning."""

from . import imitation_dagger, imitation_tables

QUESTIONS = (*imitation_tables.QUESTIONS, *imitation_dagger.QUESTIONS)
