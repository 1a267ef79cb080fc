"""The car against the plane: driving, seeing and correcting, each redone in x and y."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.car import Car
from rlcourse.envs.experts import car_expert, corrected_steering

CAR = Car()


def road_heading(car, s):
    return 2 * np.pi * s / car.track_length + car.winding * np.sin(2 * np.pi * car.lobes * s / car.track_length)


def road_point(car, s):
    """The centre line at s by adaptive integration of its heading."""
    path = solve_ivp(lambda at, _: [np.cos(road_heading(car, at)), np.sin(road_heading(car, at))],
                     (0.0, max(s, 1e-9)), [0.0, 0.0], rtol=1e-11, atol=1e-11)
    return path.y[:, -1]


def in_the_plane(car, state):
    s, y, psi = state
    heading = road_heading(car, s)
    return np.array([*(road_point(car, s) + y * np.array([-np.sin(heading), np.cos(heading)])), heading + psi])


def random_states(shape, seed=0, offset=2.0, heading=0.4):
    draw = uniforms((*shape, 3), generator(seed, "states"))
    size = torch.tensor([CAR.track_length, 2 * offset, 2 * heading], dtype=torch.float64)
    return draw * size - torch.tensor([0.0, offset, heading], dtype=torch.float64)


@pytest.mark.parametrize("seed", range(4))
def test_driving_equals_driving_in_the_plane(seed):
    # In x and y nothing of the road enters: the direction turns by speed × curvature. After half a
    # second (7 m) the two must agree up to the error of the Runge–Kutta step.
    start = random_states((), seed, offset=1.0, heading=0.2)
    action = 0.4 * uniforms((5, 1), generator(seed, "actions")) - 0.2
    state = start
    plane = in_the_plane(CAR, start.numpy())
    for steering in action:
        state = CAR.transition(state, steering)
        turn = CAR.speed * CAR.max_steering * float(steering)
        plane = solve_ivp(lambda _, at: [CAR.speed * np.cos(at[2]), CAR.speed * np.sin(at[2]), turn],
                          (0.0, CAR.time_step), plane, rtol=1e-11, atol=1e-11).y[:, -1]
    ours = in_the_plane(CAR, state.numpy())
    assert np.abs(ours[:2] - plane[:2]).max() < 3e-5
    assert abs((ours[2] - plane[2] + np.pi) % (2 * np.pi) - np.pi) < 1e-6


def test_the_step_is_of_fourth_order():
    # Halving the time step divides the error after 0.4 s by about 2⁴.
    start, action = torch.tensor([40.0, 0.8, 0.3], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)

    def after(steps):
        state, car = start, Car(time_step=0.4 / steps)
        for _ in range(steps):
            state = car.transition(state, action)
        return state[1:]

    truth = after(128)
    ratio = (after(2) - truth).norm() / (after(4) - truth).norm()
    assert 10 < ratio < 24


@pytest.mark.parametrize("winding", [0.0, 0.4, 0.8])
def test_the_road_closes_and_has_its_length(winding):
    car = Car(winding=winding)
    line = car.centre_line(601)
    assert torch.equal(line[0], torch.zeros(2, dtype=torch.float64))
    assert (line[-1] - line[0]).norm() < 1e-6
    assert (line[1:] - line[:-1]).norm(dim=-1).sum() == pytest.approx(car.track_length, rel=1e-3)
    if winding == 0.0:      # a circle
        centre = torch.tensor([0.0, car.track_length / (2 * torch.pi)], dtype=torch.float64)
        assert (line - centre).norm(dim=-1).sub(centre[1]).abs().max() < 1e-4


def test_position_lies_where_the_plane_says():
    states = random_states((6,))
    expected = np.stack([in_the_plane(CAR, state)[:2] for state in states.numpy()])
    assert np.abs(CAR.position(states).numpy() - expected).max() < 1e-3


def test_curvature_is_the_derivative_of_the_heading():
    s = np.linspace(0, CAR.track_length, 50)
    slope = (road_heading(CAR, s + 1e-5) - road_heading(CAR, s - 1e-5)) / 2e-5
    assert np.abs(CAR.curvature(torch.tensor(s)).numpy() - slope).max() < 1e-8


def ground_by_rays(car, state, camera_offset, camera_yaw):
    """Where each pixel's ray meets the ground, and how far that is from the true, winding centre line."""
    s, y, psi = state
    base = in_the_plane(car, (s, y + camera_offset, psi))
    direction = base[2] + camera_yaw
    forward, left = np.array([np.cos(direction), np.sin(direction)]), np.array([-np.sin(direction), np.cos(direction)])
    near = s + np.linspace(-15, 30, 9001)
    line = np.stack([np.cos(road_heading(car, near)), np.sin(road_heading(car, near))], -1)
    steps = np.diff(near)[:, None] * (line[1:] + line[:-1]) / 2
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    heading = road_heading(car, s)
    path += base[:2] - (y + camera_offset) * np.array([-np.sin(heading), np.cos(heading)]) \
        - path[np.argmin(np.abs(near - s))]
    offsets = []
    for x in np.linspace(car.view_half_width, -car.view_half_width, car.pixels):
        point = base[:2] + car.look_ahead * forward + x * left
        to_line = np.linalg.norm(path - point, axis=1)
        closest = to_line.argmin()
        side = np.array([-line[closest, 1], line[closest, 0]]) @ (point - path[closest])
        offsets.append(np.sign(side) * to_line[closest])
    return np.array(offsets)


def painted(car, offset):
    """The brightness of the ground, written out once more."""
    beyond = (np.abs(offset) - car.half_width) / car.blur
    grass = car.grass / (1 + np.exp(-2 * beyond))
    return grass + (1 - grass) * np.exp(-beyond**2 / 2)


@pytest.mark.parametrize("camera", [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.2)])
def test_the_camera_sees_what_rays_hit(camera):
    # On a circle the arc is exact (the centre line of the oracle is cut into 5 mm). On the winding road it is an
    # approximation: pictures differ by 0.018 in the mean, and three times as much if the curvature is read at
    # the car or too far ahead, instead of at a third of the way (which a shifted state imitates).
    for car, mean in ((Car(winding=0.0), 1e-6), (CAR, 0.018)):
        errors, near, far = [], [], []
        for state in random_states((12,), seed=3, offset=1.0, heading=0.2):
            expected = painted(car, ground_by_rays(car, state.numpy(), *camera))
            along = torch.tensor([car.look_ahead / 3, 0.0, 0.0], dtype=torch.float64)
            for found, seen_from in ((errors, state), (near, state - along), (far, state + along)):
                found.append(np.abs(car.observe_from(seen_from, *camera).numpy() - expected).mean())
        assert np.mean(errors) < mean
    assert min(np.mean(near), np.mean(far)) > 3 * np.mean(errors)


def test_paint_by_hand():
    def brightness(offset):
        return float(CAR.paint(torch.tensor(offset, dtype=torch.float64)))
    assert brightness(0.0) < 1e-4                                         # asphalt
    assert brightness(2.5) == brightness(-2.5) == pytest.approx(0.15 + 0.85)   # line on a half-grey border
    assert brightness(8.0) == pytest.approx(0.3, abs=1e-6)               # grass


def test_mirrored_state_gives_mirrored_picture_and_steering():
    draw = random_states((7,))
    bend = 0.06 * (uniforms((7,), generator(1, "bend")) - 0.5)
    left = CAR.paint(CAR.ground_offset(draw[:, 1], draw[:, 2], bend))
    right = CAR.paint(CAR.ground_offset(-draw[:, 1], -draw[:, 2], -bend))
    assert (left - right.flip(-1)).abs().max() < 1e-12
    assert (left - right).abs().max() > 0.1
    straight = Car(track_length=1e9)
    expert, mirror = car_expert(straight), torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    assert (expert(draw) + expert(draw * mirror)).abs().max() < 1e-6


def test_a_shifted_camera_sees_what_a_shifted_car_sees():
    states = random_states((5,), offset=1.0)
    moved = states + torch.tensor([0.0, 0.7, 0.1], dtype=torch.float64)
    assert torch.allclose(CAR.observe_from(states, 0.7, 0.1), CAR.observe(moved), atol=1e-12)
    assert not torch.allclose(CAR.observe_from(states, -0.7, 0.1), CAR.observe(moved), atol=1e-2)
    each = torch.linspace(-1, 1, 5, dtype=torch.float64)
    assert torch.equal(CAR.observe_from(states, each)[3], CAR.observe_from(states[3], each[3]))


def test_corrected_label_is_what_the_expert_would_do_there():
    # The correction is derived from geometry; the expert, who aims at the same distance, must agree up to
    # sin ψ ≈ ψ, wherever neither is at the stop of the steering wheel.
    states = random_states((20,), offset=0.3, heading=0.05)
    expert = car_expert(CAR)
    for offset, yaw in ((1.0, 0.0), (-1.0, 0.0), (0.0, 0.1), (0.5, -0.1)):
        there = states + torch.tensor([0.0, offset, yaw], dtype=torch.float64)
        corrected = corrected_steering(CAR, expert(states), offset, yaw)
        assert corrected.shape == (20, 1)
        assert (corrected - expert(there)).abs().max() < 2e-3
    each = torch.linspace(-1, 1, 20, dtype=torch.float64)
    assert torch.allclose(corrected_steering(CAR, expert(states), each)[4],
                          corrected_steering(CAR, expert(states)[4], each[4]))


def test_the_expert_stays_on_the_road_and_comes_back():
    # Without wind from 1.5 m beside the centre and 0.1 rad off: on the road always, within 0.8 m after 40 m.
    state = random_states((64,), offset=1.5, heading=0.1)
    expert, furthest = car_expert(CAR), []
    for _ in range(300):
        state = CAR.transition(state, expert(state))
        furthest.append(state[:, 1].abs().max())
    assert max(furthest) < CAR.half_width
    assert max(furthest[30:]) < 0.8


def test_the_expert_recovers_from_the_barrier():
    # Where the verge is drivable: from the barrier, pointing outwards, back on the road within 60 m.
    soft = Car(recoverable=True)
    side = torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None]
    place = torch.arange(0.0, 300.0, 10.0, dtype=torch.float64)
    offset, heading, place = torch.broadcast_tensors(soft.barrier * side, 0.8 * side, place)
    state = torch.stack((place, offset, heading), -1)
    for _ in range(43):
        state = soft.transition(state, car_expert(soft)(state))
    assert not bool(soft.off_road(state).any())


def test_gusts_are_even_and_bounded():
    noise = torch.tensor([[1e-7], [0.25], [0.5], [1 - 1e-7]], dtype=torch.float64)
    state, action = torch.tensor([10.0, 0.1, 0.02], dtype=torch.float64), torch.tensor([0.1], dtype=torch.float64)
    calm = CAR.transition(state, action)
    turned = CAR.transition(state.expand(4, 3), action.expand(4, 1), noise) - calm
    expected = torch.tensor([-0.03, -0.015, 0.0, 0.03], dtype=torch.float64)
    assert torch.allclose(turned[:, 2], expected, atol=1e-7)
    assert turned[:, :2].abs().max() == 0


def test_leaving_the_road():
    state = torch.tensor([[50.0, 2.4, 0.5], [50.0, 0.0, 0.0]], dtype=torch.float64)
    action = torch.zeros(2, 1, dtype=torch.float64)
    step = CAR.step(state, action)
    assert step.terminated.tolist() == [True, False] and step.reward.tolist() == [0.0, 1.0]
    soft = Car(recoverable=True)
    assert soft.step(state, action).terminated.tolist() == [False, False]
    assert soft.step(state, action).reward.tolist() == [0.0, 1.0]
    for _ in range(30):
        state = soft.transition(state, torch.ones_like(action))
    assert state[:, 1].abs().max() <= soft.barrier and bool(torch.isfinite(state).all())


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_batch_shape_and_dtype(shape, dtype):
    noise = uniforms((*shape, 2), generator(0, "start"), dtype)
    state = CAR.initial_state(noise)
    before = state.clone()
    step = CAR.step(state, torch.zeros(*shape, 1, dtype=dtype), uniforms((*shape, 1), generator(0, "wind"), dtype))
    assert state.shape == step.next_state.shape == (*shape, 3) and step.next_obs.shape == (*shape, 24)
    assert step.reward.shape == step.terminated.shape == shape
    assert step.next_state.dtype == step.next_obs.dtype == step.reward.dtype == dtype
    assert torch.equal(state, before)
    assert bool((step.next_obs >= 0).all() & (step.next_obs <= 1).all())
    assert CAR.position(state).shape == (*shape, 2)


def test_gradients_are_finite_and_right():
    state = random_states((3,), offset=1.0).requires_grad_()
    action = torch.full((3, 1), 0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(CAR.transition, (state, action), eps=1e-6, atol=1e-6)
    assert torch.autograd.gradcheck(CAR.observe, (state,), eps=1e-6, atol=1e-5)
    straight = Car(winding=1 / 3)       # the road is straight, κ = 0, in the middle of each lobe
    middle = torch.tensor([50.0 - straight.look_ahead / 3, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    assert straight.curvature(torch.tensor(50.0, dtype=torch.float64)).abs() < 1e-12
    slope = torch.autograd.functional.jacobian(straight.observe, middle)
    assert bool(torch.isfinite(slope).all()) and slope[:, 1].abs().max() > 0.1


@pytest.mark.parametrize("wrong, message", [
    ({"lobes": 1}, "lobes"), ({"half_width": 6.0}, "half_width"), ({"barrier": 40.0}, "barrier"),
    ({"pixels": 1}, "pixels"), ({"time_limit": 0}, "time_limit")])
def test_impossible_cars_are_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}: expected"):
        Car(**wrong)
