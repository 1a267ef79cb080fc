"""The questions of exercise 03, policy gradients."""

from . import (policy_gradients_clip, policy_gradients_closed_form, policy_gradients_estimate, policy_gradients_hunt,
               policy_gradients_leave_one_out, policy_gradients_loss, policy_gradients_natural,
               policy_gradients_off_policy, policy_gradients_to_go)

QUESTIONS = (policy_gradients_to_go.QUESTION, policy_gradients_estimate.QUESTION,
             policy_gradients_leave_one_out.QUESTION, policy_gradients_closed_form.QUESTION,
             policy_gradients_off_policy.QUESTION, policy_gradients_loss.QUESTION, policy_gradients_clip.QUESTION,
             policy_gradients_natural.QUESTION, policy_gradients_hunt.QUESTION)
