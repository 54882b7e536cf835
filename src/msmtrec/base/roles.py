"""What each parameter is for.

A model *declares* the role of every parameter and buffer; a method says, per role, what leaves the scenario.
No code selects parameters by a substring of their names.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The purpose of a parameter or buffer (METHOD: parameter template; Role names follow the paper's factors)."""

    EMBEDDING = "embedding"  # tables over a scenario's own vocabulary
    SHARED_EMBEDDING = "shared-embedding"  # tables over an id space that scenarios agreed on
    RESIDUAL_EMBEDDING = "residual-embedding"  # what a scenario adds to these; no method lets it travel
    EXPERT_LOCAL = "expert.local"  # W_loc, or a whole plain expert's local part
    EXPERT_TASK = "expert.task"  # W_task
    EXPERT_SCENARIO = "expert.scenario"  # W_scen; without the template: the whole expert
    EXPERT_PRIVATE = "expert.private"  # whole experts, or their W_scen, that no method lets travel
    ATTENTION = "attention"  # what weighs the values of a sequence
    GATE = "gate"  # what steers: mixes experts, or shifts logits by the scenario
    TOWER = "tower"
    NORM_AFFINE = "norm.affine"
    NORM_STATISTICS = "norm.statistics"  # running means and variances: buffers
    ID_STATISTIC = "id-statistic"  # what training rows say of an id's values, as a network reads it
    WIDE = "wide"  # a linear head on these and on numerics, multiplied out value by value
    TREES = "trees"  # of gradient boosting: grown once, sent nowhere


class Policy(StrEnum):
    """What a method does with a role of a slot. Of the first four the server sees sums only."""

    LOCAL = "local"  # never leaves the scenario
    AVERAGE = "average"  # one mean for everybody, weighted by training rows
    AVERAGE_ALIKE = "average-alike"  # one mean for everybody, every scenario counting once
    AVERAGE_BY_TOUCHES = "average-by-touches"  # row by row, weighted by how often a scenario used the id
    SUM = "sum"  # the plain sum
    COORDINATE = "coordinate"  # normalise, resolve conflicts, personalise
    PERSONALISE = "personalise"  # plain mean, then each scenario's own mixture
    COLLECT = "collect"  # every scenario's own is kept and handed on


SINGLE = (Policy.COORDINATE, Policy.PERSONALISE, Policy.COLLECT)
"""The server sees each scenario's upload; everywhere else it sees sums."""
EXPERTS = (Role.EXPERT_LOCAL, Role.EXPERT_TASK, Role.EXPERT_SCENARIO)
"""All parts of an expert."""
BODY_AND_HEAD = (*EXPERTS, Role.ATTENTION, Role.GATE, Role.TOWER, Role.NORM_AFFINE, Role.NORM_STATISTICS)
"""Everything but the embeddings."""
BUFFERS = (Role.NORM_STATISTICS,)
"""Set by the network while it trains: no gradient, no optimiser step, no counters; they travel like parameters."""
FITTED = (Role.ID_STATISTIC, Role.WIDE)
"""Known before the network trains; only served networks hold them."""
OF_COMMON_IDS = (Role.SHARED_EMBEDDING, Role.RESIDUAL_EMBEDDING)
"""Looked up by the ids that scenarios agreed on: of these tables a scenario holds the rows that it uses."""
TABLES = (Role.EMBEDDING, *OF_COMMON_IDS)
"""Looked up by id: members' tables are concatenated, not stacked."""
