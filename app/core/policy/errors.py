"""A condition that cannot be read: where, what stands there, what may stand there."""


class ExpressionError(ValueError):
    """``str()`` is one line for people: line and column (both from 1) and the problem."""

    def __init__(self, problem: str, text: str, at: int) -> None:
        before = text[:at]
        self.problem = problem
        self.line = before.count("\n") + 1
        self.column = at - (before.rfind("\n") + 1) + 1
        super().__init__(f"line {self.line}, column {self.column}: {problem}")
