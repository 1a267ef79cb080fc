"""The questions of exercise 03, policy gradients."""

QUESTIONS = ()
