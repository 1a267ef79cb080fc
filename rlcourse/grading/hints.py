"""What usually lies behind an error, and what to try: one hint for each of the frequent ones."""

import re

NONE = "Your function gave back None: does every way through it end with `return`?"
NOT_A_FUNCTION = "is not a function here: has another cell used its name for something else?"
SHAPE = "The shape is not right: print `.shape` after each line and find the first surprise."
EXTRA_AXIS = "An axis of length 1 is left over: `squeeze(-1)` it away, or sum without `keepdim=True`."
TURNED = "The axes are exchanged: the docstring says which one comes first."
LENGTH = "A list of another length: which entries does the docstring ask for, the first and last too?"
NAN = "NaN or infinity came out: look for a division by zero, 0/0 or log(0), on the way."
TYPE = "Another kind of value came back than the docstring asks for."

# How a process that only sends plain data names the first of these.
_UNUSABLE = {"none": NONE, "type": TYPE}
_NOT_A_FUNCTION_CODE = "not a function"

# (type of the error or "", pattern in its message, hint); the first that fits is shown.
_ERRORS = (
    ("", r"Boolean value of Tensor with (more than one|no) value",
     "An `if` (or `and`, `or`, `not`, `max(…)`) met a whole tensor and cannot say whether it is true. "
     "Decide entry by entry instead: `torch.where(condition, this, that)`, `torch.maximum`, `&`, `|`, `~`."),
    ("RuntimeError", r"size of tensor a .* must match the size of tensor b|shape '.*' is invalid|"
                     r"not broadcastable|output with shape",
     "Two shapes do not line up. Print `.shape` of both; `sum(-1, keepdim=True)` keeps an axis that a later "
     "division needs, `unsqueeze(-1)` adds one."),
    ("RuntimeError", r"cannot be multiplied|size mismatch|einsum\(\)|mat1|batch1|inconsistent tensor size",
     "A product of shapes that do not fit. Write the letters of each axis above the line "
     "(s for the state, a for the action) and sum over the ones that both have."),
    ("RuntimeError", r"same dtype|expected scalar type|Double but found Float|Float but found Double",
     "float32 met float64. Make new tensors like the old ones: `torch.zeros(n, dtype=counts.dtype)` "
     "or `torch.zeros_like(counts)`."),
    ("IndexError", r"must be (long|int)|only integers|integer tensor",
     "An index must be a whole number: `.long()` turns the tensor into one."),
    ("IndexError", r"out of (bounds|range)|too many indices|invalid index",
     "An index lies outside its axis. Print the `.shape` of what you index, and the index."),
    ("TypeError", r"positional argument|unexpected keyword|required keyword|multiple values for argument",
     "The function does not take its arguments in the way the exercise calls it: keep the `def` line as "
     "printed."),
    ("TypeError", r"must be Tensor, not|must be a Tensor|expected Tensor|Unexpected type|received an invalid",
     "That torch function wants a tensor and got something else (a plain number, say). "
     "For plain numbers use Python's own `**`, `min`, `max`, or `math`."),
    ("", r"'?NoneType'?", "Something is None that should hold a value: print what goes into that line."),
    ("AttributeError", r"'(int|float|list|tuple)' object",
     "A plain number or list is treated like a tensor there: print its type, and use Python's own "
     "functions for it."),
    ("ZeroDivisionError", r"",
     "A division by zero: for which argument is the denominator 0, and what should come out there?"),
    ("NameError", r"name '(\w+)' is not defined",
     "That name is unknown: is it spelt as where it is defined, and has the cell that defines it run?"),
    ("UnboundLocalError", r"",
     "A variable is used before it has a value: give it one before the loop or the `if`."),
    ("TimeoutError", r"stopped after",
     "It took longer than a call may take and was stopped. Is there a loop that never ends?"),
    ("", r"can't allocate memory|^MemoryError", "More memory than there is: what shape has the largest tensor there?"),
    ("SystemExit", r"", "Your code ended its whole process: `exit()`, or far too much memory?"),
    ("ModuleNotFoundError", r"rlcourse",
     "That part of the course is not there when your work is marked, because it holds answers: write it yourself."),
    ("RecursionError", r"", "The function calls itself without end: which call should stop?"),
)


def error_hint(error: str, message: str) -> str:
    """The hint for an error, from the name of its type and its message."""
    for kind, pattern, hint in _ERRORS:
        if kind in ("", error) and re.search(pattern, message):
            return hint
    return "Your code stopped with an error before it gave an answer."


def code(hint: str) -> str:
    """One word for the hint of a value that cannot be used, to be sent from another process."""
    return next((word for word, text in _UNUSABLE.items() if text == hint), _NOT_A_FUNCTION_CODE)


def unusable(code: str, name: str) -> str:
    """The hint that such a word stands for, about the function `name`."""
    return f"`{name}` {NOT_A_FUNCTION}" if code == _NOT_A_FUNCTION_CODE else _UNUSABLE.get(code, TYPE)
