"""The questions of exercise 04, actor-critic."""

from . import (actor_critic_closed_form, actor_critic_gae, actor_critic_lambda_weights, actor_critic_n_step,
               actor_critic_td_target)

QUESTIONS = (actor_critic_td_target.QUESTION, actor_critic_n_step.QUESTION, actor_critic_gae.QUESTION,
             actor_critic_lambda_weights.QUESTION, actor_critic_closed_form.QUESTION)
