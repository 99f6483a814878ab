"""Student's t distribution, from the standard library: no scipy at run time.

Source: Hill, Algorithm 396, Communications of the ACM 13 (1970); relative error below 2e-4, by test.
"""

import math

from app.core.stats import normal


def two_sided(alpha: float, df: int) -> float:
    """The t with P(|T| > t) = ``alpha`` at ``df`` >= 1 degrees of freedom; ``ValueError`` outside 0 < alpha < 1."""
    if df < 1 or not 0.0 < alpha < 1.0:
        raise ValueError(f"a t quantile needs df >= 1 and 0 < alpha < 1, got {df} and {alpha}")
    if df == 1:
        return 1.0 / math.tan(alpha * math.pi / 2)
    if df == 2:
        return math.sqrt(2.0 / (alpha * (2.0 - alpha)) - 2.0)
    a = 1.0 / (df - 0.5)
    b = 48.0 / (a * a)
    c = ((20700.0 * a / b - 98.0) * a - 16.0) * a + 96.36
    d = ((94.5 / (b + c) - 3.0) / b + 1.0) * math.sqrt(a * math.pi / 2) * df
    y = (d * alpha) ** (2.0 / df)
    if y <= 0.05 + a:
        inner = 1.0 / (((df + 6.0) / (df * y) - 0.089 * d - 0.822) * (df + 2.0) * 3.0) + 0.5 / (df + 4.0)
        return math.sqrt(df * ((inner * y - 1.0) * (df + 1.0) / (df + 2.0) + 1.0 / y))
    x = normal.quantile(alpha / 2)
    y = x * x
    if df < 5:
        c += 0.3 * (df - 4.5) * (x + 0.6)
    c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b
    y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x
    return math.sqrt(df * math.expm1(a * y * y))
