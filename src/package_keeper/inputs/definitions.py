"""The one definition of all inputs, in the order in which users read them.

`action.yml`, the command line and the tables of the README come from here (`tools/generate_interface.py`), and a test
keeps them equal. Names are those of the public contract and final.
"""

from package_keeper.inputs.definition import Input, Kind
from package_keeper.inputs.retention_inputs import RETENTION_INPUTS
from package_keeper.inputs.safety_inputs import SAFETY_INPUTS
from package_keeper.inputs.scope_inputs import SCOPE_INPUTS
from package_keeper.inputs.selection_inputs import SELECTION_INPUTS

__all__ = ["INPUTS", "INPUTS_BY_NAME", "Input", "Kind"]

INPUTS: tuple[Input, ...] = (*SCOPE_INPUTS, *SELECTION_INPUTS, *RETENTION_INPUTS, *SAFETY_INPUTS)

INPUTS_BY_NAME = {definition.name: definition for definition in INPUTS}
