"""The text of a page as plain Markdown, for its notebook: what Jupyter and Colab render without knowing MyST.

What is translated is the document as Sphinx resolved it, so every number, name and quoted value is the one on the page. Of MyST
nothing is left: a theorem is a block with a bold title, a proof another, a citation is its authors and year with the references
at the end, an equation has its number by ``\\tag``, and the book's LaTeX macros are written out, since Colab knows none.

A node this module has not heard of is shown as its content.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from posixpath import dirname, join, normpath
from textwrap import indent

from docutils import nodes

SILENT = (nodes.comment, nodes.target, nodes.substitution_definition, nodes.system_message, nodes.meta, nodes.label)
SPECIAL = re.compile(r"([\\`*_<$])")
LIST_LIKE = re.compile(r"^(\d*)([.)#>+-])(?=\s)")


@dataclass(frozen=True)
class Code:
    """The place of the code cell with this index among all cells."""

    index: int


@dataclass
class Page:
    """What the text of a page refers to.

    Args:
        name: The page, as in ``book/route-b``.
        numbers: Kind of thing, then id, then its number as a tuple; Sphinx's `toc_fignumbers` of the page.
        macros: LaTeX macros as MathJax takes them: name -> text, or [text, number of arguments].
        site: Address of the published site; links lead there. Without one they are names only.
        references: (page, id) of an entry of the bibliography -> that entry in Markdown.
    """

    name: str
    numbers: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    macros: dict[str, str | list] = field(default_factory=dict)
    site: str = ""
    references: dict[tuple[str, str], str] = field(default_factory=dict)
    cited: dict[str, None] = field(default_factory=dict)

    def number(self, kind: str, node: nodes.Element) -> str:
        """The number of a node as the page shows it, empty if it has none."""
        of_kind = self.numbers.get(kind, {})
        return next((".".join(map(str, of_kind[id])) for id in node["ids"] if id in of_kind), "")


def cells(document: nodes.document, page: Page) -> Iterator[str | Code]:
    """The page from top to bottom: Markdown cells, a new one at every heading, and the places of the code cells."""
    text: list[str] = []
    for piece in _pieces(document, page, level=0):
        if isinstance(piece, Code) or piece.startswith("#"):
            if text:
                yield "\n\n".join(text)
            text = []
        if isinstance(piece, Code):
            yield piece
        else:
            text.append(piece)
    if page.cited:
        text.append("**References**\n\n" + "\n".join(f"- {entry}" for entry in sorted(page.cited)))
    if text:
        yield "\n\n".join(text)


def _pieces(parent: nodes.Element, page: Page, level: int) -> Iterator[str | Code]:
    """Sections are opened up, so that code cells inside them come out one by one."""
    for node in parent:
        if isinstance(node, nodes.section):
            yield from _pieces(node, page, level + 1)
        elif isinstance(node, nodes.title):
            yield f"{'#' * level} {inline(node, page)}"
        elif node.get("nb_element") == "cell_code":
            yield Code(node["cell_index"])
            yield from blocks(list(node.findall(nodes.figure)), page)
        else:
            yield from blocks([node], page)


# Blocks: a list of pieces of Markdown that a blank line separates.


def in_line(node: nodes.Node) -> bool:
    """Whether a node is part of a line of text."""
    return isinstance(node, nodes.Text | nodes.Inline) and not isinstance(node, (*SILENT, nodes.math_block))


def blocks(found: list[nodes.Node], page: Page) -> list[str]:
    """The block-level nodes as Markdown, one entry a block."""
    made = []
    for node in found:
        if isinstance(node, SILENT):
            continue
        write = next((BLOCKS[kind] for kind in type(node).__mro__ if kind in BLOCKS), None)
        if in_line(node):
            made.append(_inline(node, page))
        elif "realtype" in node:
            made += _statement(node, page)
        elif "proof" in node["classes"]:
            made += _proof(node, page)
        elif node.tagname == "proof_node":  # around a proof
            made += blocks(node.children, page)
        elif node.get("design_component") == "dropdown" or node.tagname == "dropdown_main":
            made += _dropdown(node, page)
        elif node.get("design_component") == "card":
            made += _card(node, page)
        elif write:
            made += write(node, page)
        elif any(map(in_line, node)):
            made += _paragraph(node, page)
        else:
            made += blocks(node.children, page)
    return [block for block in made if block.strip()]


def _paragraph(node: nodes.Element, page: Page) -> list[str]:
    """Formulas on lines of their own may stand inside a paragraph."""
    made = []
    for text, group in groupby(node, in_line):
        made += [_plain_start("".join(_inline(child, page) for child in group).strip())] if text else blocks(list(group), page)
    return made


def _plain_start(text: str) -> str:
    """The text so that its start is not taken for that of a list, a heading or a quote."""
    return LIST_LIKE.sub(r"\1\\\2", text)


def _quoted(inside: list[str]) -> str:
    return "\n".join(f"> {line}".rstrip() for line in "\n\n".join(inside).split("\n"))


def _led(head: str, inside: list[str]) -> list[str]:
    """The blocks with a heading in the line where the first one starts, if that is a paragraph."""
    starts_with_text = inside and not inside[0].startswith(("$$", "- ", "1. ", ">", "|", "```", "<"))
    return [f"{head} {inside[0]}", *inside[1:]] if starts_with_text else [head, *inside]


def _statement(node: nodes.Element, page: Page) -> list[str]:
    """A theorem and the like with its number and name, set off from the text."""
    name = "".join(inline(child, page).strip() for child in node if isinstance(child, nodes.title))
    head = " ".join(filter(None, [node["realtype"].title(), page.number(node["countertype"], node)]))
    inside = blocks([child for child in node if not isinstance(child, nodes.title)], page)
    return [_quoted(_led(" ".join(filter(None, [f"**{head}**", name])) + ".", inside))]


def _proof(node: nodes.Element, page: Page) -> list[str]:
    """A proof, set off and with its end marked. The directive has put a word before the text."""
    first, *rest = blocks(node.children, page)
    inside = [_plain_start(first.removeprefix("Proof. ")), *rest]
    if inside[-1].startswith(("$$", "|", "```")):
        inside.append("")
    inside[-1] = f"{inside[-1]} $\\square$".lstrip()
    return [_quoted(_led("*Proof.*", inside))]


def _dropdown(node: nodes.Element, page: Page) -> list[str]:
    title, *rest = node.children
    opened = " open" if node.get("opened") else ""
    return [f"<details{opened}><summary>{inline(title, page).strip()}</summary>", *blocks(rest, page), "</details>"]


def _card(node: nodes.Element, page: Page) -> list[str]:
    """An item of a list: the card's title, then its text. The link that covers it on the page goes nowhere here."""
    title, *rest = node[0].children
    return ["- " + " ".join([f"**{inline(title, page)}.**", *blocks(rest, page)])]


def _admonition(node: nodes.Element, page: Page) -> list[str]:
    titles = [child for child in node if isinstance(child, nodes.title)]
    head = inline(titles[0], page) if titles else node.tagname.title()
    return [_quoted(_led(f"**{head}.**", blocks([child for child in node if child not in titles], page)))]


def _list(node: nodes.Element, page: Page) -> list[str]:
    items = []
    numbered = isinstance(node, nodes.enumerated_list)
    for number, item in enumerate(node, node.get("start", 1)):
        mark = f"{number}. " if numbered else "- "
        items.append(mark + indent("\n\n".join(blocks(item.children, page)), " " * len(mark)).lstrip())
    loose = any("\n\n" in item for item in items)
    return [("\n\n" if loose else "\n").join(items)]


def _definitions(node: nodes.definition_list, page: Page) -> list[str]:
    made = []
    for item in node:
        terms = ", ".join(inline(child, page) for child in item if isinstance(child, nodes.term))
        said = blocks([part for child in item if isinstance(child, nodes.definition) for part in child], page)
        made += _led(f"**{terms}**:", said)
    return made


def _table(node: nodes.table, page: Page) -> list[str]:
    """A pipe table; a caption goes before it. A bar inside a cell would end it."""

    def cell(entry: nodes.entry) -> str:
        text = " ".join(" ".join(blocks(entry.children, page)).split())
        in_maths = re.sub(r"\$[^$]+\$", lambda m: m[0].replace(r"\|", r"\Vert ").replace("|", r"\vert "), text)
        return in_maths.replace("|", r"\|")

    rows = [[cell(entry) for entry in row] for row in node.findall(nodes.row)]
    head = rows.pop(0) if any(True for _ in node.findall(nodes.thead)) else [" "] * len(rows[0])
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    titles = [f"*{inline(child, page)}*" for child in node if isinstance(child, nodes.title)]
    return [*titles, "\n".join(lines)]


def _figure(node: nodes.figure, page: Page) -> list[str]:
    """The caption, with its number if it has one. The picture itself is the output above, or stays on the site."""
    number = page.number("figure", node)
    captions = [inline(child, page) for child in node if isinstance(child, nodes.caption)]
    return [" ".join([f"**Figure {number}.**"] * bool(number) + captions)] if captions else []


def _display_maths(node: nodes.math_block, page: Page) -> list[str]:
    """A formula in one line: in several, inside a quote, each would carry the mark of the quote."""
    number = page.number("displaymath", node)
    tag = f" \\tag{{{number}}}" if number else ""
    return [f"$$ {' '.join(_maths(node, page).split())}{tag} $$"]


def _code(node: nodes.literal_block, page: Page) -> list[str]:
    text = node.astext().rstrip("\n")
    return [f"```{node.get('language', '')}\n{text}\n```"]


BLOCKS = {
    nodes.paragraph: _paragraph,
    nodes.rubric: lambda node, page: [f"**{inline(node, page)}**"],
    nodes.bullet_list: _list,
    nodes.enumerated_list: _list,
    nodes.definition_list: _definitions,
    nodes.block_quote: lambda node, page: [_quoted(blocks(node.children, page))],
    nodes.literal_block: _code,
    nodes.math_block: _display_maths,
    nodes.table: _table,
    nodes.figure: _figure,
    nodes.Admonition: _admonition,
    nodes.transition: lambda node, page: ["---"],
    nodes.raw: lambda node, page: [_raw(node)],
    nodes.image: lambda node, page: [],
}


# Text in a line


def inline(node: nodes.Node, page: Page) -> str:
    """The content of a node as Markdown in one line."""
    return "".join(_inline(child, page) for child in node.children)


def _inline(node: nodes.Node, page: Page) -> str:
    if isinstance(node, nodes.Text):
        return SPECIAL.sub(r"\\\1", node.astext().replace("\n", " "))
    if isinstance(node, nodes.literal):
        ticks = "``" if "`" in node.astext() else "`"
        return ticks + node.astext() + ticks
    if isinstance(node, nodes.math):
        return f"${_maths(node, page)}$"
    if isinstance(node, nodes.raw):
        return _raw(node)
    if isinstance(node, (nodes.image, *SILENT)):
        return ""
    text = inline(node, page)
    if isinstance(node, nodes.emphasis):
        return f"*{text}*" if text.strip() else text
    if isinstance(node, nodes.strong):
        return f"**{text}**" if text.strip() else text
    if isinstance(node, nodes.reference):
        return _linked(node, text, page)
    return text


def _raw(node: nodes.raw) -> str:
    """Of HTML only a line break: scripts and symbols are the site's."""
    return node.astext() if "<br" in node.astext() else ""


def _linked(node: nodes.reference, text: str, page: Page) -> str:
    """A link to another host, or to the site where it has an address; else the name alone."""
    address = node.get("refuri", "")
    if re.match(r"[a-z]+:", address):
        return f"[{text}]({address})"
    target, _, anchor = address.partition("#")
    target = normpath(join(dirname(page.name), target.removesuffix(".html"))) if target else page.name
    anchor = anchor or node.get("refid", "")
    if (target, anchor) in page.references:
        page.cited[page.references[target, anchor]] = None
    return f"[{text}]({page.site.rstrip('/')}/{target}.html{'#' + anchor if anchor else ''})" if page.site else text


# Mathematics


def _maths(node: nodes.Element, page: Page) -> str:
    """The formula with the macros of the book written out."""
    return expanded(node.astext(), page.macros).strip()


def expanded(formula: str, macros: dict[str, str | list]) -> str:
    """The formula with every macro replaced by what it stands for.

    >>> expanded(r"\\norm{A \\T}^2 \\le \\Theta", {"norm": [r"\\lVert #1 \\rVert", 1], "T": r"^{\\mathsf{T}}"})
    '\\\\lVert A ^{\\\\mathsf{T}} \\\\rVert^2 \\\\le \\\\Theta'
    """
    if not macros:
        return formula
    command = re.compile(rf"\\({'|'.join(map(re.escape, macros))})(?![A-Za-z])")
    while match := command.search(formula):
        text, count = macros[match[1]], 0
        if isinstance(text, list):
            text, count = text
        end = match.end()
        for number in range(1, count + 1):
            argument, end = _argument(formula, end)
            text = text.replace(f"#{number}", argument)
        closed = text + (" " if re.search(r"\\[A-Za-z]+$", text) and formula[end : end + 1].isalpha() else "")
        formula = formula[: match.start()] + closed + formula[end:]
    return formula


def _argument(formula: str, start: int) -> tuple[str, int]:
    """The next argument of a macro, a group in braces or a single token, and where it ends."""
    start += len(formula[start:]) - len(formula[start:].lstrip())
    if formula[start : start + 1] != "{":
        token = re.compile(r"\\[A-Za-z]+|\\.|.").match(formula, start)
        return token[0], token.end()
    depth = 0
    for end in range(start, len(formula)):
        escaped = formula[end - 1] == "\\"
        depth += (formula[end] == "{" and not escaped) - (formula[end] == "}" and not escaped)
        if depth == 0:
            return formula[start + 1 : end], end + 1
    raise ValueError(f"a macro's argument is not closed: {formula!r}")
