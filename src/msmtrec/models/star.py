"""Star Topology Adaptive Recommender (Sheng et al., CIKM 2021): shared weights times weights per scenario."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Pass
from msmtrec.models.by_scenario import ByScenario
from msmtrec.models.folding import Folded
from msmtrec.models.layers import batch_norm, first_layer, next_layer
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.scenarios import OfScenarios
from msmtrec.models.settings.star import STARSettings


class STAR(OfScenarios):
    """For a row of scenario d, in every layer W = W_shared ⊙ W_d and b = b_shared + b_d; before the first one
    partitioned normalisation (γ ⊙ γ_d)(x − μ_d)/sqrt(σ²_d + ε) + (β + β_d) with moments of scenario d alone: its rows
    of the batch in training, its running ones else. An auxiliary network on the scenario's embedding and the input adds
    a logit to each task. W_d = γ_d = 1 and b_d = β_d = 0 at the start (ours): all scenarios begin with one network.
    The paper has one task; here a tower per task reads the star network.

    Made for pooled rows, where one member has all scenarios. In a federation a scenario sees its own number only: it
    trains its own slice of what is per scenario, and a mean takes each slice from its owner. Averaged or kept, slice d
    is therefore what scenario d alone has learned; what the scenarios learn together is the shared part. With one
    scenario this is a plain network with batch normalisation, its weights written as products.

    Roles: shared weights are `expert.scenario` (one expert, which pf-msmtrec coordinates), a scenario's own are
    `expert.local`; scale and shift `norm.affine`; running moments `norm.statistics`; the scenario's embedding and the
    auxiliary network `gate`.
    """

    def __init__(self, layout: Layout, settings: STARSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input = Inputs(layout, settings)

    def declare(self) -> tuple[Declaration, ...]:
        s, T, S, width = self.settings, self.tasks, self.scenarios, self.input.width
        owners = self.layout.scenarios
        inner, embedded = s.auxiliary_layer, width + s.embedding_dim
        found = [
            *self.input.declare(),
            Declaration("norm.scale", Role.NORM_AFFINE, (width,), "ones"),
            Declaration("norm.shift", Role.NORM_AFFINE, (width,), "zeros"),
            Declaration("norm.own.scale", Role.NORM_AFFINE, (S, width), "ones", owners=owners),
            Declaration("norm.own.shift", Role.NORM_AFFINE, (S, width), "zeros", owners=owners),
            Declaration("norm.own.mean", Role.NORM_STATISTICS, (S, width), "zeros", owners=owners),
            Declaration("norm.own.variance", Role.NORM_STATISTICS, (S, width), "ones", owners=owners),
            Declaration("scenario", Role.GATE, (S, s.embedding_dim), "embedding", owners=owners),
            Declaration("auxiliary.0.weight", Role.GATE, (T, embedded, inner), "kaiming", unit_axis="task"),
            Declaration("auxiliary.0.bias", Role.GATE, (T, inner), "zeros", unit_axis="task"),
            Declaration("auxiliary.1.weight", Role.GATE, (T, inner, 1), "uniform", unit_axis="task", output=True),
            Declaration("auxiliary.1.bias", Role.GATE, (T, 1), "zeros", unit_axis="task"),
        ]
        for n, out in enumerate(s.layers):
            found += [
                Declaration(f"star.{n}.weight", Role.EXPERT_SCENARIO, (1, width, out), "kaiming", unit_axis="expert"),
                Declaration(f"star.{n}.bias", Role.EXPERT_SCENARIO, (1, out), "zeros", unit_axis="expert"),
                Declaration(f"star.{n}.own.weight", Role.EXPERT_LOCAL, (S, width, out), "ones", owners=owners),
                Declaration(f"star.{n}.own.bias", Role.EXPERT_LOCAL, (S, out), "zeros", owners=owners),
            ]
            width = out
        return (*found, *declare_towers(T, width, s.tower_layers))

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        """[K, T, H + 1, B]: what the towers read, and the auxiliary logit in the last place."""
        assert isinstance(x, Tensor), "what is normalised first cannot be folded into the first layer"
        groups = self.groups(forward.batch)
        h = self._normalise(parameters, groups, groups.split(x), forward)  # [K, P, D, R]
        for n in range(len(self.settings.layers)):
            weight = parameters[f"star.{n}.weight"] * groups.take(parameters[f"star.{n}.own.weight"])  # [K, P, in, out]
            bias = parameters[f"star.{n}.bias"] + groups.take(parameters[f"star.{n}.own.bias"])  # [K, P, out]
            h = torch.relu(next_layer(h, weight, bias))  # [K, P, out, R]
        z = groups.join(h).unsqueeze(1).expand(-1, self.tasks, -1, -1)  # [K, T, H, B]
        return torch.cat([z, self._auxiliary(parameters, x, forward.batch)], 2)

    def _normalise(self, parameters: Mapping[str, Tensor], groups: ByScenario, x: Tensor, forward: Pass) -> Tensor:
        """Partitioned normalisation. [K, P, D, R] -> [K, P, D, R]"""
        mean, variance = parameters["norm.own.mean"], parameters["norm.own.variance"]  # [K, S, D]
        held = groups.take(mean), groups.take(variance)  # [K, P, D]
        h, *new = batch_norm(x, groups.counted, *held, forward.training, self.settings.momentum)
        if forward.training:
            forward.statistics["norm.own.mean"] = groups.put(mean, new[0])
            forward.statistics["norm.own.variance"] = groups.put(variance, new[1])
        scale = parameters["norm.scale"].unsqueeze(1) * groups.take(parameters["norm.own.scale"])  # [K, P, D]
        shift = parameters["norm.shift"].unsqueeze(1) + groups.take(parameters["norm.own.shift"])
        return h * scale.unsqueeze(3) + shift.unsqueeze(3)

    def _auxiliary(self, parameters: Mapping[str, Tensor], x: Tensor, batch: Batch) -> Tensor:
        """[K, T, 1, B] a logit per task from the scenario's embedding and the input."""
        own = self.own(parameters["scenario"], batch)  # [K, B, d]
        h = first_layer(
            torch.cat([x, own], 2), parameters["auxiliary.0.weight"], parameters["auxiliary.0.bias"]
        )  # [K, T, inner, B]
        return next_layer(torch.relu(h), parameters["auxiliary.1.weight"], parameters["auxiliary.1.bias"])

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z[:, :, :-1], self.settings.tower_layers, forward) + z[:, :, -1].transpose(1, 2)
