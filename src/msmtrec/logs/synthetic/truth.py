"""Why the rows of made-up logs have the labels they have: the true probabilities, and the knobs that shape them.

For scenario s, task t and a row x:

    preference   η = ±√(1 - concept_shift) f(x) + √concept_shift g(x)       (minus where s conflicts)
    probability  p = (1 - noise) σ(b + signal η) + noise r                   r = σ(logit rate + label_shift u)

f is common to all scenarios, g is the scenario's own; over reference rows both have mean 0 and variance 1 and do not
correlate. b makes the mean of p over reference rows the rate r. A click is drawn with p; a conversion, among clicks,
with a p of its own task. Covariate shift moves x and appears nowhere here: it leaves p(x) as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.streams import numpy_stream
from msmtrec.logs.synthetic.knobs import Knobs
from msmtrec.logs.synthetic.shapes import Inputs, Role, Shape, Shift

Values = NDArray[np.floating[Any]]

_FACTORS = 4
_CROSSED = 0.15
"""Share of a preference's variance that lies in how the two sides of a row meet, not in its single values."""
_REFERENCE = 8192
"""Reference rows on which preferences are standardised and rates are met."""


@dataclass(frozen=True)
class Preference:
    """A score of rows: what single values count, and how the two sides meet (a factorisation machine with two sides).

        score = α Σ_j m_j(x_j) + β <Σ_(j on side 0) w_j(x_j), Σ_(j on side 1) w_j(x_j)> + γ

    Args:
        fields: a field each, [1+K, size]: m and w of its values.
        numerics: [1+K, M]: the same for one standard deviation of a numeric.
        scale: α, β, γ.
    """

    fields: tuple[Values, ...]
    numerics: Values
    scale: tuple[float, float, float] = (1.0, 1.0, 0.0)

    @classmethod
    def drawn(cls, random: np.random.Generator, shape: Shape, sizes: Sequence[int]) -> Preference:
        def normal(*roles: Role, size: int) -> Values:
            weights = np.array([[role.main, *[role.crossed] * _FACTORS] for role in roles], np.float32).T
            return weights * random.standard_normal((size, 1 + _FACTORS), np.float32).T

        numerics = normal(*shape.numerics, size=len(shape.numerics))
        return cls(tuple(normal(role, size=size) for role, size in zip(shape.fields, sizes, strict=True)), numerics)

    def followed_by(self, own: Preference) -> Preference:
        """The same score, of more values."""
        pairs = zip(self.fields, own.fields, strict=True)
        return replace(self, fields=tuple(np.concatenate(pair, axis=1) for pair in pairs))

    def parts(self, rows: Inputs, shape: Shape) -> tuple[Values, Values]:
        """[N] what single values count, and [N] how the sides meet, unscaled."""
        sides = []
        for side in (0, 1):
            here = np.array([role.side == side for role in shape.numerics])
            found = (self.numerics * here) @ rows.numeric  # [1+K, N]
            for code, table, role in zip(rows.codes, self.fields, shape.fields, strict=True):
                if role.side == side:
                    found += table.take(code, axis=1, mode="clip")
            sides.append(found)
        return sides[0][0] + sides[1][0], (sides[0][1:] * sides[1][1:]).sum(0)

    def standardised(self, rows: Inputs, shape: Shape) -> tuple[Preference, Values]:
        """Mean 0 and variance 1 over these rows, _CROSSED of it in how the sides meet; and the rows' scores, [N]."""
        single, meeting = (part.astype(np.float64) for part in self.parts(rows, shape))
        weights = sqrt(1 - _CROSSED) / _deviation(single), sqrt(_CROSSED) / _deviation(meeting)
        whole = weights[0] * single + weights[1] * meeting
        size = 1 / _deviation(whole)
        scale = weights[0] * size, weights[1] * size, -float(whole.mean()) * size
        return replace(self, scale=scale), whole * size + scale[2]

    def __call__(self, rows: Inputs, shape: Shape) -> Values:
        single, meeting = self.parts(rows, shape)
        return self.scale[0] * single + self.scale[1] * meeting + self.scale[2]


def _deviation(values: Values) -> float:
    """1 where values do not differ: a scenario with one item has nothing to prefer."""
    return float(values.std()) or 1.0


@dataclass(frozen=True)
class Law:
    """One task's probabilities in one scenario.

    Args:
        common, own: f and g; own is None where concept_shift is 0.
        mixed: what f, g and 1 are multiplied with to give η.
        rate: r; intercept: b.
    """

    common: Preference
    own: Preference | None
    mixed: tuple[float, float, float]
    rate: float
    _: KW_ONLY
    signal: float
    noise: float
    intercept: float = 0.0

    def preference(self, rows: Inputs, shape: Shape) -> Values:
        """η of [N] rows."""
        found = self.mixed[0] * self.common(rows, shape) + self.mixed[2]
        return found if self.own is None else found + self.mixed[1] * self.own(rows, shape)

    def probability(self, preference: Values) -> Values:
        """p, [N]."""
        from scipy.special import expit  # not before it is needed: a fifth of a second

        explained: Values = expit(self.intercept + self.signal * preference)
        return (1 - self.noise) * explained + self.noise * self.rate


class GroundTruth:
    """The laws of all scenarios; one scenario's at a time is in memory.

    Args:
        knobs: the settings.
        shape: of the rows.
        names: the scenarios; everything that is a scenario's own comes from its name.
    """

    def __init__(self, knobs: Knobs, shape: Shape, names: Sequence[str]) -> None:
        self.knobs, self.shape, self.names = knobs, shape, names
        still = shape.shift(np.random.default_rng(0)).times(0)
        reference = shape.draw(self._stream("reference"), _REFERENCE, still)
        self._mean = reference.numeric.mean(1, keepdims=True)
        self._deviation = reference.numeric.std(1, keepdims=True)
        self._deviation[self._deviation == 0] = 1
        self._reference = self._standard(reference)
        self._common = []
        self._scores = []  # f of the reference rows, where no scenario has values of its own
        for task in range(2):
            known = Preference.drawn(self._stream("common", task), shape, shape.common)
            whole, scores = self._extended(known, task, "reference").standardised(self._reference, shape)
            self._common.append(replace(known, scale=whole.scale))
            self._scores.append(scores)
        self._latest: tuple[int, tuple[Law, Law]] | None = None

    def shift(self, scenario: int) -> Shift:
        """Where the scenario's rows differ from reference rows."""
        random = self._stream("covariate shift", self.names[scenario])
        return self.shape.shift(random).times(self.knobs.covariate_shift)

    def preferences(self, frame: pl.DataFrame, scenario: int) -> tuple[Values, Values]:
        """η of click and of conversion, [N] each."""
        return self._preferences(self._standard(self.shape.inputs(frame, scenario)), scenario)

    def probabilities(self, frame: pl.DataFrame, scenario: int) -> tuple[Values, Values]:
        """[N] that a row is clicked, and [N] that it converts if it is clicked."""
        return self.of_inputs(self.shape.inputs(frame, scenario), scenario)

    def of_inputs(self, rows: Inputs, scenario: int) -> tuple[Values, Values]:
        """The same of rows that are no frame yet."""
        click, conversion = self._preferences(self._standard(rows), scenario)
        laws = self.laws(scenario)
        return laws[0].probability(click), laws[1].probability(conversion)

    def laws(self, scenario: int) -> tuple[Law, Law]:
        """Of click, and of conversion among clicks."""
        latest = self._latest
        if latest is None or latest[0] != scenario:
            (click, wish), (conversion, next_wish) = (self._law(scenario, t) for t in range(2))
            click = _meeting(click, wish, np.ones(_REFERENCE))
            conversion = _meeting(conversion, next_wish, click.probability(wish))
            self._latest = latest = scenario, (click, conversion)
        return latest[1]

    def _preferences(self, rows: Inputs, scenario: int) -> tuple[Values, Values]:
        click, conversion = (law.preference(rows, self.shape) for law in self.laws(scenario))
        return click, conversion

    def _law(self, scenario: int, task: int) -> tuple[Law, Values]:
        """Everything but the intercept, and η of the reference rows; there g is made uncorrelated with f."""
        knobs, name = self.knobs, self.names[scenario]
        common, f = self._extended(self._common[task], task, name), self._scores[task]
        if common is not self._common[task]:
            common, f = common.standardised(self._reference, self.shape)
        of_common = -sqrt(1 - knobs.concept_shift) if knobs.turned(scenario)[task] else sqrt(1 - knobs.concept_shift)
        own, of_own, constant, eta = None, 0.0, 0.0, of_common * f
        if knobs.concept_shift:
            own = Preference.drawn(self._stream("own", task, name), self.shape, self.shape.sizes)
            own, g = own.standardised(self._reference, self.shape)
            slope = float(np.mean(f * g) - f.mean() * g.mean()) / _deviation(f) ** 2
            rest = g - slope * f
            of_own = sqrt(knobs.concept_shift) / _deviation(rest)
            of_common, constant = of_common - of_own * slope, -of_own * float(rest.mean())
            eta += of_own * (rest - rest.mean())
        rates = knobs.click_rate, knobs.conversion_rate / knobs.click_rate
        from scipy.special import expit, logit  # not before it is needed: a fifth of a second

        rate = float(expit(logit(rates[task]) + self._offset(scenario, task)))
        return Law(common, own, (of_common, of_own, constant), rate, signal=knobs.signal, noise=knobs.noise), eta

    def _extended(self, known: Preference, task: int, name: str) -> Preference:
        """f, also of the values that only this scenario has."""
        more = [size - common for size, common in zip(self.shape.sizes, self.shape.common, strict=True)]
        if not any(more):
            return known
        return known.followed_by(Preference.drawn(self._stream("common", task, name), self.shape, more))

    def _offset(self, scenario: int, task: int) -> float:
        """Of the base rate's logit."""
        if isinstance(self.knobs.label_shift, tuple):
            return self.knobs.label_shift[scenario]
        return self.knobs.label_shift * self._stream("label shift", task, self.names[scenario]).standard_normal()

    def _standard(self, rows: Inputs) -> Inputs:
        return replace(rows, numeric=(rows.numeric - self._mean) / self._deviation)

    def _stream(self, *keys: str | int) -> np.random.Generator:
        return numpy_stream(self.knobs.seed, "synthetic", *keys)


def _meeting(law: Law, preference: Values, weights: Values) -> Law:
    """With the intercept at which the weighted mean of the probabilities is the law's rate."""

    from scipy.optimize import brentq  # not before it is needed: a fifth of a second

    def excess(intercept: float) -> float:
        return float(replace(law, intercept=intercept).probability(preference) @ weights) - law.rate

    if law.noise == 1:
        return law  # every label is drawn with the rate as it is
    weights = weights / weights.sum()
    reach = 60 + law.signal * float(np.abs(preference).max())
    return replace(law, intercept=float(brentq(excess, -reach, reach, xtol=1e-9)))
