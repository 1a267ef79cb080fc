"""The latent-variable head: a conditional variational auto-encoder."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.check import require, require_count, require_shape
from ..core.runs import socket
from ..equations.imitation_heads import gaussian_nll, negative_elbo
from .distributions import DiagGaussian, bounded_log_std
from .inputs import require_noise, require_pairs
from .mlp import MLP


class CVAEHead(nn.Module):
    """p(a|o) = ∫ N(a; f(z, o), s² I) N(z; 0, I) dz, trained on the negative ELBO.

    The decoder f turns a latent z of `latent_size` numbers into an action; the encoder
    q(z|a, o), used in training only, guesses which z a demonstrated action came from. What the
    observation leaves open, z decides. `decoder_std` s is fixed: learned, it tends to grow until
    z is not needed (posterior collapse). A continuous f over a connected prior cannot jump from one
    mode to the next without passing between them: a few per cent of the samples do land there.
    Kingma & Welling 2014; Sohn, Lee & Yan 2015.
    `noise_size` L + D (latent, then decoder), `loss_noise_size` L. `elbo_equation` is the
    socket for the negative ELBO.
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, latent_size: int = 1,
                 decoder_std: float = 0.1, hidden: tuple[int, ...] = (64, 64), activation: str = "relu",
                 elbo_equation: Callable = negative_elbo, dtype: torch.dtype = torch.float64):
        super().__init__()
        require_count("latent_size", latent_size)
        require(decoder_std > 0, "decoder_std", "a positive number", decoder_std)
        self.obs_size, self.action_size, self.latent_size = obs_size, action_size, latent_size
        self.decoder_std = decoder_std
        self.noise_size, self.loss_noise_size = latent_size + action_size, latent_size
        self.elbo_equation = socket("elbo_equation", elbo_equation, negative_elbo, axis=0)
        options = dict(runs=runs, seed=seed, activation=activation, dtype=dtype)
        self.encoder = MLP((obs_size + action_size, *hidden, 2 * latent_size), name="CVAE encoder", **options)
        self.decoder = MLP((obs_size + latent_size, *hidden, action_size), name="CVAE decoder", **options)

    def encode(self, obs: Tensor, action: Tensor) -> DiagGaussian:
        """q(z|a, o) over latents [R, B, L]."""
        mean, raw = self.encoder(torch.cat((obs, action), dim=-1)).chunk(2, dim=-1)
        return DiagGaussian(mean, bounded_log_std(raw, 1e-3))

    def decode(self, obs: Tensor, latent: Tensor) -> DiagGaussian:
        """p(a|z, o) over actions [R, B, D], for `latent` [R, B, L]."""
        mean = self.decoder(torch.cat((obs, latent), dim=-1))
        return DiagGaussian(mean, torch.full_like(mean, math.log(self.decoder_std)))

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """−ELBO [R, B] with one latent per element; `noise` are uniforms [R, B, L]."""
        require_pairs(obs, action, self.encoder.runs, self.obs_size, self.action_size)
        posterior = self.encode(obs, action)
        decoded = self.decode(obs, posterior.sample(require_noise(noise, obs, self.latent_size)))
        return self.elbo_equation(action, decoded.mean, decoded.log_std, posterior.mean, posterior.log_std)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B, D] for uniforms [R, B, L + D]: z from the prior, then a from the decoder.

        There is no greedy action: z = 0 lies *between* what the latents mean.
        """
        noise = require_noise(noise, obs, self.noise_size)
        latent = torch.special.ndtri(noise[..., :self.latent_size])
        return self.decode(obs, latent).sample(noise[..., self.latent_size:])

    def importance_bound(self, obs: Tensor, action: Tensor, noise: Tensor) -> Tensor:
        """log (1/K) Σ_k p(a|z_k, o) p(z_k) / q(z_k|a, o), z_k ~ q   → [R, B].

        A lower bound of log p(a|o) in expectation, tighter with every further draw and exact as
        K → ∞; `noise` are uniforms [R, B, K, L]. K = 1 is one estimate of the ELBO. Burda, Grosse &
        Salakhutdinov 2016.
        """
        require_pairs(obs, action, self.encoder.runs, self.obs_size, self.action_size)
        require_shape("noise", noise, (*obs.shape[:-1], "K", self.latent_size))
        runs, batch, draws = noise.shape[:3]

        def repeat(values: Tensor) -> Tensor:
            return values.unsqueeze(2).expand(runs, batch, draws, -1).reshape(runs, batch * draws, -1)

        posterior = self.encode(obs, action)
        wide = DiagGaussian(repeat(posterior.mean), repeat(posterior.log_std))
        latent = wide.sample(noise.reshape(runs, batch * draws, -1))
        prior = -gaussian_nll(latent, torch.zeros_like(latent), torch.zeros_like(latent))
        log_weight = self.decode(repeat(obs), latent).log_prob(repeat(action)) + prior - wide.log_prob(latent)
        return torch.logsumexp(log_weight.reshape(runs, batch, draws), dim=-1) - math.log(draws)
