"""`Car`: a car on a closed, winding road, seen through a camera of one line.

Everything happens in the coordinates of the road: how far along it, how far beside its centre
line, and turned how far away from its direction. The same picture serves the lectures on
imitation (a camera beside the real one sees what the car would see if it had drifted) and a
planner (all functions are smooth but for the edge of the road).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count
from ..core.spaces import Box
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class Car(Dynamics):
    """A car at constant speed; it only steers.

    | index | state | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | arc length s along the centre line, counted anew each lap | 0 | `track_length` | m |
    | 1 | lateral offset y from the centre line, left is positive | −`barrier` | `barrier` | m |
    | 2 | heading error ψ against the road's direction, left is positive | −π | π | rad |

    | index | action | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | steering, left is positive: path curvature u = action × `max_steering` | −1 | 1 | none |

    The observation is one line of `pixels` brightnesses in [0, 1], leftmost first (`observe_from`).
    With the road's curvature κ(s), a unicycle in road coordinates moves by

        ṡ = v cos ψ / (1 − y κ(s)),   ẏ = v sin ψ,   ψ̇ = v u − κ(s) ṡ,

    integrated by one Runge–Kutta step of fourth order; then a gust turns the car by an angle
    drawn evenly from ±`gust`. A step that ends on the road pays 1, any other 0. Leaving the road
    ends the episode; with `recoverable=True` it does not: the verge is drivable up to a barrier,
    along which the car slides.

    The centre line has the heading θ(s) = 2πs/L + `winding` · sin(2π · `lobes` · s/L): it closes for
    every `winding`, because turning by 1/`lobes` of a circle maps it onto itself.
    """

    speed: float = 14.0             # m/s
    time_step: float = 0.1          # s
    max_steering: float = 0.15      # 1/m, path curvature at full steering
    gust: float = 0.03              # rad, largest turn by the wind in one step
    track_length: float = 300.0     # m, along the centre line
    lobes: int = 3                  # how often the shape of the road repeats in a lap
    winding: float = 0.8            # rad, amplitude of the heading's swing
    half_width: float = 2.5         # m, from the centre line to the edge of the road
    barrier: float = 5.0            # m, from the centre line to the end of the verge
    recoverable: bool = False       # whether the episode goes on beside the road
    pixels: int = 24                # in the camera's line
    look_ahead: float = 10.0        # m, to where the camera's line meets the ground
    view_half_width: float = 9.0    # m, to either side on that line
    blur: float = 0.5               # m, on the ground, of edges and lines
    grass: float = 0.3              # brightness of the verge; asphalt is 0, edge lines are 1
    start_offset: float = 0.2       # m, largest lateral offset at the start
    time_limit: int = 300           # steps; 1.4 laps

    def __post_init__(self):
        require_count("lobes", self.lobes, least=2)
        require_count("pixels", self.pixels, least=2)
        require_count("time_limit", self.time_limit)
        require(0 < self.half_width < self.barrier, "half_width",
                f"a length in (0, barrier = {self.barrier})", self.half_width)
        sharpest = 2 * math.pi / self.track_length * (1 + self.lobes * abs(self.winding))
        require(self.barrier * sharpest < 1, "barrier",
                f"less than the smallest radius of the road, {1 / sharpest:.3g} m", self.barrier)

    @property
    def action_space(self) -> Box:
        return Box(-1.0, 1.0, 1)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (self.pixels,)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (3,)

    @property
    def max_episode_steps(self) -> int | None:
        return self.time_limit

    @property
    def initial_noise(self) -> int:
        return 2

    @property
    def transition_noise(self) -> int:
        return 1

    def curvature(self, arc_length: Tensor) -> Tensor:
        """κ(s) = dθ/ds in 1/m, positive where the road bends to the left."""
        around = 2 * math.pi / self.track_length
        return around * (1 + self.lobes * self.winding * torch.cos(self.lobes * around * arc_length))

    def initial_state(self, noise: Tensor) -> Tensor:
        """Anywhere along the road, within `start_offset` of its centre, and along it."""
        arc_length = self.track_length * noise[..., 0]
        offset = self.start_offset * (2 * noise[..., 1] - 1)
        return torch.stack((arc_length, offset, torch.zeros_like(offset)), -1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """One time step (class docstring), then the gust from uniforms [*B, 1]; None: no wind."""
        turn = self.max_steering * action[..., 0].clamp(-1.0, 1.0)
        arc_length, offset, heading = self._drive(state, turn).unbind(-1)
        if noise is not None:
            heading = heading + self.gust * (2 * noise[..., 0] - 1)
        return torch.stack((torch.remainder(arc_length, self.track_length),
                            offset.clamp(-self.barrier, self.barrier),
                            torch.remainder(heading + math.pi, 2 * math.pi) - math.pi), -1)

    def _drive(self, state: Tensor, turn: Tensor) -> Tensor:
        """The classical Runge–Kutta step for the path curvature `turn` [*B]."""
        def velocity(at: Tensor) -> Tensor:
            arc_length, offset, heading = at.unbind(-1)
            bend = self.curvature(arc_length)
            along = self.speed * torch.cos(heading) / (1 - offset * bend)
            return torch.stack((along, self.speed * torch.sin(heading),
                                self.speed * turn - bend * along), -1)

        h = self.time_step
        k1 = velocity(state)
        k2 = velocity(state + h / 2 * k1)
        k3 = velocity(state + h / 2 * k2)
        k4 = velocity(state + h * k3)
        return state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def off_road(self, state: Tensor) -> Tensor:
        """Whether the car is beside the road [*B] (bool)."""
        return state[..., 1].abs() > self.half_width

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor,
               noise: Tensor | None = None) -> Tensor:
        """1 for a step that ends on the road, else 0 [*B]."""
        return (~self.off_road(next_state)).to(next_state.dtype)

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """Off the road [*B], unless the verge is drivable."""
        if self.recoverable:
            return super().terminated(state, action, next_state)
        return self.off_road(next_state)

    def observe(self, state: Tensor, noise: Tensor | None = None) -> Tensor:
        """What the camera in the middle of the car sees [*B, pixels]."""
        return self.observe_from(state)

    def observe_from(self, state: Tensor, camera_offset: Tensor | float = 0.0,
                     camera_yaw: Tensor | float = 0.0) -> Tensor:
        """The line [*B, pixels] of a camera moved to the left [m] and turned to the left [rad].

        A level line of a camera image is a straight line on the ground, `look_ahead` in front of
        the camera and across its direction: pixel j looks at the point x_j to the left of the axis,
        x_j evenly spaced from `view_half_width` to −`view_half_width`. Its brightness is `paint` at
        that point's distance from the centre line. Both camera arguments are numbers or [*B].
        """
        arc_length, offset, heading = state.unbind(-1)
        bend = self.curvature(arc_length + self.look_ahead / 3)
        return self.paint(self.ground_offset(offset + camera_offset, heading + camera_yaw, bend))

    def ground_offset(self, offset: Tensor, heading: Tensor, bend: Tensor) -> Tensor:
        """How far beside the centre line [*B, pixels] the ground lies that each pixel sees [m].

        The road ahead is taken for an arc of curvature κ (`bend` [*B]), whose centre lies 1/κ to the
        left. The ground point p = (a ahead, b to the left of the centre line's tangent) then lies
        1/κ − |p − centre| beside the arc, here in a form that also holds on a straight road (κ = 0):

            (2b − κ |p|²) / (1 + √((κa)² + (1 − κb)²)).

        κ is read at a third of the way: ∫₀ᵈ (d − x) κ(x) dx, how far a road swerves up to d, is
        ½ d² κ(d/3) for every κ that changes evenly.
        """
        across = torch.linspace(self.view_half_width, -self.view_half_width, self.pixels,
                                dtype=offset.dtype, device=offset.device)
        offset, heading, bend = offset.unsqueeze(-1), heading.unsqueeze(-1), bend.unsqueeze(-1)
        a = self.look_ahead * torch.cos(heading) - across * torch.sin(heading)
        b = offset + self.look_ahead * torch.sin(heading) + across * torch.cos(heading)
        to_centre = torch.sqrt((bend * a).square() + (1 - bend * b).square())
        return (2 * b - bend * (a.square() + b.square())) / (1 + to_centre)

    def paint(self, offset: Tensor) -> Tensor:
        """Brightness in [0, 1] of the ground at a signed distance from the centre line: black
        asphalt, grey grass, and two white edge lines, all blurred by `blur`."""
        beyond = (offset.abs() - self.half_width) / self.blur
        grass = self.grass * torch.sigmoid(2 * beyond)
        return grass + (1 - grass) * torch.exp(-0.5 * beyond.square())

    def centre_line(self, points: int = 601) -> Tensor:
        """The centre line [points, 2] in metres (x, y), float64, first point = last point.

        The heading is known; the position is its integral, by the midpoint rule on a grid that is
        at least ten times finer than a metre.
        """
        fine = max(1, math.ceil(10 * self.track_length / (points - 1)))
        steps = fine * (points - 1)
        length = self.track_length / steps
        middle = length * (torch.arange(steps, dtype=torch.float64) + 0.5)
        heading = self._road_heading(middle)
        path = length * torch.stack((heading.cos(), heading.sin()), -1).cumsum(0)
        return torch.cat((torch.zeros(1, 2, dtype=torch.float64), path))[::fine]

    def _road_heading(self, arc_length: Tensor) -> Tensor:
        around = 2 * math.pi / self.track_length
        return around * arc_length + self.winding * torch.sin(self.lobes * around * arc_length)

    def position(self, state: Tensor) -> Tensor:
        """Where a state lies on the map of `centre_line` [*B, 2], in metres."""
        line = self.centre_line(1 + math.ceil(10 * self.track_length)).to(state)
        spacing = self.track_length / (line.shape[0] - 1)
        arc_length, offset, _ = state.unbind(-1)
        place = torch.remainder(arc_length, self.track_length) / spacing
        before = place.floor().long().clamp(max=line.shape[0] - 2)
        part = (place - before).unsqueeze(-1)
        on_line = line[before] * (1 - part) + line[before + 1] * part
        heading = self._road_heading(arc_length)
        left = torch.stack((-heading.sin(), heading.cos()), -1)
        return on_line + offset.unsqueeze(-1) * left
