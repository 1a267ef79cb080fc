# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercise 03 · Policy gradients
#
# In the lecture you saw that a policy can be improved from nothing but its own episodes: nobody says what the
# right action is, nobody knows the dynamics, and still there is a gradient. Here you write that gradient
# yourself, piece by piece. Each piece is a few lines long, and each can be wrong in a way that still *trains*:
# too slowly, in the wrong direction, or well on one problem and not at all on the next. So the checks compare
# you with the exact gradient of small problems, and what you write then trains policies before your eyes.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and [the lecture](../lectures/03_policy_gradients.ipynb); each question names its section. All
# tensors are float64. Sequences have the shape `[T, N]`: $T$ steps of $N$ episodes side by side, so that axis 0 is
# time. Read the shapes in the docstrings first: they are half of each answer.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("03_policy_gradients")

# %% [markdown]
# ## Your score

# %%
ex.score()
