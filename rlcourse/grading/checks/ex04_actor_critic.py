"""The questions of exercise 04, actor-critic."""

QUESTIONS = ()
