"""The directive `statements-table`: every statement of the book, what certifies it, and how much of it was used.

A row has the statement, the tests that certify it, the mutants they see fail, and the tightness that its chapter measured:
the largest value / bound of the theorem's claims on random inputs, and on inputs an optimiser searched for. A statement
that is an identity is compared exactly and has no tightness.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from claims_table import stored_claims

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from statements import Statement, certificates, statements  # noqa: E402

COLUMNS = ("Statement", "Certified by", "Mutant that fails", "Random", "Searched")


def tightness(claims: list[dict], searched: bool) -> str | None:
    """The largest part of the bound that the claims use; None where they bound nothing."""
    used = [share(claim) for claim in claims if claim["searched"] == searched and claim["bound"] and claim["relation"] != "=="]
    return f"{max(used):.3g}" if used else None


def share(claim: dict) -> float:
    """Value / bound of an upper bound, bound / value of a lower one."""
    upper = claim["relation"] in ("<=", "<")
    return claim["value"] / claim["bound"] if upper else claim["bound"] / claim["value"]


def rows(found: list[Statement], claims: dict[str, list[dict]]) -> Iterator[tuple[str, ...]]:
    tests = certificates()
    for statement in found:
        of_it = tests.get(statement.label, [])
        names = list(dict.fromkeys(f"`{certificate.test.split('::')[0].removeprefix('tests/')}`" for certificate in of_it))
        mutants = list(dict.fromkeys(what for certificate in of_it for what in certificate.mutants))
        about = [claim for claim in claims[statement.label] if claim["kind"] == "theorem"]
        exact = any(certificate.exact for certificate in of_it) or any(claim["relation"] == "==" for claim in about)
        yield (
            f"{{prf:ref}}`{statement.label}`: {statement.title}" if statement.title else f"{{prf:ref}}`{statement.label}`",
            f"{', '.join(names)} ({len(of_it)})",
            "; ".join(mutants),
            tightness(about, searched=False) or ("exact" if exact else "–"),
            tightness(about, searched=True) or "–",
        )


class StatementsTable(SphinxDirective):
    """Write a MyST `list-table` for each chapter in the order of the book, and have it parsed in place."""

    def run(self) -> list[nodes.Node]:
        claims = defaultdict(list)
        for _, claim in stored_claims(self.env):
            claims[claim["source"]].append(claim)
        order = [Path(name).stem for name in self.env.external_site_map]
        known = [statement for statement in statements() if statement.page.stem in order]
        known.sort(key=lambda statement: order.index(statement.page.stem))
        tests = certificates()
        exact = sum(any(certificate.exact for certificate in tests.get(statement.label, [])) for statement in known)
        lines = [f"Of {len(known)} statements {exact} have a certificate that compares without rounding; those of the others run in floats.", ""]
        for page, of_page in groupby(known, key=lambda statement: statement.page):
            lines += [f"**Chapter:** {{doc}}`/book/{page.stem}`", "", "````{list-table}", ":header-rows: 1", ":class: claims statements", ""]
            for cells in [COLUMNS, *rows(list(of_page), claims)]:
                lines += [f"{'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
            lines += ["````", ""]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


def setup(app) -> dict:
    app.add_directive("statements-table", StatementsTable)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
