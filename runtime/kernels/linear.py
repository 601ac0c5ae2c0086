"""Matrix products."""

from __future__ import annotations

import numpy as np

from runtime.kernels.base import Array, Function, number

__all__ = ["OPS", "dense"]


def dense(x: Array, w: Array, b: Array | None = None) -> Array:
    """x w + b over the last axis: [..., I] with [I, O] and [O] gives [..., O]; one matrix product."""
    rows = x.reshape(-1, x.shape[-1])
    y = rows @ w
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], w.shape[1])


def matmul(a: Array, b: Array) -> Array:
    """The product of the last two axes, the others broadcast."""
    return np.asarray(np.matmul(a, b))


def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Array:
    """alpha a b + beta c, with a and b transposed on request; c broadcasts."""
    y = (a.T if transA else a) @ (b.T if transB else b)
    if alpha != 1:
        y *= number(y, alpha)
    if c is not None:
        y += c if beta == 1 else c * number(c, beta)
    return y


def einsum(*inputs: Array, equation: str) -> Array:
    """The sum of products that the equation describes."""
    return np.asarray(np.einsum(equation.replace(" ", ""), *inputs, optimize=True), dtype=inputs[0].dtype)


def determinant(x: Array) -> Array:
    """The determinants of the matrices in the last two axes."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{x.shape} has no square matrices in its last two axes")
    return np.asarray(np.linalg.det(x.astype(np.float64)), dtype=x.dtype)


OPS: dict[str, Function] = {"Dense": dense, "Det": determinant, "Einsum": einsum, "Gemm": gemm, "MatMul": matmul}
