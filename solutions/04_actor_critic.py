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
# # Exercise 04 · Actor-critic
#
# In the lecture a second network joined the policy: a critic that says how well things go on from here, so that
# an action need not wait for the end of the episode to learn what it was worth. Everything now rests on a number
# that is *estimated*, and that is what these questions are about: where the estimate enters, where it must not,
# what its errors do, and how to trade them against noise. Each answer is a few lines of code or one line of
# algebra. Most of the slips that the checks know are in some published program: they raise no error, and the
# learning curve still rises, only later or less high.
#
# **How it works.** Each question has one cell for your answer. Replace the line with
# `NotImplementedError`, run the cell, and run the check below it. A check takes an instant, as
# often as you like: it shows which cases pass and, where one does not, what the mistake
# probably is. Nothing you write is ever overwritten, and a wrong attempt costs nothing but teaches
# something.
#
# You need PyTorch and [the lecture](../lectures/04_actor_critic.ipynb); each question names its section. All
# tensors are float64. Sequences have the shape `[T, N]`: $T$ steps of $N$ environments side by side, so that axis
# 0 is time; single samples have the shape `[B]`. Read the shapes in the docstrings first: they are half of each
# answer.
#
# Two kinds of ends occur all the time, so here they are once and for all. `terminated[t]`: the problem itself was
# over with step $t$; nothing comes after it, not even a value. `truncated[t]`: only the time limit stopped the
# episode at step $t$; the problem would have gone on. After either, the next row belongs to a *new* episode.
# `next_value[t]` is the critic's value of the state that step $t$ truly led to, before anything was reset.

# %%
from rlcourse.notebook import start

start()

# %%
import torch

from rlcourse.grading import exercise

ex = exercise("04_actor_critic")

# %% [markdown]
# ## Your score

# %%
ex.score()
