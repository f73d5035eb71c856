"""The errors for which a tier does not start on its state."""


class StartRefused(Exception):
    """The tier must not start on this state. The message says why and what to do."""


class StartPostponed(StartRefused):
    """The tier cannot start on this state now, but may later: for example when the disk has room again."""
