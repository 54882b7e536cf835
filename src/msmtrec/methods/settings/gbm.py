"""Options of gradient boosting."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.base.errors import UserError
from msmtrec.methods.settings.linear import AloneSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedavg import FedAvg


class GBMSettings(AloneSettings):
    """Gradient boosting by LightGBM, a model for each task; needs the package: pip install 'msmtrec[gbm]'.

    Args:
        trees: at most, of a task.
        learning_rate: what each tree's leaves are multiplied with.
        leaves: of a tree, at most.
        min_rows: training rows in a leaf, at least.
        l2: what a leaf's squared value costs.
        columns: share of the inputs that a tree is grown on, drawn anew for each.
        rows: share of the training rows that a tree is grown on, drawn anew for each.
        categories: a field with more values among the training rows is not read as a category; its statistics are,
            where `statistics` are on.
        patience: trees without a better validation AUC (the mean over scenarios, where several are pooled) after which
            a task has enough; it keeps those up to its best. null grows all.
    """

    trees: int = Field(500, ge=1)
    learning_rate: float = Field(0.05, gt=0, le=1)
    leaves: int = Field(31, ge=2)
    min_rows: int = Field(20, ge=1)
    l2: float = Field(1.0, ge=0)
    columns: float = Field(0.8, gt=0, le=1)
    rows: float = Field(0.8, gt=0, le=1)
    categories: int = Field(100, ge=0)
    patience: int | None = Field(50, ge=1)

    def build(self, declarations: tuple[Declaration, ...]) -> FedAvg:
        """
        Raises:
            UserError: the package is missing, or cannot be loaded.
        """
        try:
            import_module("lightgbm")
        except ImportError as error:
            raise UserError("gradient boosting needs a package: pip install 'msmtrec[gbm]'") from error
        except OSError as error:  # a library of the system that its wheel does not bring
            raise UserError(f"LightGBM is installed and cannot be loaded ({error}); install libgomp") from error
        return super().build(declarations)
