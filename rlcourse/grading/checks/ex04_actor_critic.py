"""The questions of exercise 04, actor-critic."""

from . import (actor_critic_actor_loss, actor_critic_closed_form, actor_critic_control_variate, actor_critic_gae,
               actor_critic_hunt, actor_critic_lambda_weights, actor_critic_n_step, actor_critic_sac_target,
               actor_critic_td_target)

QUESTIONS = (actor_critic_td_target.QUESTION, actor_critic_n_step.QUESTION, actor_critic_gae.QUESTION,
             actor_critic_lambda_weights.QUESTION, actor_critic_closed_form.QUESTION,
             actor_critic_sac_target.QUESTION, actor_critic_actor_loss.QUESTION,
             actor_critic_control_variate.QUESTION, actor_critic_hunt.QUESTION)
