"""Pictures of the control problems: what stands where (found by colour), strips, films, and their bytes."""

import base64
import math
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.acrobot import Acrobot
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.mountain_car import ContinuousMountainCar, MountainCar
from rlcourse.envs.pendulum import Pendulum
from rlcourse.envs.probes import PROBES
from rlcourse.envs.tightrope import two_ropes
from rlcourse.plots.control import film, picture, strip
from rlcourse.plots.style import PALETTE

PROBLEMS = [CartPole(), Pendulum(), MountainCar(), ContinuousMountainCar(), Acrobot(), PROBES[4].dynamics]


def state(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def pixels_of(image, colour):
    """(columns, rows) of the pixels of exactly this colour."""
    rows, columns = np.nonzero((image == ImageColor.getrgb(PALETTE[colour])).all(-1))
    return columns, rows


def centre_of(image, colour):
    columns, rows = pixels_of(image, colour)
    return columns.mean(), rows.mean()


def drive(dynamics, steps):
    random = generator(0, "film")
    states = [dynamics.initial_state(uniforms((dynamics.initial_noise,), random))]
    for _ in range(steps - 1):
        action = torch.tensor(0) if hasattr(dynamics.action_space, "n") else torch.tensor([1.0]).double()
        states.append(dynamics.transition(states[-1], action))
    return torch.stack(states)


def test_the_cart_and_its_pole_stand_where_the_state_says():
    middle, right = picture(CartPole(), state(0, 0, 0, 0)), picture(CartPole(), state(1, 0, 0, 0))
    assert middle.shape == (200, 300, 3) and middle.dtype == np.uint8
    # 300 pixels are 2.5 times 2.4 m: one metre is 50 pixels.
    assert centre_of(middle, "blue")[0] == pytest.approx(149.5, abs=1)
    assert centre_of(right, "blue")[0] - centre_of(middle, "blue")[0] == pytest.approx(50, abs=1)
    # The middle of a pole of 1 m that leans by 30° stands ½ sin 30° m = 12.5 pixels aside.
    leaning = picture(CartPole(), state(0, 0, math.pi / 6, 0))
    assert centre_of(leaning, "orange")[0] - centre_of(middle, "orange")[0] == pytest.approx(12.5, abs=2)
    ends = pixels_of(middle, "vermilion")[0]
    assert (ends.min(), ends.max()) == pytest.approx((150 - 120, 150 + 120), abs=3)


@pytest.mark.parametrize("angle, aside, up", [
    (0, 0, 1), (math.pi, 0, -1), (math.pi / 2, -1, 0), (-math.pi / 2, 1, 0)])
def test_the_pendulum_turns_anticlockwise_from_upright(angle, aside, up):
    x, y = centre_of(picture(Pendulum(), state(angle, 0)), "vermilion")
    reach = 0.5 * 300 / 3.6
    assert (x - 149.5, 99.5 - y) == pytest.approx((reach * aside, reach * up), abs=4)  # less the hinge


def test_the_acrobat_hangs_from_its_bar():
    hanging = picture(Acrobot(), state(0, 0, 0, 0))
    link = 300 / 6.6
    assert np.subtract(centre_of(hanging, "blue"), (149.5, 99.5)) == pytest.approx((0, link / 2), abs=3)
    assert np.subtract(centre_of(hanging, "orange"), (149.5, 99.5)) == pytest.approx((0, 1.5 * link), abs=4)
    # Upper link to the right, lower one bent up by another quarter turn.
    bent = picture(Acrobot(), state(math.pi / 2, math.pi / 2, 0, 0))
    assert np.subtract(centre_of(bent, "blue"), (149.5, 99.5)) == pytest.approx((link / 2, 0), abs=3)
    assert np.subtract(centre_of(bent, "orange"), (149.5, 99.5)) == pytest.approx((link, -link / 2), abs=4)
    # The tip is at the green line exactly where the episode ends: a link's length above the bar.
    line = pixels_of(hanging, "green")[1].mean()
    assert 99.5 - line == pytest.approx(link, abs=1)


@pytest.mark.parametrize("dynamics", [MountainCar(), ContinuousMountainCar()])
def test_the_car_rolls_in_the_valley_and_the_flag_is_at_the_goal(dynamics):
    bottom, left = picture(dynamics, state(-math.pi / 6, 0)), picture(dynamics, state(-1.1, 0))
    assert centre_of(bottom, "blue")[0] == pytest.approx((-math.pi / 6 + 1.3) * 150, abs=1)
    assert centre_of(left, "blue")[0] < centre_of(bottom, "blue")[0]
    assert centre_of(left, "blue")[1] < centre_of(bottom, "blue")[1]   # higher up
    assert pixels_of(bottom, "green")[0].min() == pytest.approx((dynamics.goal + 1.3) * 150, abs=3)


def test_what_has_no_drawing_is_written():
    probe = PROBES[4].dynamics
    assert not np.array_equal(picture(probe, state(1, 0)), picture(probe, state(-1, 0)))
    ropes = two_ropes()
    first, second = (picture(ropes, torch.tensor(k)) for k in (0, 2))
    assert (first < 128).any() and not np.array_equal(first, second)


@pytest.mark.parametrize("dynamics", PROBLEMS, ids=lambda d: type(d).__name__)
def test_a_film_shows_its_states_loops_and_is_small(dynamics):
    states = drive(dynamics, 120)
    made = film(dynamics, states, most=20, milliseconds=40)
    assert made.png == film(dynamics, states, most=20, milliseconds=40).png     # the same bytes
    assert len(made.png) < 60_000
    moving = Image.open(BytesIO(made.png))
    assert moving.size == (300, 200) and (moving.n_frames == 1 or moving.info["loop"] == 0)
    # First and last picture are those of the first and last state, up to the palette.
    for frame, k in ((0, 0), (moving.n_frames - 1, -1)):
        moving.seek(frame)
        shown, right = np.asarray(moving.convert("RGB")).astype(int), picture(dynamics, states[k]).astype(int)
        assert np.abs(shown - right).mean() < 1.0 and (np.abs(shown - right) > 60).mean() < 0.002
    assert made.caption == repr(made) == f"Film of {type(dynamics).__name__}: 20 pictures of 120 states"


def test_a_film_of_a_standing_picture_lasts_as_long():
    # Equal pictures are stored once and shown longer.
    moving = Image.open(BytesIO(film(CartPole(), torch.zeros(30, 4), milliseconds=40).png))
    assert moving.n_frames == 1
    states = torch.zeros(30, 4)
    states[10:, 0] = 1.0
    moving, total = Image.open(BytesIO(film(CartPole(), states, milliseconds=40).png)), 0
    for frame in range(moving.n_frames):
        moving.seek(frame)
        total += moving.info["duration"]
    assert moving.n_frames == 2 and total == 29 * 40 + 1000


def test_a_strip_stands_in_line():
    states = drive(CartPole(), 41)
    whole = np.asarray(Image.open(BytesIO(strip(CartPole(), states, count=5).png)).convert("RGB")).astype(int)
    assert whole.shape == (200, 1500, 3)
    for place, t in enumerate((0, 10, 20, 30, 40)):
        alone = picture(CartPole(), states[t]).astype(int)
        part = np.abs(whole[:, 300 * place + 2:300 * place + 298] - alone[:, 2:298])
        assert part.mean() < 1.0 and (part > 60).mean() < 0.002
    assert strip(CartPole(), states[:3], count=5).caption.startswith("3 pictures of CartPole")


def test_the_notebook_gets_picture_width_and_words():
    made = strip(CartPole(), drive(CartPole(), 9))
    data, metadata = made._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == made.png and data["text/plain"] == made.caption
    assert metadata["image/png"] == {"width": 750, "alt": made.caption}


def test_wrong_states_are_refused():
    with pytest.raises(ValueError, match=r"state: expected one state, shape \[4\], got \[1, 4\]"):
        picture(CartPole(), torch.zeros(1, 4))
    with pytest.raises(ValueError, match=r"states: expected one trajectory, shape \[T, 4\], got \[3, 1, 4\]"):
        film(CartPole(), torch.zeros(3, 1, 4))
    with pytest.raises(ValueError, match=r"states: expected one trajectory, shape \[T, 4\], got \[0, 4\]"):
        strip(CartPole(), torch.zeros(0, 4))
    with pytest.raises(ValueError, match="count: expected a whole number of at least 1, got 0"):
        strip(CartPole(), torch.zeros(3, 4), count=0)
