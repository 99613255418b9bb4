"""Who is silent, said once when it begins and once when it ends."""

from __future__ import annotations


class SilenceWatch:
    """Turns a state that is looked at again and again into one line for each change."""

    def __init__(self) -> None:
        self._silent: dict[str, str] = {}

    def update(self, name: str, silence: str | None) -> tuple[bool, str] | None:
        """Notes the state of one part.

        Args:
            name: the part, for example 'trainer_node'.
            silence: what is missing; None where it is not silent.

        Returns:
            (True, line) when the silence begins, (False, line) when it has ended, None where nothing changed.
        """
        was = self._silent.get(name)
        if silence is not None and was is None:
            self._silent[name] = silence
            return True, f"{name} is silent: {silence}"
        if silence is None and was is not None:
            del self._silent[name]
            return False, f"{name} is back"
        return None
