"""The importance-weights widget of lecture 03, section P6."""

from rlcourse.plots.importance_weights import count_of, setup, update
from rlcourse.widgets.models.importance_weights import CONTROLS, PRODUCT, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    here, count = frame.horizon, frame.episodes
    growth = f", and E w² grows by the factor {frame.growth:.3g} a step" if frame.weights == PRODUCT else ""
    errors = [_share(error[here - 1]) for error in (frame.product_error, frame.single_error, frame.single_bias)]
    return (f"The policies differ by at most {frame.epsilon:.2g} in total variation. {count} episodes with the "
            f"weights at t = {here} are worth {count_of(frame.left[here] * count)} (sampled); n / E w² is "
            f"{count_of(frame.left_exact[here] * count)}{growth}. The mean of the weights, 1 in expectation, is "
            f"{10.0 ** frame.sample_mean[here]:.3g}; the heaviest {frame.top_count} of {count} hold "
            f"{_share(frame.top_share[here])} of it. Relative error of the gradient at T = {here}: "
            f"{errors[0]} with products, {errors[1]} with single ratios (bias {errors[2]}).")


def _share(share: float) -> str:
    return f"{100 * share:.3g} %" if share < 2 else f"{share:.3g} ×"


def importance_weights() -> Explorer:
    """Horizon, policy distance and number of episodes against what importance weights leave of the data."""
    return Explorer(
        name="importance_weights", controls=CONTROLS, compute=compute, setup=setup, update=update,
        describe=describe, size=(10, 4.6),
        try_this=(
            "At d = 0.25 the policies differ by 8 % at most. Move the horizon up from 1 until half of 1000 "
            "episodes are lost. Is it a number or a share of them that every further step costs?",
            "At d = 1, raise n from 1000 to 10000. How many steps further does the exact line get before it "
            "meets the line of one episode? Compare with the factor of E w² in the caption.",
            "Go to d = 1.5, T = 100, n = 1000. The expectation of the weights is 1; what is their mean, "
            "and where is the rest? Which effective sample size would you report, the sampled or the exact one?",
            "At d = 1 and n = 10000 change to the single ratio. What happens on the left and in the middle? "
            "On the right, up to about which horizon are products still the better choice? And at n = 100?"),
        prediction=Prediction(
            question="two policies differ by at most 0.25 in total variation, in every state. 1000 episodes "
                     "of 50 steps were collected with one and are reweighted for the other by the products "
                     "of their ratios. How many episodes are they worth then?",
            options=("about 750", "about 300", "about 100", "about 10"),
            answer="about 10",
            because="The second moment of the weights is multiplied by 1.25 at every step, and after 50 it "
                    "is 64 000: ten lucky episodes carry most of the weight. Even that flatters, since the "
                    "heaviest ones that there are were not drawn. Their mean, 1 in expectation, is 0.42."))
