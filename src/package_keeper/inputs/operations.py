"""The operations, and which of them write."""

from enum import StrEnum


class Operation(StrEnum):
    """What a run does."""

    LIST = "list"
    VERIFY = "verify"
    CONFLICTS = "conflicts"
    DELETE = "delete"
    RESTORE = "restore"
    REPAIR = "repair"
    DELETE_PACKAGE = "delete-package"
    RESTORE_PACKAGE = "restore-package"

    @property
    def writes(self) -> bool:
        """Whether the operation changes anything when `dry-run` is `false`."""
        return self not in (Operation.LIST, Operation.VERIFY, Operation.CONFLICTS)


OPERATION_MEANINGS = {
    Operation.LIST: "show packages, or versions when a package or a selection is given",
    Operation.VERIFY: "check that every tagged container image is whole, and say what is missing",
    Operation.CONFLICTS: "show packages with a conflict from the Docker migration",
    Operation.DELETE: "delete the selected versions; images go with all their parts",
    Operation.RESTORE: "restore the selected deleted versions, or everything in a receipt",
    Operation.REPAIR: "restore the deleted parts that tagged container images still need",
    Operation.DELETE_PACKAGE: "delete whole packages",
    Operation.RESTORE_PACKAGE: "restore whole deleted packages",
}

COMMAND_MEANINGS = {
    "explain": "show for every version which rule decides and why, as delete would; writes nothing",
    "schema": "print the JSON Schema of a policy, or of a line of a receipt: schema receipt",
}
"""What only the command line has."""

ALL = frozenset(Operation)
VERSIONS = frozenset({Operation.LIST, Operation.DELETE, Operation.RESTORE})
WRITING = frozenset(operation for operation in Operation if operation.writes)
DELETE_OR_LIST = frozenset({Operation.LIST, Operation.DELETE})
READS_MANIFESTS = frozenset({Operation.LIST, Operation.VERIFY, Operation.DELETE, Operation.RESTORE, Operation.REPAIR})
