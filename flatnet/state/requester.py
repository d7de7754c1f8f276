"""Who asks for something."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requester:
    """An admin may have what is another project's."""

    project_id: str | None = None
    is_admin: bool = False
