"""Options of SCAFFOLD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.scaffold import Scaffold


class ScaffoldSettings(SharingSettings):
    """SCAFFOLD. The contender's learning rate is that of plain SGD, constant: choose it accordingly.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; they have no control variates.
        global_rate: eta_g, how far the server goes towards the mean.
    """

    global_rate: float = Field(1.0, gt=0)

    def build(self, declarations: tuple[Declaration, ...]) -> Scaffold:
        from msmtrec.methods.scaffold import Scaffold

        return Scaffold(declarations, self)
