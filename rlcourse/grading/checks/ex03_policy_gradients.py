"""The questions of exercise 03, policy gradients."""

from . import (policy_gradients_closed_form, policy_gradients_estimate, policy_gradients_leave_one_out,
               policy_gradients_to_go)

QUESTIONS = (policy_gradients_to_go.QUESTION, policy_gradients_estimate.QUESTION,
             policy_gradients_leave_one_out.QUESTION, policy_gradients_closed_form.QUESTION)
