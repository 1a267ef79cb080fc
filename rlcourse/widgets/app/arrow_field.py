"""The arrow-field widget of lecture 03, section P9."""

from rlcourse.plots.arrow_field import setup, update
from rlcourse.widgets.models.arrow_field import CONTROLS, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    steps = "1 step" if frame.steps == 1 else f"{frame.steps} steps"
    return (f"Parameters {frame.parameterisation}. At k = {frame.gain:g}, σ = {frame.std:g} the vanilla arrow "
            f"stands at {frame.vanilla_angle:.1f}° to the gain axis, the natural one at "
            f"{frame.natural_angle:.1f}° (measured in k and log σ). After {steps} of {frame.kl:g} nats "
            f"the vanilla path lacks {frame.vanilla_lost[-1]:.2g} of the best J, the natural one "
            f"{frame.natural_lost[-1]:.2g}; at the start it was {frame.natural_lost[0]:.2g}.")


def arrow_field() -> Explorer:
    """Follow the gradient of two parameters, with and without the Fisher matrix, in several parameterisations."""
    return Explorer(
        name="arrow_field", controls=CONTROLS, compute=compute, setup=setup, update=update,
        describe=describe, size=(10, 4.8),
        try_this=(
            "Lower the start σ from 1 to 0.03 and read the two angles. Which arrow turns, and which of the two "
            "parameters does it forget?",
            "Go back to σ = 0.3 and take 40 steps. How often does each path cross the dotted line of the best "
            "gain k*, and how far down does it come? All steps on both sides are of the same length in nats.",
            "Start at σ = 0.03. Who is ahead after 12 steps, and who after 40? Small noise makes every "
            "further change of the gain cost more nats, and F⁻¹∇J looks one step ahead, no further.",
            "Measure the gain in other units (10 k, k / 10), then take σ itself instead of log σ. The policies "
            "are the same. Which arrows change, and which path? One change of the natural path is there if you look "
            "closely: with σ itself and δ = 0.1. Why does it go away with δ?"),
        prediction=Prediction(
            question="a policy a ~ N(k·s, σ²) is to bring s to 0 with little effort. Its gain is too small, "
                     "k = −0.2 instead of −0.59, and any noise does harm, so that log σ should fall too. The noise "
                     "is small already, σ = 0.03. Where does the gradient in (k, log σ) point?",
            options=("along both axes, about equally", "almost along the axis of k alone",
                     "almost along the axis of log σ alone", "nowhere: it is nearly zero"),
            answer="almost along the axis of k alone",
            because="∂J/∂log σ shrinks like σ² and ∂J/∂k does not: the arrow stands at 41° to the axis of the "
                    "gain at σ = 1 and at 0.4° here. The natural gradient stands at 45.7° at every σ."))
