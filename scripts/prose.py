"""The prose of a page: what is left of it without code, maths, roles and addresses."""

import re

# Directives whose body is code; None: a plain fence.
CODE = {None, "code", "code-block", "code-cell", "literalinclude", "raw"}
MATH = r"\$\$.*?\$\$|(?<![\\$])\$(?![\s$])(?:\\.|[^$\\])+?\$|^\{math\}.*?^\{end\}"
NOT_PROSE = (
    MATH,
    r"\{[a-z:]+\}`[^`]*`",  # roles, glue and citations among them
    r"(`+)(?!`)(?:(?!\n\n).)+?\1",  # code in a line
    r"^\s*:[\w-]+:.*?$",  # options of directives
    r"^%.*?$|<!--.*?-->",  # comments
    r"\]\([^)]*\)|https?://\S+",  # addresses
)


def blank(pattern: str, text: str) -> str:
    """The text with spaces in the place of every match, so that line numbers stay."""
    spaces = lambda match: re.sub(r"[^\n]", " ", match.group())  # noqa: E731
    return re.sub(pattern, spaces, text, flags=re.DOTALL | re.MULTILINE)


def without_code(page: str) -> str:
    """A page without its header and its code. Other directives lose their fences alone."""
    lines, open_fences = [], []
    for line in blank(r"\A---\n.*?^---\n", page).split("\n"):
        fence = re.match(r"\s*(`{3,}|:{3,})(?:\{([\w:-]+)\})?(.*)", line)
        in_code = any(directive in CODE for _, directive in open_fences)
        if fence and open_fences and line.strip() == open_fences[-1][0]:
            line = "{end}" if open_fences.pop()[1] == "math" else ""
        elif fence and not in_code:
            open_fences.append((fence[1], fence[2]))
            line = "{math}" if fence[2] == "math" else "" if fence[2] in CODE else fence[3]
        elif in_code:
            line = ""
        lines.append(line)
    return "\n".join(lines)
