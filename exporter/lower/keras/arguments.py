"""What a call says has to be understood: arguments that nothing has asked for are refused, never ignored."""

from __future__ import annotations

from exporter.lower.keras.context import LayerContext

__all__ = ["refuse_unused"]

_KNOWN = frozenset({"inputs", "mask", "name", "training"})
_DESCRIPTIONS = frozenset({"dtype", "function", "name", "trainable"})


def refuse_unused(ctx: LayerContext) -> None:
    """UnsupportedError for an argument of the call, or a setting of an operation, that the lowering hasn't looked at.

    What says nothing (None, False, an empty list) is fine, and so are names, masks and `training`.
    """
    given: dict[int | str, object] = dict(enumerate(ctx.args))
    given.update(ctx.kwargs.items())
    if ctx.layer.origin != "keras":
        given |= {key: value for key, value in ctx.settings.values.items() if key not in _DESCRIPTIONS}
    for key, value in given.items():
        says_nothing = value is None or value is False or (isinstance(value, str | list | tuple) and not value)
        if not says_nothing and key not in ctx.used and key not in _KNOWN:
            what = f"argument {key + 1}" if isinstance(key, int) else f"argument {key!r}"
            ctx.refuse(f"{what} of its call, {str(value)[:40]!r}")
